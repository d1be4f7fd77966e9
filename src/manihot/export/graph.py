"""A model of a study as one network, from photos of any size to calibrated probabilities, and that network in ONNX."""

from collections.abc import Sequence
from typing import Any

import torch
from safetensors.torch import load
from torch import Tensor, nn

from manihot.applied.backbones import Backbone
from manihot.applied.members import Member
from manihot.applied.model import Model
from manihot.core.errors import StudyError
from manihot.export.layout import CORRECTED, FEATURES, INPUT, PROBABILITIES
from manihot.export.resize import Squeeze
from manihot.export.trees import Trees
from manihot.networks import build
from manihot.networks.augment import view
from manihot.predictions.calibration import LEAST, log_ratio

OPSET = 18


class Normalise(nn.Module):
    """Pixels float32 [n, 3, h, w], 0 to 255, as a network sees them."""

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]):
        super().__init__()
        shift, scale = (torch.tensor(values, dtype=torch.float32) for values in (mean, deviation))
        self.register_buffer("scale", (1 / (255 * scale)).view(-1, 1, 1), persistent=False)
        self.register_buffer("shift", (-shift / scale).view(-1, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """The normalised pixels."""
        return pixels * self.scale + self.shift


class Frozen(nn.Module):
    """A frozen backbone: pixels float32 [n, 3, size, size], 0 to 255, to features [n, D]."""

    def __init__(self, backbone: Backbone):
        super().__init__()
        self.normalise = Normalise(backbone.record["input"]["mean"], backbone.record["input"]["std"])
        self.network = backbone.model

    def forward(self, pixels: Tensor) -> Tensor:
        """The features."""
        return self.network(self.normalise(pixels))


class Network(nn.Module):
    """A fitted network: pixels float32 [n, 3, size, size], 0 to 255, to probabilities [n, K], averaged over views."""

    def __init__(self, member: Member, views: Sequence[str]):
        super().__init__()
        self.views = list(views)
        self.normalise = Normalise(*member.fitted.normalisation)
        self.network = build.load_network(member.fitted)

    def forward(self, pixels: Tensor) -> Tensor:
        """The probabilities."""
        seen = self.normalise(pixels)
        told = [self.network(view(seen, name)).softmax(dim=1) for name in self.views]
        return torch.stack(told).mean(dim=0)


class Head(nn.Module):
    """A linear layer: features float32 [n, D] to probabilities [n, K]."""

    def __init__(self, member: Member):
        super().__init__()
        layer = load(member.fitted.weights())
        self.linear = nn.Linear(layer["weight"].shape[1], layer["weight"].shape[0])
        self.linear.load_state_dict({"weight": layer["weight"], "bias": layer["bias"]})

    def forward(self, features: Tensor) -> Tensor:
        """The probabilities."""
        return self.linear(features).softmax(dim=1)


class Graph(nn.Module):
    """A whole model: photos uint8 [n, height, width, 3] of any size to what the outputs of an export hold.

    `forward` gives the calibrated probabilities float32 [n, K], for equal class shares; those of each member, corrected
    for equal class shares but not tempered, [n, members, K], which prediction sets are made of; and, where the model
    tells how unlike its study's photos a photo is, the features [n, D] that tell it, of a frozen network.
    """

    offsets: Tensor

    def __init__(self, model: Model):
        super().__init__()
        frozen = [backbone for member in model.members for backbone in member.frozen]
        frozen += [model.reference[1]] if model.reference else []
        unique = list({id(backbone): backbone for backbone in frozen}.values())
        place = {id(backbone): index for index, backbone in enumerate(unique)}
        self.frozen = nn.ModuleList(map(Frozen, unique))
        self.members = nn.ModuleList(_member(member, model.record["views"]) for member in model.members)
        # Whose features, side by side, each member takes; none: it is a network of its own.
        self.taken = [[place[id(backbone)] for backbone in member.frozen] for member in model.members]
        self.reference = place[id(model.reference[1])] if model.reference else None
        # What each backbone, and each member that is a network, sees.
        self.seen = [backbone.seen.size for backbone in unique]
        self.shown = [member.seen[0].size for member in model.members]
        self.sizes = sorted({*self.seen, *self.shown})
        self.squeezes = nn.ModuleList(map(Squeeze, self.sizes))
        equal = [1 / len(model.labels)] * len(model.labels)
        moved = torch.stack([torch.from_numpy(log_ratio(member.prior, equal)) for member in model.members])
        self.register_buffer("offsets", moved.float(), persistent=False)
        self.temperature = float(model.temperature)
        self.eval().requires_grad_(False)

    def forward(self, photos: Tensor) -> tuple[Tensor, ...]:
        """The outputs."""
        pixels = {size: squeeze(photos) for size, squeeze in zip(self.sizes, self.squeezes, strict=True)}
        features = [part(pixels[size]) for part, size in zip(self.frozen, self.seen, strict=True)]
        own = torch.stack(
            [
                member(torch.cat([features[index] for index in taken], dim=1) if taken else pixels[size])
                for member, taken, size in zip(self.members, self.taken, self.shown, strict=True)
            ],
            dim=1,
        )
        logs = own.clamp(min=LEAST).log()
        corrected = (logs + self.offsets).softmax(dim=2)
        calibrated = (logs / self.temperature + self.offsets).softmax(dim=2).mean(dim=1)
        told = (calibrated, corrected)
        return told if self.reference is None else (*told, features[self.reference])

    @property
    def outputs(self) -> list[str]:
        """The names of what `forward` gives."""
        return [PROBABILITIES, CORRECTED] + [FEATURES] * (self.reference is not None)


def _member(member: Member, views: Sequence[str]) -> nn.Module:
    kind, classes = member.fitted.record["kind"], len(member.fitted.labels)
    if kind == "network":
        return Network(member, views)
    if kind == "head":
        return Head(member)
    from manihot.features import boosting

    return Trees(boosting.load(member.fitted, 1).save_raw("json"), classes)


def to_onnx(graph: Graph, photos: Tensor | None = None) -> bytes:
    """The graph as an ONNX model, opset OPSET: the same bytes for the same graph.

    Its input is `photos`, uint8 [n, height, width, 3]; all three sizes are free. Its outputs are called as
    `graph.outputs`. `photos` is what it is traced with: drawn where it is None, of another size than the networks see.

    Raises:
        StudyError: the exporter does not get along with the network.
    """
    import onnx

    largest = max(graph.sizes)
    example = torch.zeros(2, largest + 5, largest + 9, 3, dtype=torch.uint8) if photos is None else photos
    free = torch.export.Dim.DYNAMIC
    given: dict[str, Any] = {"input_names": [INPUT], "output_names": graph.outputs, "opset_version": OPSET}
    try:
        with torch.no_grad():
            program = torch.onnx.export(
                graph, (example,), dynamo=True, dynamic_shapes=({0: free, 1: free, 2: free},), verbose=False, **given
            )
        assert program is not None
        made: onnx.ModelProto = program.model_proto
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise StudyError(f"this model cannot be exported: torch.onnx.export says {reason}") from error
    _plain(made)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString(deterministic=True)


def _plain(made: Any) -> None:
    """Take out what the exporter notes of this machine: the lines and files that each node comes from."""
    made.ClearField("doc_string")
    made.ClearField("metadata_props")
    for part in (made.graph, *made.functions):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
        for node in part.node:
            node.ClearField("doc_string")
            node.ClearField("metadata_props")
    for value in (*made.graph.value_info, *made.graph.input, *made.graph.output):
        value.ClearField("doc_string")
        value.ClearField("metadata_props")
    for weights in made.graph.initializer:
        weights.ClearField("doc_string")
        weights.ClearField("metadata_props")
    for axis, name in enumerate(("n", "height", "width")):
        made.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    for output in made.graph.output:
        output.type.tensor_type.shape.dim[0].dim_param = "n"
    # Shapes of what lies between name the sizes by the exporter's own names.
    made.graph.ClearField("value_info")
