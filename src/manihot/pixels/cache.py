"""Photos decoded and resized once: a shard's pixels as one array of bytes, with a checksum a photo."""

import hashlib
import io
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from manihot.catalog.inspect import UnusableError, check, open_photo, orientation, reason
from manihot.core import arrays, files
from manihot.core.errors import StudyError
from manihot.core.state import State

BLOCK = 64  # photos between two savings
ARRAY, MANIFEST, PROGRESS = "pixels.npy", "pixels.json", "progress.json"

StrPath = str | os.PathLike[str]


def cache_shard(
    table: StrPath,
    root: StrPath,
    size: int,
    decode: str,
    state: State,
    progress: Callable[[int, int, str], None],
) -> dict[str, int]:
    """Write a shard's pixels and manifest into the state's folder, going on after the last intact block.

    Returns what it cost: the number of photos.

    `ARRAY` is uint8 [N, size, size, 3], row i the photo of row i of the catalog's `table`, squeezed to a
    square by antialiased bilinear resizing; a photo that was set aside is zeros. `decode` is `exact` (within
    one grey level of Pillow's decode and resize) or `fast` (decoded at the smallest power of two that still
    has `size` pixels a side).

    Raises:
        StudyError: a photo is not the one that the catalog describes.
    """
    photos = files.read_rows(table)
    shape = (len(photos), size, size, 3)
    header = arrays.header(shape, np.uint8)
    checksums = _intact(state, header, size)
    path = state.folder / ARRAY
    path.touch()
    # Written, not mapped: a full disk is then an error with a name.
    with path.open("r+b") as array:
        array.write(header)
        array.seek(len(checksums) * size * size * 3, os.SEEK_CUR)
        array.truncate()
        for start in range(len(checksums), len(photos), BLOCK):
            for photo in photos[start : start + BLOCK]:
                row = square(photo, Path(root), size, decode).tobytes()
                array.write(row)
                checksums.append(zlib.crc32(row))
            array.flush()
            os.fsync(array.fileno())
            state.save_json(PROGRESS, checksums)
            progress(len(checksums), len(photos), "photos decoded")
    image_ids, statuses = ([photo[column] for photo in photos] for column in ("image_id", "status"))
    arrays.write_manifest(path, shape, image_ids, checksums, {"decode": decode, "statuses": statuses})
    return {"photos": len(photos)}


def _intact(state: State, header: bytes, size: int) -> list[int]:
    """The checksums of the rows, in whole blocks, that lie in the array as they were saved."""
    saved = state.load_json(PROGRESS) or []
    path = state.folder / ARRAY
    if not path.exists():
        return []
    with path.open("rb") as array:
        if array.read(len(header)) != header:
            return []
        for index, checksum in enumerate(saved):
            if zlib.crc32(array.read(size * size * 3)) != checksum:
                return saved[: index // BLOCK * BLOCK]
    return saved


def square(photo: Mapping[str, str], root: Path, size: int, decode: str) -> NDArray[np.uint8]:
    """A photo of the catalog as uint8 [size, size, 3]; zeros where it was set aside."""
    if photo["status"] != "ok":
        return np.zeros((size, size, 3), np.uint8)
    path = root / photo["image_id"]
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != photo["sha256"]:
            raise UnusableError("its content changed")
        return _squeezed(path, data, size, decode, int(photo["width"]) * int(photo["height"]))
    except (OSError, UnusableError) as error:
        raise StudyError(
            f"{path} is no longer the photo of the catalog ({error}): put it back, or run the same command "
            "again, which looks at it anew"
        ) from error


def new_square(path: StrPath, size: int, decode: str, max_pixels: int) -> NDArray[np.uint8]:
    """A photo that is in no catalog as uint8 [size, size, 3]: the pixels that `square` would give of it.

    Raises:
        UnusableError: it cannot be used; says why, in the words of the catalog.
    """
    try:
        check(path, max_pixels)
        return _squeezed(Path(path), Path(path).read_bytes(), size, decode, max_pixels)
    except Exception as error:
        raise UnusableError(reason(error, max_pixels)) from error


def _squeezed(path: Path, data: bytes, size: int, decode: str, max_pixels: int) -> NDArray[np.uint8]:
    """The pixels uint8 [size, size, 3] of the photo at `path`, whose content is `data`."""
    pixels = _decode_jpeg(data, size if decode == "fast" else None)
    if pixels is not None:
        return _resize(pixels, size)
    image = open_photo(path, max_pixels)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def _decode_jpeg(data: bytes, reduce_to: int | None) -> NDArray[np.uint8] | None:
    """The pixels uint8 [H, W, 3] of an upright colour or grey JPEG without a flaw; None of anything else.

    They are what Pillow and torchvision decode, bit by bit: all three use libjpeg-turbo. With `reduce_to`, a
    photo is decoded at half, a quarter or an eighth of its size, where that leaves as many pixels a side.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as header:
            if header.mode not in ("RGB", "L") or orientation(header) != 1:
                return None
            factor = 1
            while reduce_to and factor < 8 and min(header.size) // (2 * factor) >= reduce_to:
                factor *= 2
            width, height = (-(-side // factor) for side in header.size)
            return simplejpeg.decode_jpeg(data, "RGB", min_width=width, min_height=height)
    except Exception:  # Pillow raises almost any kind; it also says what is wrong, or gets along with it
        return None


def _resize(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    # As torchvision resizes, without the two seconds that importing it takes.
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    resized = functional.interpolate(image, [size, size], mode="bilinear", align_corners=False, antialias=True)
    return resized[0].permute(1, 2, 0).numpy()
