"""Decoding, resizing and feeding: the study's own way (Pillow, torchvision's resize) against the cache's."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import limits
import numpy as np
import photos
import torch
from measuring import Row, Way, rate, row, seconds, sides
from numpy.typing import NDArray
from PIL import Image
from theirs import JpegFiles
from torch.utils.data import DataLoader
from torchvision.transforms import Resize

from manihot.core import files
from manihot.networks import build
from manihot.networks.batches import Batches
from manihot.pixels import store as cached
from manihot.pixels.cache import square

PHOTOS, SIZE, BATCH = 200, 224, 96
Photo = tuple[Path, str]


def theirs(photo: Photo) -> NDArray[np.uint8]:
    """The study's own pixels."""
    return np.asarray(Resize((SIZE, SIZE))(Image.open(photo[0]).convert("RGB")))


def ours(photo: Photo, decode: str) -> NDArray[np.uint8]:
    """What the cache holds; the file is checked against the catalog, as in the pipeline."""
    path, digest = photo
    return square({"image_id": path.name, "status": "ok", "sha256": digest}, path.parent, SIZE, decode)


def per_core(way: Callable[[Photo], object], shown: list[Photo]) -> float:
    """Photos a second of processor time, on one thread."""
    torch.set_num_threads(1)
    start = time.process_time()
    for photo in shown:
        way(photo)
    return len(shown) / (time.process_time() - start)


def in_turn(way: Callable[[Photo], object], shown: list[Photo]) -> float:
    """Seconds of one thread."""
    torch.set_num_threads(1)
    return seconds(lambda: [way(photo) for photo in shown])


def check(shown: list[Photo]) -> None:
    """Both ways give the same pixels, to one grey level; those of the fast way look the same."""
    right = np.stack([theirs(photo) for photo in shown]).astype(int)
    off = {decode: np.abs(np.stack([ours(p, decode) for p in shown]) - right) for decode in ("exact", "fast")}
    if off["exact"].max() > 1:
        sys.exit(f"the exact pixels are off by {off['exact'].max()} grey levels: nothing is measured")
    noise = {decode: 10 * np.log10(255**2 / np.square(by).mean()) for decode, by in off.items()}
    print(f"pixels equal to one grey level, {noise['exact']:.1f} dB; fast {noise['fast']:.1f} dB", flush=True)


def way(side: str, key: str) -> Way:
    """Photos a second: of a core (pixels_exact, pixels_fast), or ready as float32 batches (feeding_224)."""
    if key != "feeding_224":
        shown = [(path, files.sha256(path)) for path in photos.paths(PHOTOS)]
        own = theirs if side == "theirs" else partial(ours, decode=key.split("_")[1])
        return lambda: per_core(own, shown)
    if side == "theirs":
        batches = DataLoader(JpegFiles(photos.labelled(BATCH), SIZE), BATCH, shuffle=True)
        return lambda: rate(lambda: sum(len(targets) for _, targets in batches))
    folder = tempfile.TemporaryDirectory()
    manifest = photos.cache_pixels(BATCH, SIZE, Path(folder.name))
    catalog = photos.cataloged(BATCH)
    ready = Batches(cached.gather(catalog, catalog, [manifest], SIZE), torch.device("cpu"), build.PIXELS)
    order = np.random.default_rng(0).permutation(BATCH)
    way.folder = folder  # as long as the process
    return lambda: rate(lambda: sum(len(index) for _, index in ready(order, BATCH)))


def rows(pairs: int) -> Iterator[Row]:
    """The rows of this stage."""
    shown = [(path, files.sha256(path)) for path in photos.paths(PHOTOS)]
    check(shown[:50])
    with sides("pixels") as measure:
        for decode in ("exact", "fast"):
            bare = limits.bare_decode(photos.paths(PHOTOS), decode == "fast")
            yield row(f"pixels_{decode}", "photos/s a core", *measure(f"pixels_{decode}", pairs), bare)
    exact = partial(ours, decode="exact")
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(in_turn, [exact] * 2, [shown[:4]] * 2))  # start both
        alone, together = [], []
        for _ in range(pairs):
            alone.append(PHOTOS / pool.submit(in_turn, exact, shown).result())
            together.append(2 * PHOTOS / seconds(lambda: list(pool.map(in_turn, [exact] * 2, [shown] * 2))))
        yield row("pixels_two_cores", "photos/s", alone, together, 2 * max(alone))
    with sides("pixels") as measure:
        moved = SIZE * SIZE * 3 * (1 + 4)  # read as bytes and written as float32, if once were enough
        yield row("feeding_224", "photos/s", *measure("feeding_224", pairs), limits.memory_copy() / moved)
