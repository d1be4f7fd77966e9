"""The synthetic data sets: labelled photos that exist anywhere, for trying a study and for its tests.

`leaves`: five conditions of a palmate leaf that differ by the colour, number, size and shape of their spots,
imbalanced as the cassava photos are. `needles`: needles and a few other leaves, for a new class.
"""

import io
import multiprocessing
import os
import shutil
import sys
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image

from manihot.core.errors import StudyError
from manihot.photos import leaves
from manihot.photos.facts import Label


class Kind(NamedTuple):
    """A class of synthetic photos; `share` is relative to that of the other classes."""

    label: str
    name: str
    share: float
    render: Callable[[np.random.Generator], Image.Image]


KINDS = {
    # The shares are the counts of the cassava photos.
    "leaves": [
        Kind("0", "Angular blight", 1087, partial(leaves.leaves_in_field, spots=leaves.BLIGHT)),
        Kind("1", "Brown streak", 2189, partial(leaves.leaves_in_field, spots=leaves.STREAK)),
        Kind("2", "Pale mottle", 2386, partial(leaves.leaves_in_field, spots=leaves.MOTTLE)),
        Kind("3", "Yellow mosaic", 13158, partial(leaves.leaves_in_field, spots=leaves.MOSAIC)),
        Kind("4", "Healthy", 2577, partial(leaves.leaves_in_field, spots=None)),
    ],
    "needles": [
        Kind("needle", "Needle", 85, partial(leaves.leaf_on_paper, render=leaves.needle_twig)),
        Kind("round leaf", "Round leaf", 7, partial(leaves.leaf_on_paper, render=leaves.round_leaf)),
        Kind("lobed leaf", "Lobed leaf", 8, partial(leaves.leaf_on_paper, render=leaves.lobed_leaf)),
    ],
}
# Some cameras store a photo on its side and say so: one in so many here does.
ON_ITS_SIDE = 100


@dataclass(frozen=True)
class Demo:
    """A synthetic data set of so many `photos` of a kind.

    A share `label_noise` of them shows another class than its label says. The last `duplicates + damaged` are
    made from earlier ones: copies that are encoded again, smaller, cropped or brighter, the last of them with
    a wrong label; and files that are cut off or empty.
    """

    photos: int
    kind: str
    label_noise: float
    duplicates: int
    damaged: int
    seed: int


def render_demo(images: Path, demo: Demo, processes: int, progress: Callable[[int, int], None]) -> list[Label]:
    """Render the photos as JPEG files of 400x300 into `images`; returns their labels.

    A synthetic photo depends on kind, seed and its number alone: so many `processes` share them.

    Raises:
        StudyError: no room is left for photos beside duplicates and damaged files.
    """
    photos, kind, duplicates = demo.photos, demo.kind, demo.duplicates
    originals = photos - duplicates - demo.damaged
    if originals < 1:
        raise StudyError(
            f"photos: {photos} leave no room beside {duplicates} duplicates and {demo.damaged} damaged files"
        )
    shutil.rmtree(images, ignore_errors=True)
    images.mkdir(parents=True)
    # A prime step, so that the sources of copies are spread over the photos.
    sources = [index if index < originals else index * 7919 % originals for index in range(photos)]
    classes = [_class_of(source, kind, demo.seed) for source in sources]
    if duplicates:
        classes[originals + duplicates - 1] = (classes[originals + duplicates - 1] + 1) % len(KINDS[kind])
    labels = [Label(f"{kind}_{index:05d}.jpg", *KINDS[kind][one][:2]) for index, one in enumerate(classes)]

    paths = [images / label.image_id for label in labels]
    with _pool(processes) as pool:
        for done, _ in enumerate(pool.map(_make, repeat(demo), range(photos), sources, paths, chunksize=8), 1):
            progress(done, photos)
    return labels


def _pool(processes: int) -> Executor:
    """Processes on Linux, since rendering holds Python's lock; threads where processes cannot simply be forked."""
    if sys.platform != "linux":
        return ThreadPoolExecutor(processes)
    fork = multiprocessing.get_context("fork")
    return ProcessPoolExecutor(processes, fork, initializer=_end_with, initargs=(os.getpid(),))


def _end_with(parent: int) -> None:
    """End this process when `parent` is gone: it would write into the next run."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _make(demo: Demo, index: int, source: int, path: Path) -> None:
    """Write photo `index`, or what is made of the photo `source`."""
    picture = _render(source, demo.kind, demo.seed, demo.label_noise)
    originals = demo.photos - demo.duplicates - demo.damaged
    if index < originals:
        content = _encode(picture, on_its_side=index % ON_ITS_SIDE == 0)
    elif index < originals + demo.duplicates:
        content = _altered(picture, way=index - originals)
    else:
        content = _damaged(_encode(picture), way=index - originals - demo.duplicates)
    path.write_bytes(content)


def _class_of(index: int, kind: str, seed: int) -> int:
    """The class of photo `index`: steps of the golden ratio keep each class near its share at any count."""
    shares = np.cumsum([one.share for one in KINDS[kind]])
    start = np.random.default_rng([seed, zlib.crc32(kind.encode())]).random()
    return int(np.searchsorted(shares / shares[-1], (start + index * 0.6180339887) % 1, side="right"))


def _render(index: int, kind: str, seed: int, label_noise: float) -> Image.Image:
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), index])
    shown, kinds = _class_of(index, kind, seed), KINDS[kind]
    wrong, step = rng.random() < label_noise, int(rng.integers(1, len(kinds)))
    return kinds[(shown + wrong * step) % len(kinds)].render(rng)


def _encode(picture: Image.Image, quality: int = 90, on_its_side: bool = False) -> bytes:
    exif = Image.Exif()
    if on_its_side:
        picture = picture.transpose(Image.Transpose.ROTATE_90)
        exif[ExifTags.Base.Orientation] = 6  # "turn me back, clockwise"
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=quality, exif=exif)
    return content.getvalue()


def _altered(picture: Image.Image, way: int) -> bytes:
    """A near-duplicate: encoded again, smaller, slightly cropped, or brighter."""
    width, height = picture.size
    margin = width // 60
    match way % 4:
        case 0:
            return _encode(picture, quality=55)
        case 1:
            return _encode(picture.resize((width * 4 // 5, height * 4 // 5)))
        case 2:
            return _encode(picture.crop((margin, margin, width - margin, height - margin)))
        case _:
            return _encode(picture.point([min(255, round(1.12 * value)) for value in range(256)] * 3))


def _damaged(content: bytes, way: int) -> bytes:
    """A file that was cut off, or an empty one."""
    return b"" if way % 2 else content[: len(content) // 3]
