"""What the machine can do at most: matrix products, copies of memory, bare decoding."""

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from measuring import rate

SIDE = 4096
CPU = torch.device("cpu")


def best(step: Callable[[], int], clock: Callable[[], float] = time.perf_counter) -> float:
    """The best rate of five rounds: a limit is what nothing disturbed."""
    step()
    return max(rate(step, 0.5, clock) for _ in range(5))


@cache
def matrix_product(dtype: torch.dtype, device: torch.device = CPU) -> float:
    """FLOP a second of a large matrix product."""
    a, b = (torch.rand(SIDE, SIDE, device=device).to(dtype) for _ in range(2))
    out = torch.empty(SIDE, SIDE, dtype=dtype, device=device)
    times = 1 if device == CPU else 100

    def step() -> int:
        for _ in range(times):
            torch.mm(a, b, out=out)
        if device != CPU:
            torch.cuda.synchronize(device)
        return times * 2 * SIDE**3

    return best(step)


@cache
def memory_copy() -> float:
    """Bytes a second, those read and those written counted, of a copy larger than any cache."""
    source = torch.zeros(2**28, dtype=torch.uint8)
    target = torch.empty_like(source)

    def step() -> int:
        target.copy_(source)
        return 2 * source.numel()

    return best(step)


def bare_decode(photos: list[Path], reduced: bool) -> float:
    """Photos a second that the decoder alone gets through on one core, from memory, whole or at half their size."""
    import simplejpeg  # not on every machine that the rest is measured on

    contents = [path.read_bytes() for path in photos]
    sides = [
        tuple(-(-side // (1 + reduced)) for side in simplejpeg.decode_jpeg_header(content)[:2]) for content in contents
    ]

    def step() -> int:
        for content, (height, width) in zip(contents, sides, strict=True):
            simplejpeg.decode_jpeg(content, "RGB", min_width=width, min_height=height)
        return len(contents)

    return best(step, time.process_time)
