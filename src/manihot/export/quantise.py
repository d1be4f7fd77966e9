"""A network's weights in 8 bits: a file a quarter as large, whose answers a check then holds against the others.

Static quantisation by onnxruntime: how large the values of each layer get is seen on photos of the pool, none of them
of a test. Convolutions and large linear layers are quantised, with 7 bits for weights, since processors without VNNI
add two products in 16 bits. The resize, small last layers, the calibration and trees stay in float32: there is nothing
to save. Whether one scale for a layer or one for each of its channels is better differs between networks: both are
made, and the one that is closer to the float32 model on other photos of the pool is taken.

The smaller file does not tell how unlike a photo is: what 8 bits change of features is more than what lies between
photos (15 points of 100 on a small network), so it has neither that output nor what only that output needs.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manihot.core.errors import StudyError
from manihot.export.layout import FEATURES, INPUT, PROBABILITIES

# Photos that show how large values get, and others that decide between the two ways.
CALIBRATING, DECIDING = 96, 64
# Weights of a linear layer below which it stays in float32.
LARGE = 2**16

Photos = Sequence[NDArray[np.uint8]]


class _Reader:
    """Photos [1, height, width, 3] one by one, as onnxruntime asks for them."""

    def __init__(self, photos: Photos):
        self._left: Iterator[NDArray[np.uint8]] = iter(photos)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """The next photo by the name of the input; None after the last."""
        photo = next(self._left, None)
        return None if photo is None else {INPUT: photo[None]}


def quantise(source: Path, target: Path, photos: Photos, progress: Any) -> dict[str, Any]:
    """Write the ONNX model at `source` with weights of 8 bits to `target`; returns what was measured.

    Args:
        source: the model in float32.
        target: where the smaller one goes.
        photos: some of the pool, uint8 [height, width, 3]: the first CALIBRATING calibrate, up to DECIDING others
            decide (the same ones where there are no others).
        progress: told of the two ways.

    Returns:
        `per_channel`, whether each channel has its own scale; `away`, of both ways by their name the mean difference of
        the probabilities from the float32 model's; `calibrating` and `deciding`, the numbers of photos.

    Raises:
        StudyError: onnxruntime cannot quantise this model.
    """
    first, others = photos[:CALIBRATING], photos[CALIBRATING : CALIBRATING + DECIDING]
    others = others or first
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            expected = _answers(source, others)
            for step, (name, per_channel) in enumerate({"layer": False, "channel": True}.items()):
                made = Path(folder, f"{name}.onnx")
                _quantise(source, made, first, per_channel)
                found[name] = float(np.abs(_answers(made, others) - expected).mean())
                progress(step + 1, 2, "ways of quantisation")
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise StudyError(f"onnxruntime cannot quantise this model: {reason}") from error
        best = min(found, key=lambda name: found[name])
        target.write_bytes(Path(folder, f"{best}.onnx").read_bytes())
    told = {"per_channel": best == "channel", "away": found}
    return told | {"calibrating": len(first), "deciding": len(others)}


def _quantise(source: Path, target: Path, photos: Photos, per_channel: bool) -> None:
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = target.with_suffix(".prepared.onnx")
    whole = onnx.load(source)
    kept = [output for output in whole.graph.output if output.name != FEATURES]
    del whole.graph.output[:]
    whole.graph.output.extend(kept)
    answers = target.with_suffix(".answers.onnx")
    onnx.save(whole, answers)
    # What nothing needs any more is left out, and batch norms go into the convolutions before them.
    quant_pre_process(str(answers), str(prepared), skip_symbolic_shape=True)
    layers = _layers(onnx.load(prepared))
    if not layers:
        raise StudyError("it has no convolution and no large linear layer")
    quantize_static(
        str(prepared),
        str(target),
        _Reader(photos),
        quant_format=QuantFormat.QDQ,
        nodes_to_quantize=layers,
        per_channel=per_channel,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    made = onnx.load(target)
    made.ClearField("metadata_props")
    target.write_bytes(made.SerializeToString(deterministic=True))


def _layers(model: Any) -> list[str]:
    """The names of a model's convolutions and large linear layers."""
    sizes = {weights.name: int(np.prod(weights.dims)) for weights in model.graph.initializer}
    linear = [node for node in model.graph.node if node.op_type in ("Gemm", "MatMul")]
    large = [node.name for node in linear if sizes.get(node.input[1], 0) >= LARGE]
    return [node.name for node in model.graph.node if node.op_type == "Conv"] + large


def _answers(path: Path, photos: Photos) -> NDArray[np.float32]:
    """The probabilities [n, K] of photos."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run([PROBABILITIES], {INPUT: photo[None]})[0] for photo in photos])
