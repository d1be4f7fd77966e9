"""Decoding and resizing: the study's own way (Pillow, torchvision's resize of its image) against the cache's.

Both in turns on the same photos, in processor time, so that a busy machine slows both: read the ratios. Then
each way of ours in one and in two processes, in wall time, which needs a machine with two free cores.

    python benchmarks/pixels.py [PHOTO_FOLDER] [size]
"""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import Resize

from manihot.files import sha256
from manihot.pixel_cache import square

PHOTOS, ROUNDS = 200, 7
SAMPLE = Path(__file__).parents[1].parent / "shared" / "data" / "cassava" / "images"


def theirs(path: Path, digest: str, size: int) -> NDArray[np.uint8]:
    """The study's own pixels."""
    return np.asarray(Resize((size, size))(Image.open(path).convert("RGB")))


def ours(path: Path, digest: str, size: int, decode: str) -> NDArray[np.uint8]:
    """What the cache holds; its file is checked against the catalog, as in the pipeline."""
    photo = {"image_id": path.name, "status": "ok", "sha256": digest}
    return square(photo, path.parent, size, decode)


def seconds(way: Callable[..., NDArray[np.uint8]], photos: list[tuple[Path, str]], clock: Callable[[], float]) -> float:
    """What it takes one thread to see all photos once."""
    torch.set_num_threads(1)
    start = clock()
    for path, digest in photos:
        way(path, digest)
    return clock() - start


def main() -> None:
    """Print the rates and ratios."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 224
    if not folder.is_dir():
        print(f"pixels: no photos in {folder}: python benchmarks/pixels.py PHOTO_FOLDER")
        return
    photos = [(path, sha256(path)) for path in sorted(folder.iterdir())[:PHOTOS]]
    exact, fast = (partial(ours, size=size, decode=decode) for decode in ("exact", "fast"))
    ways = {"Pillow, as the study": partial(theirs, size=size), "exact": exact, "fast": fast}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            taken[name].append(seconds(way, photos, time.process_time))
    slow = taken["Pillow, as the study"]
    for name, times in taken.items():
        ratio = median(a / b for a, b in zip(slow, times, strict=True))
        rate = len(photos) / min(times)
        print(f"{name:22} {rate:6.0f} photos/s of one core at {size} px, {ratio:.2f} times Pillow")

    right = np.stack([theirs(*photo, size) for photo in photos[:50]]).astype(int)
    for name, way in (("exact", exact), ("fast", fast)):
        off = np.abs(np.stack([way(*photo) for photo in photos[:50]]) - right)
        noise = 10 * np.log10(255**2 / np.square(off).mean())
        print(f"{name:22} off by {off.mean():.3f} grey levels on average, {off.max()} at most, {noise:.1f} dB")

    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(seconds, [fast, fast], [photos[:4]] * 2, [time.perf_counter] * 2))  # start both
        for name, way in (("exact", exact), ("fast", fast)):
            gains = []
            for _ in range(ROUNDS):
                alone = pool.submit(seconds, way, photos, time.perf_counter).result()
                start = time.perf_counter()
                list(pool.map(seconds, [way] * 2, [photos] * 2, [time.perf_counter] * 2))
                gains.append(2 * alone / (time.perf_counter() - start))
            print(f"{name:22} two processes {median(gains):.2f} times one")


if __name__ == "__main__":
    main()
