"""Fine-tuning: a training step of pretrained networks against PyTorch's defaults, and from a cut against the whole."""

from collections.abc import Iterator

import limits
import numpy as np
import torch
from measuring import Row, Way, rate, row, sides
from torch import nn
from trainers import BATCH, CLASSES, CUT, CUT_NETWORK, TUNED, cut_trainer, finetuned, plain_step, trainer

from manihot.networks import build, device
from manihot.networks.flops import flops

SIZE, CPU = 224, torch.device("cpu")


def noise(count: int, size: int) -> np.ndarray:
    """Photos uint8 [count, size, size, 3]: what they show takes no time."""
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def way(side: str, key: str, size: int = SIZE) -> Way:
    """Photos a second of a fine-tuning step. Of a cut both sides are ours: theirs is the whole network."""
    kind, network = key.split("/", 1)
    pixels = noise(BATCH, size)
    if kind == "from_cut" and side == "ours":
        own = cut_trainer(pixels, finetuned(size, network, train_from=CUT), CPU)
    elif kind == "from_cut" or side == "ours":
        own = trainer(pixels, finetuned(size, network), CPU)
    else:
        step = plain_step(network, size, BATCH, CPU)
        step()
        return lambda: rate(step)

    def epoch() -> int:
        own.run_epoch(lambda *_: None)
        return BATCH

    epoch()
    return lambda: rate(epoch)


def step_flops(network: str, size: int) -> int:
    """FLOP of one photo in a training step of the whole network: three times those forward."""
    model: nn.Module = build.assemble(network, CLASSES, size, 0.0, None)
    return 3 * flops(model, size, training=False)


def rows(pairs: int) -> Iterator[Row]:
    """The rows of this stage."""
    peak = limits.matrix_product(device.precision("auto", CPU))
    with sides("finetuning") as measure:
        for network in TUNED:
            key = f"finetune/{network}"
            yield row(key, "photos/s", *measure(key, pairs), peak / step_flops(network, SIZE))
        key = f"from_cut/{CUT_NETWORK}"
        yield row(key, "photos/s", *measure(key, pairs))
