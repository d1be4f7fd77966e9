"""Pairs of measurements in turns, a process a side, and the rows that are made of them."""

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
SAMPLE = SHARED / "cassava" / "images"
# As the Snakefile sets it for its jobs; the study's own way runs with the system's defaults.
ALLOCATOR = (
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0"
    ":glibc.malloc.trim_threshold=34359738368:glibc.malloc.top_pad=268435456"
)
Way = Callable[[], float]


@dataclass(frozen=True)
class Row:
    """A line of the table; `ratio` is how many times better ours is, its range over the pairs beside it.

    `limit_share` is what ours reaches of what the machine would allow, None where there is no such limit.
    """

    key: str
    theirs: float | None
    ours: float
    unit: str
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    pairs: int
    limit_share: float | None


def row(key: str, unit: str, theirs: Sequence[float], ours: Sequence[float], limit: float | None = None) -> Row:
    """The medians of pairs of measurements; more is better, but for seconds and MB."""
    less = unit in ("s", "MB")
    ratios = [a / b if less else b / a for a, b in zip(theirs, ours, strict=bool(theirs))]
    value = median(ours)
    spread = (median(ratios), min(ratios), max(ratios)) if ratios else (None, None, None)
    share = None if limit is None else (limit / value if less else value / limit)
    return Row(key, median(theirs) if theirs else None, value, unit, *spread, len(ours), share)


def seconds(way: Callable[[], object]) -> float:
    """What a way takes in wall time."""
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


def rate(step: Callable[[], int], least: float = 1.5, clock: Callable[[], float] = time.perf_counter) -> float:
    """How many photos a second `step`, which returns how many it did, gets through in `least` seconds."""
    start, seen = clock(), 0
    while seen == 0 or clock() - start < least:
        seen += step()
    return seen / (clock() - start)


class Side:
    """A process that measures the ways of one side of a module: `module.way(side, key)`, made once, then called."""

    def __init__(self, module: str, side: str):
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        if side == "ours":
            environment["GLIBC_TUNABLES"] = ALLOCATOR
        command = [sys.executable, __file__, module, side]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, key: str) -> float:
        """One measurement."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{key}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args} ended while it measured {key}")
        return json.loads(line)


@contextmanager
def sides(module: str) -> Iterator[Callable[[str, int], tuple[list[float], list[float]]]]:
    """A function that measures a key of `module` in so many pairs, the sides in turns: (theirs, ours)."""
    theirs, ours = Side(module, "theirs"), Side(module, "ours")

    def measure(key: str, pairs: int) -> tuple[list[float], list[float]]:
        both = [(theirs(key), ours(key)) for _ in range(pairs)]
        return [a for a, _ in both], [b for _, b in both]

    yield measure
    for side in (theirs, ours):
        side.process.communicate()


def serve(module: str, side: str) -> None:
    """Answer each line, a key, with a measurement; only the last key's way is kept in memory."""
    make: Callable[[str, str], Way] = importlib.import_module(module).way
    kept: dict[str, Way] = {}
    for line in sys.stdin:
        if line not in kept:
            kept.clear()
            kept[line] = make(side, line.strip())
        print(json.dumps(kept[line]()), flush=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])
