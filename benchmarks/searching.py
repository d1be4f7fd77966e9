"""How the search for copies grows: fingerprints that are made up, of photos that differ or that share a background.

    python benchmarks/searching.py PHOTOS different|alike

Prints one JSON row: seconds of the two searches, the peak of memory, the candidates, and the share of the copies among
them. Photos are not opened: of each pair that is found that takes some 10 ms more. benchmarks/growth.py runs this.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))
from manihot.catalog import candidates, views  # noqa: E402
from manihot.catalog.fingerprints import FEATURES, SIDE, Fingerprints  # noqa: E402

COPIES = 20  # one photo in so many is a copy of an earlier one, turned by a quarter
FLIPPED = 0.04  # of a feature's bits, in a copy or on a shared background
SHARED = 48  # features of a shared background
BLOCK = 20_000


def flips(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.uint64]:
    """Words in which about one bit in 25 is set."""
    words = [rng.integers(0, 1 << 64, shape, dtype=np.uint64, endpoint=False) for _ in range(5)]
    return words[0] & words[1] & words[2] & words[3] & (words[4] | words[3] >> np.uint64(7))


def made_up(count: int, alike: bool) -> tuple[Fingerprints, NDArray[np.int64]]:
    """Fingerprints, and the photo that each is a copy of (-1: none)."""
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 1 << 64, (count, FEATURES), dtype=np.uint64, endpoint=False)
    places = np.empty((count, FEATURES, 4), np.uint8)
    places[:] = rng.integers(1, 256, places.shape, dtype=np.uint8)
    places[:, :, 2] = 40 + places[:, :, 2] // 4
    thumbnails = np.empty((count, SIDE, SIDE), np.uint8)
    waves = np.cos(np.pi / SIDE * np.outer(np.arange(SIDE) + 0.5, np.arange(8))).astype(np.float32)
    fall = np.float32(1) / (1 + np.add.outer(np.arange(8), np.arange(8)))
    ground = rng.normal(0, 40, (8, 8)).astype(np.float32) * fall
    for start in range(0, count, BLOCK):
        some = slice(start, min(start + BLOCK, count))
        size = some.stop - start
        if alike:
            codes[some, :SHARED] = codes[0, :SHARED] ^ flips(rng, (size, SHARED))
            places[some, :SHARED] = places[0, :SHARED]
        own = rng.normal(0, 10 if alike else 40, (size, 8, 8)).astype(np.float32) * fall
        own[:, 0, 0] = 0
        picture = waves @ (own + ground if alike else own) @ waves.T
        thumbnails[some] = np.clip(picture + 128, 0, 255).astype(np.uint8)
    source = np.full(count, -1)
    copies = np.arange(COPIES - 1, count, COPIES)
    source[copies] = rng.integers(0, copies // 2 + 1) // COPIES * COPIES
    codes[copies] = codes[source[copies]] ^ flips(rng, (len(copies), FEATURES))
    placed = places[source[copies]]
    turned = placed.copy()
    turned[:, :, 0], turned[:, :, 1] = 255 - placed[:, :, 1], placed[:, :, 0]
    turned[:, :, 3] = placed[:, :, 3] + 64  # steps of a turn, which go around
    places[copies] = turned
    thumbnails[copies] = thumbnails[source[copies]].swapaxes(1, 2)[:, :, ::-1]
    return Fingerprints(thumbnails, codes, places), source


def main(count: int, alike: bool) -> None:
    """Measure one search."""
    prints, source = made_up(count, alike)
    rows = np.arange(count)
    start = time.perf_counter()
    found = candidates.candidates(prints, rows, lambda *step: None)
    features = time.perf_counter() - start
    start = time.perf_counter()
    a, b, *_ = views.alike(prints.thumbnails, rows, lambda *step: None)
    thumbnails = time.perf_counter() - start
    pairs = {*zip(found.a.tolist(), found.b.tolist(), strict=True), *zip(a.tolist(), b.tolist(), strict=True)}
    copies = np.flatnonzero(source >= 0)
    hit = sum((int(source[copy]), int(copy)) in pairs for copy in copies)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row = {
        "photos": count, "alike": alike, "features_s": round(features, 1), "thumbnails_s": round(thumbnails, 1),
        "peak_mb": round(peak), "candidates": len(pairs), "copies": len(copies),
        "copies_found": round(hit / len(copies), 4), "crowded": int(found.crowded.sum()),
    }  # fmt: skip
    print(json.dumps(row))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] == "alike")
