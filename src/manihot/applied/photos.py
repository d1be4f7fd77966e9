"""New photos as a model sees them: decoded by threads, a batch at a time, with the reason where one cannot be used."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from manihot.catalog.inspect import UnusableError
from manihot.pixels.cache import new_square

# Batches that are decoded while one is answered.
AHEAD = 2

StrPath: TypeAlias = str | PathLike[str]


class Seen(NamedTuple):
    """What a network sees of a photo: a square of `size` pixels a side, `decode`d exactly or fast."""

    size: int
    decode: str


@dataclass(frozen=True)
class Decoded:
    """A batch of photos: the path of each, why it cannot be used (empty where it can), and the pixels of those that
    can, uint8 [usable, size, size, 3] in the order of the paths, for each way in which they are seen."""

    paths: list[str]
    problems: list[str]
    pixels: dict[Seen, NDArray[np.uint8]]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which of the paths have pixels, bool [n]."""
        return np.array([not problem for problem in self.problems], bool)


def decoded(
    paths: Iterable[StrPath], seen: Collection[Seen], batch_size: int, workers: int, max_pixels: int
) -> Iterator[Decoded]:
    """The photos at `paths` in order, `batch_size` at a time, decoded by `workers` threads AHEAD of who asks.

    `paths` is read as photos are decoded: no more than AHEAD + 2 batches are in memory. A photo of more than
    `max_pixels` pixels, a damaged file and what is no image have their reason, and end nothing.
    """
    pool = ThreadPoolExecutor(workers)
    left = iter(paths)
    pending: deque[list[tuple[str, Future[dict[Seen, NDArray[np.uint8]] | str]]]] = deque()
    try:
        while True:
            while len(pending) <= AHEAD and (some := list(islice(left, batch_size))):
                pending.append([(str(path), pool.submit(_squares, str(path), seen, max_pixels)) for path in some])
            if not pending:
                return
            yield _together(pending.popleft(), seen)
    finally:
        # Who asks for no more need not wait for what was decoded ahead.
        pool.shutdown(wait=False, cancel_futures=True)


def _squares(path: str, seen: Collection[Seen], max_pixels: int) -> dict[Seen, NDArray[np.uint8]] | str:
    """A photo's pixels in each way in which it is seen, or why it cannot be used."""
    try:
        return {way: new_square(path, way.size, way.decode, max_pixels) for way in seen}
    except UnusableError as error:
        return str(error)


def _together(batch: list[tuple[str, Future[dict[Seen, NDArray[np.uint8]] | str]]], seen: Collection[Seen]) -> Decoded:
    made = [future.result() for _, future in batch]
    problems = [squares if isinstance(squares, str) else "" for squares in made]
    usable = [squares for squares in made if not isinstance(squares, str)]
    pixels = {
        way: np.stack([squares[way] for squares in usable])
        if usable
        else np.empty((0, way.size, way.size, 3), np.uint8)
        for way in seen
    }
    return Decoded([path for path, _ in batch], problems, pixels)
