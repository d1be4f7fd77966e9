"""Ways of a training step of small_cnn that might be faster on a GPU than the pipeline's own, and their rows."""

from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any

import block_kernels
import numpy as np
import torch
from measuring import seconds
from torch import Tensor
from torch.nn import functional

from manihot.networks.blocks import Block
from manihot.training.trainer import Trainer

SHAPES = ((224, 96), (224, 256), (224, 32), (64, 32))  # pixels a side, batch
COMPILED_AT = {(224, 96), (64, 32), (32, 4)}  # compiling takes half a minute each time
REPLAYS = 100
Row = dict[str, Any]


def with_kernels(own: Trainer) -> None:
    """A change of a trainer: its blocks train with the kernels of `block_kernels`. It has no validation."""

    def forward(block: Block, maps: Tensor) -> Tensor:
        norm = block.norm
        return block_kernels.NormalisedMaxima.apply(
            functional.conv2d(maps, block.convolution.weight, padding=1), block.convolution.bias, norm.weight,
            norm.bias, norm.running_mean, norm.running_var, norm.momentum, norm.eps, block.pooling,
        )  # fmt: skip

    for block in own.model.modules():
        if isinstance(block, Block):
            block.forward = MethodType(forward, block)  # type: ignore[method-assign]


def compiled(mode: str) -> Callable[[Trainer], None]:
    """A change of a trainer: PyTorch compiles its network."""

    def change(own: Trainer) -> None:
        torch._dynamo.reset()
        own.model = torch.compile(own.model, mode=mode)

    return change


WAYS: dict[str, Callable[[Trainer], None]] = {
    "layers": lambda own: None,
    "kernels": with_kernels,
    "compiled": compiled("default"),
    "compiled_with_graphs": compiled("reduce-overhead"),
}


def captured(own: Trainer, batch: int) -> Callable[[], None]:
    """`REPLAYS` steps of training, each one CUDA graph, and then waiting for them."""
    photos, index = next(own.train_batches(np.arange(len(own.targets)), batch))
    optimizer = torch.optim.Adam(own.parameters, lr=1e-4, fused=True, capturable=True)
    own.model.train()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with own.autocast():
            logits = own.model(photos)
        own.loss(logits.float(), own.targets[index]).backward()
        optimizer.step()

    side = torch.cuda.Stream(own.device)
    side.wait_stream(torch.cuda.current_stream(own.device))
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream(own.device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def replay() -> None:
        for _ in range(REPLAYS):
            graph.replay()
        torch.cuda.synchronize(own.device)

    return replay


def rows(
    make: Callable[[int, int, int], Trainer],
    rate: Callable[[Trainer], tuple[float, float]],
    repeated: Callable[[Callable[[], object]], float],
    shapes: tuple[tuple[int, int], ...] = SHAPES,
) -> Iterator[Row]:
    """Photos a second of each way by photo size and batch, and what its first epoch took.

    `make` gives a trainer of so many pixels, photos a batch and batches; `rate` its photos a second and the host's
    share; `repeated` how often a second something can be done.
    """
    for size, batch in shapes:
        for name, change in WAYS.items():
            if name.startswith("compiled") and (size, batch) not in COMPILED_AT:
                continue
            own = make(size, batch, 32)
            if name == "kernels" and own.device.type != "cuda":
                continue
            change(own)
            first = seconds(lambda: own.run_epoch(lambda *_: None))  # noqa: B023 (called in this round)
            value, host = rate(own)
            key = f"blocks/{name}/{size}px/batch_{batch}"
            yield {"key": key, "value": value, "unit": "photos/s", "host_share": host, "first_epoch_s": first}
        for name in ("layers", "kernels"):
            own = make(size, batch, 1)
            if own.device.type == "cuda":
                WAYS[name](own)
                value = repeated(captured(own, batch)) * REPLAYS * batch
                yield {"key": f"blocks/{name}_in_a_graph/{size}px/batch_{batch}", "value": value, "unit": "photos/s"}
