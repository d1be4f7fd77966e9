"""Which of the machine's GPUs a job may use; without torch, which boosted trees do without."""

import ctypes
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from filelock import FileLock, Timeout


@dataclass(frozen=True)
class Compute:
    """What a job computes on.

    `device` is `auto` (a GPU where there is one), `cpu` or `cuda`; `precision` `auto`, `float32` or `bfloat16`;
    `threads` those of the processor; `gpu_slots` how many jobs may share a GPU.
    """

    device: str = "auto"
    precision: str = "auto"
    threads: int = 1
    gpu_slots: int = 1


def count() -> int:
    """How many CUDA devices the driver shows this process; 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    found = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(found)):
        return 0
    return found.value


@contextmanager
def leased(visible: int, slots: int) -> Iterator[int]:
    """The index, among the `visible` devices, of the one this job may use in the context.

    A single device in CUDA_VISIBLE_DEVICES is the scheduler's choice and taken; of several that are visible
    one is leased, which at most `slots` jobs of this user on this machine hold at a time.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    ids = named.split(",") if named else [str(index) for index in range(visible)]
    if named and len(ids) == 1:
        yield 0
        return
    with lease(ids, slots, Path(tempfile.gettempdir()) / f"manihot-devices-{os.getuid()}") as name:
        yield ids.index(name)


@contextmanager
def lease(ids: Sequence[str], slots: int, folder: Path, poll_seconds: float = 0.5) -> Iterator[str]:
    """Hold one of the devices `ids`, the emptiest first, waiting until one of its `slots` is free.

    A slot is a locked file in `folder`: the operating system frees it when its job ends, however it ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        for slot, name in product(range(slots), ids):
            lock = FileLock(folder / f"{name}-{slot}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                yield name
            finally:
                lock.release()
            return
        time.sleep(poll_seconds)
