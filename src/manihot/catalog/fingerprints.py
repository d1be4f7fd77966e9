"""What a copy of a photo is known by: a thumbnail, and local features that outlast turns, crops and mirrors."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import thread_time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]

SIDE = 32  # of a thumbnail, pixels
FEATURES = 64  # of a photo, at most
BYTES = SIDE * SIDE + FEATURES * (8 + 4)  # of a fingerprint
LONG_SIDE = 160  # of the picture that is searched for features, pixels
DETECTED = 220  # features among which those of a fingerprint are chosen
CELLS, IN_A_CELL = 4, 8  # of a grid over the picture, a side; features that one may hold before the others are full
SMALLEST = 2.0  # diameter of a feature, pixels
STEPS = 24  # of a feature's size, an octave
TURN = 256  # steps of its angle, a full turn


@dataclass(frozen=True)
class Fingerprints:
    """Of N photos: `thumbnails` uint8 [N, 32, 32], `codes` uint64 [N, 64] and `places` uint8 [N, 64, 4].

    A feature is a code and its place: x and y in 1/256 of the photo's long side, size in 1/24 octaves (0: there
    is no feature) and angle in 1/256 turns. Two features of one spot have codes that differ in few bits; in a
    mirrored copy they differ in few bits from `MIRROR`.
    """

    thumbnails: Array
    codes: Array
    places: Array

    def __len__(self) -> int:
        return len(self.codes)

    def packed(self) -> Array:
        """One array uint8 [N, 1792], as it is stored."""
        count = len(self)
        parts = (self.thumbnails, self.codes.astype("<u8").view(np.uint8), self.places)
        return np.concatenate([part.reshape(count, -1) for part in parts], axis=1)


def unpack(stored: Array) -> Fingerprints:
    """The fingerprints in an array uint8 [N, 1792]; a mapped file stays one but for the codes."""
    count, first, second = len(stored), SIDE * SIDE, SIDE * SIDE + 8 * FEATURES
    codes = np.ascontiguousarray(stored[:, first:second]).view("<u8")
    return Fingerprints(
        stored[:, :first].reshape(count, SIDE, SIDE),
        codes.astype(np.uint64, copy=False),
        stored[:, second:].reshape(count, FEATURES, 4),
    )


def gather(shards: Sequence[Array], rows: Array) -> Fingerprints:
    """The fingerprints of some `rows` int64 [N] of stored `shards` (uint8 [n, 1792] each, counted through)."""
    count = len(rows)
    found = Fingerprints(
        np.empty((count, SIDE, SIDE), np.uint8),
        np.empty((count, FEATURES), np.uint64),
        np.empty((count, FEATURES, 4), np.uint8),
    )
    start = 0
    for shard in shards:
        mine = np.flatnonzero((rows >= start) & (rows < start + len(shard)))
        some = unpack(shard[rows[mine] - start])
        found.thumbnails[mine], found.codes[mine], found.places[mine] = some.thumbnails, some.codes, some.places
        start += len(shard)
    return found


def joined(*parts: Fingerprints) -> Fingerprints:
    """The fingerprints of several sets as those of one."""
    names = ("thumbnails", "codes", "places")
    return Fingerprints(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


class Describer:
    """Collects the features of photos, one after the other, and the seconds of a core that this takes."""

    def __init__(self) -> None:
        self.found: dict[int, tuple[Array, Array]] = {}
        self.seconds = 0.0

    def __call__(self, index: int, photo: Image.Image) -> None:
        """Take in the photo of number `index`, as decoded."""
        start = thread_time()
        self.found[index] = local_features(shrunk(photo, LONG_SIDE))
        self.seconds += thread_time() - start

    def packed(self, thumbnails: Array) -> Array:
        """The fingerprints uint8 [N, 1792] of N photos with these `thumbnails` uint8 [N, 32, 32].

        Those that were not taken in have no features.
        """
        return self.prints(thumbnails).packed()

    def prints(self, thumbnails: Array) -> Fingerprints:
        """The same as `Fingerprints`."""
        codes = np.zeros((len(thumbnails), FEATURES), np.uint64)
        places = np.zeros((len(thumbnails), FEATURES, 4), np.uint8)
        for index, found in self.found.items():
            codes[index], places[index] = found
        return Fingerprints(thumbnails, codes, places)


def shrunk(photo: Image.Image, long_side: int, mode: str = "L") -> Array:
    """A photo in grey, uint8 [H, W] (or with `mode` RGB [H, W, 3]), its long side so many pixels."""
    factor = long_side / max(photo.size)
    size = max(1, round(photo.width * factor)), max(1, round(photo.height * factor))
    reduced = photo.reduce(max(1, int(1 / factor / 2))).convert(mode)
    return np.asarray(reduced.resize(size, Image.Resampling.BILINEAR))


def local_features(grey: Array) -> tuple[Array, Array]:
    """The strongest features of a picture uint8 [H, W], spread over it: codes uint64 [64], places uint8 [64, 4].

    Found and described by SIFT (Lowe 2004); a code holds the signs of 64 slow waves in a descriptor.
    """
    cv2.setNumThreads(1)
    codes, places = np.zeros(FEATURES, np.uint64), np.zeros((FEATURES, 4), np.uint8)
    sift = cv2.SIFT.create(nfeatures=DETECTED, contrastThreshold=0.01, edgeThreshold=12)
    points = sift.detect(grey, None)
    table = np.array([(*p.pt, p.size, p.angle, p.response) for p in points]).reshape(-1, 5)
    chosen = _spread(table, grey.shape)
    if not len(chosen):
        return codes, places
    x, y, size, angle = table[chosen, :4].T
    _, descriptors = sift.compute(grey, [points[row] for row in chosen])
    codes[: len(chosen)] = codes_of(descriptors)
    unit = 256 / max(grey.shape)
    stored = (
        np.clip(x * unit, 0, 255),
        np.clip(y * unit, 0, 255),
        np.clip(np.log2(size) * STEPS, 1, 255),
        angle / 360 * TURN % TURN,
    )
    places[: len(chosen)] = np.stack([np.round(values) % 256 for values in stored], axis=1)
    return codes, places


def _spread(table: Array, shape: tuple[int, ...]) -> Array:
    """The rows of the strongest features, so many at most, no part of the picture crowded while others are empty."""
    order = np.lexsort((*table[:, :4].T, -table[:, 4]))
    order = order[table[order, 2] >= SMALLEST]
    cell = (table[order, :2] * CELLS / np.array(shape[1::-1])).astype(int) @ np.array([1, CELLS])
    rank = np.empty(len(order), int)
    for one in np.unique(cell):
        inside = np.flatnonzero(cell == one)
        rank[inside] = np.arange(len(inside))
    return np.concatenate([order[rank < IN_A_CELL], order[rank >= IN_A_CELL]])[:FEATURES]


def _waves() -> tuple[Array, int]:
    """64 waves float32 [128, 64] over a descriptor (4 x 4 cells of 8 directions), and the bits that a mirror flips.

    Cosines across the cells, cosines and sines around the directions, the slowest first. A mirror swaps the rows
    of cells and reverses the directions: a wave keeps its value or changes its sign. Waves that are even in every
    way are left out: they are large and of one sign in all descriptors.
    """
    across = np.cos(np.pi / 4 * np.outer(np.arange(4), np.arange(4) + 0.5))
    waves = []
    for v, u, f, sine in np.ndindex(4, 4, 5, 2):
        if (sine and f in (0, 4)) or (v % 2 == 0 and u % 2 == 0 and not sine):
            continue
        around = (np.sin if sine else np.cos)(2 * np.pi * f / 8 * np.arange(8))
        wave = across[v][:, None, None] * across[u][None, :, None] * around
        waves.append((u * u + v * v + f * f, (v + sine) % 2, wave.ravel()))
    waves.sort(key=lambda wave: wave[0])  # stable
    slowest = waves[:FEATURES]
    mask = sum(odd << bit for bit, (_, odd, _) in enumerate(slowest))
    return np.stack([wave for *_, wave in slowest], axis=1).astype(np.float32), mask


_BASIS, _MASK = _waves()
MIRROR = np.uint64(_MASK)
_BIT = np.uint64(1) << np.arange(64, dtype=np.uint64)


def codes_of(descriptors: Array) -> Array:
    """Codes uint64 [K] of SIFT descriptors float32 [K, 128]."""
    values = np.sqrt(descriptors) @ _BASIS
    return ((values > 0) * _BIT).sum(axis=1, dtype=np.uint64)
