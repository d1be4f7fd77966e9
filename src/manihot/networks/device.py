"""Which device a job computes on, in which precision, and how much memory that took."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from manihot.core import gpus
from manihot.core.errors import StudyError
from manihot.core.gpus import Compute

log = logging.getLogger(__name__)


@contextmanager
def choose(compute: Compute) -> Iterator[torch.device]:
    """The device a job may use in the context.

    A single device in CUDA_VISIBLE_DEVICES is the scheduler's choice and taken; of several that are visible
    one is leased, which at most `compute.gpu_slots` jobs of this user on this machine hold at a time.

    Raises:
        StudyError: `cuda` is asked for and there is none.
    """
    if compute.device == "cpu" or not torch.cuda.is_available():
        if compute.device == "cuda":
            raise StudyError("device is cuda, but no CUDA device is visible here: set device to auto or cpu")
        log.info("device: cpu%s", " (no CUDA device is visible)" if compute.device == "auto" else "")
        yield torch.device("cpu")
        return
    # Photos of one size: the fastest convolution is worth looking for once.
    torch.backends.cudnn.benchmark = True
    with gpus.leased(torch.cuda.device_count(), compute.gpu_slots) as index:
        yield _cuda(index)


def _cuda(index: int) -> torch.device:
    device = torch.device("cuda", index)
    torch.cuda.set_device(device)
    log.info("device: %s, %s", device, torch.cuda.get_device_name(device))
    torch.cuda.reset_peak_memory_stats(device)
    return device


def precision(requested: str, device: torch.device) -> torch.dtype:
    """The number format of convolutions and matrix products; weights and losses stay float32.

    `auto` is bfloat16 where the hardware is fast in it (CUDA from capability 8.0, processors with AMX, AMD's
    with AVX512-BF16), float32 elsewhere: what is emulated is slower than float32.
    """
    if requested != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[requested]
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        native = _cpu_is_fast_in_bfloat16()
    return torch.bfloat16 if native else torch.float32


def _cpu_is_fast_in_bfloat16() -> bool:
    if hasattr(torch.cpu, "get_capabilities"):
        has = torch.cpu.get_capabilities().get
        # Intel's Xeons since Sapphire Rapids (told by their FP16) are fast in AMX only: where a virtual machine hides
        # it, a large product in AVX512-BF16 takes twice as long as in float32.
        return has("amx_bf16", False) or (has("avx512_bf16", False) and not has("avx512_fp16", False))
    # torch before it had a public function for this
    private = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in private)


def costs(device: torch.device, dtype: torch.dtype) -> dict[str, str | float]:
    """What a job's cost row says of its device: name, precision and, on a GPU, its peak memory in MB."""
    row: dict[str, str | float] = {"device": "cpu", "precision": str(dtype).removeprefix("torch.")}
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 2**20
        row |= {"device": torch.cuda.get_device_name(device), "peak_memory_mb": round(peak, 1)}
    return row
