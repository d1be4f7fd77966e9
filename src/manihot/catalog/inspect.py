"""What each photo is, and whether it can be used: every one opened, decoded, measured and made small."""

import os
import re
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from manihot.catalog import exif
from manihot.core import files

COLUMNS = ("image_id", "width", "height", "mode", "bytes", *exif.COLUMNS, "sha256", "hash", "status")
# Decoders that only decode: Pillow would start Ghostscript for an EPS file.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
SMALLEST = 8  # pixels a side: less shows no leaf
# Four channels of 16 bits need 8 bytes a pixel; metadata come on top.
PIXEL_BYTES, METADATA_BYTES = 8, 10_000_000
# Each scan of a JPEG costs a pass over all pixels, and may be a few bytes; cameras and editors write ten.
MAX_SCANS = 50
THUMBNAIL = 32

# What brings a photo upright, by the EXIF orientation it has.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# A marker of a JPEG that a length follows: not a stuffed zero, a fill byte or a restart among a scan's bytes.
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
_END, _SCAN = b"\xd9", b"\xda"
# The eight lowest frequencies of the discrete cosine transform (type II) of a thumbnail's side.
_DCT = np.cos(np.pi / THUMBNAIL * np.outer(np.arange(8), np.arange(THUMBNAIL) + 0.5)).astype(np.float32)

# Pillow's limit and Python's warnings are of the process: one thread at a time sets them.
_LIMIT = threading.RLock()

StrPath = str | os.PathLike[str]


class UnusableError(Exception):
    """Why a photo cannot be used, in a few words: its status in the catalog."""


def open_photo(path: StrPath, max_pixels: int, draft: int = 0) -> Image.Image:
    """The first frame of a photo, upright, as an RGB image; what is transparent becomes white.

    With `draft` a JPEG may come smaller than it is, its short side not below so many pixels: that decodes faster.

    Raises:
        UnusableError: it is missing, unreadable, damaged, too small, or has more than `max_pixels` pixels
            (checked before it is decoded).
    """
    with _opened(Path(path), max_pixels, draft) as image:
        return to_rgb(image)


def check(path: StrPath, max_pixels: int) -> None:
    """Hold a photo's size and what its header says against the limits; nothing is decoded.

    Raises:
        UnusableError: it is missing, no image, too small, or more than may be decoded.
    """
    with _checked(Path(path), max_pixels):
        pass


def orientation(image: Image.Image) -> int:
    """The EXIF orientation of an image, 1 to 8; 1 (upright) where there is none that can be read."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation)
        return found if found in _UPRIGHT else 1
    except Exception:  # damaged metadata say nothing about the pixels
        return 1


def to_rgb(image: Image.Image) -> Image.Image:
    """An image of any mode as 8-bit RGB.

    Raises:
        UnusableError: its pixels have 32 bits, which have no agreed white.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        if image.mode == "F" or values.min() < 0 or values.max() > 65535:
            raise UnusableError("32-bit pixels")
        image = Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")


def perceptual_hashes(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Hashes uint64 [N] of thumbnails uint8 [N, 32, 32]: which of 64 low frequencies lie above their median.

    The DCT hash of C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010).
    """
    low = (_DCT @ thumbnails.astype(np.float32) @ _DCT.T).reshape(len(thumbnails), 64)
    bits = low > np.median(low[:, 1:], axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)


def catalog_shard(
    listing: StrPath,
    root: StrPath,
    max_pixels: int,
    progress: Callable[[int, int, str], None],
    look: Callable[[int, Image.Image], None] | None = None,
) -> tuple[list[dict[str, Any]], NDArray[np.uint8]]:
    """The properties (`COLUMNS`) of a listing's photos, in its order, and their grey thumbnails uint8 [N, 32, 32].

    `status` is `ok` or why the photo is set aside; what is not known of it is 0 or empty, its thumbnail
    black. Width and height are those of the upright photo, the mode is as stored. No photo makes it raise.
    `look` is shown each usable photo, as RGB, with its place in the listing.
    """
    image_ids = [row["image_id"] for row in files.read_rows(listing)]
    thumbnails = np.zeros((len(image_ids), THUMBNAIL, THUMBNAIL), np.uint8)
    rows = []
    for index, image_id in enumerate(image_ids):
        rows.append(_properties(Path(root), image_id, max_pixels, thumbnails[index], look and partial(look, index)))
        progress(index + 1, len(image_ids), "photos checked")
    for row, code in zip(rows, perceptual_hashes(thumbnails), strict=True):
        row["hash"] = f"{code:016x}" if row["status"] == "ok" else ""
    return rows, thumbnails


def _properties(
    root: Path,
    image_id: str,
    max_pixels: int,
    thumbnail: NDArray[np.uint8],
    look: Callable[[Image.Image], None] | None,
) -> dict[str, Any]:
    """A photo's row of the catalog, its hash left open; fills in its thumbnail."""
    properties: dict[str, Any] = dict.fromkeys(COLUMNS, "") | dict.fromkeys(("width", "height", "bytes"), 0)
    properties["image_id"] = image_id
    try:
        path = root / image_id
        if not path.resolve().is_relative_to(root.resolve()):
            raise UnusableError("outside the photo folder")
        properties["bytes"] = _size(path, max_pixels)
        properties["sha256"] = files.sha256(path)
        with _opened(path, max_pixels) as image:
            rgb = to_rgb(image)
            properties |= {"mode": image.mode, "width": rgb.width, "height": rgb.height}
            taken = exif.camera_and_time(image)
        small = rgb.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR)
        thumbnail[:] = np.asarray(small)
        if look:
            look(rgb)
    except Exception as error:
        return properties | {"status": reason(error, max_pixels)}
    return properties | taken | {"status": "ok"}


def _size(path: Path, max_pixels: int) -> int:
    properties = path.stat()
    if not stat.S_ISREG(properties.st_mode):  # reading a pipe would wait for ever
        raise UnusableError("not a file")
    if not properties.st_size:
        raise UnusableError("empty file")
    if properties.st_size > METADATA_BYTES + PIXEL_BYTES * max_pixels:
        raise UnusableError(f"larger than {max_pixels} pixels can be")
    return properties.st_size


@contextmanager
def _opened(path: Path, max_pixels: int, draft: int = 0) -> Iterator[Image.Image]:
    """The decoded first frame, upright, in the mode it is stored in.

    Raises:
        UnusableError: it cannot be used, for whatever reason.
    """
    with _checked(path, max_pixels) as image:
        if draft:
            image.draft(None, (draft, draft))
        image.load()
        turn = _UPRIGHT.get(orientation(image))
        yield image.transpose(turn) if turn is not None else image


@contextmanager
def _checked(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    """An image that may be decoded, as its header says; whatever goes wrong with it in the context is an UnusableError.

    Raises:
        UnusableError: it cannot be used, for whatever reason.
    """
    with _LIMIT:
        limit = Image.MAX_IMAGE_PIXELS
        try:
            _size(path, max_pixels)
            Image.MAX_IMAGE_PIXELS = max_pixels  # Pillow compares it with the header, before it decodes
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(path, formats=FORMATS) as image:
                    if min(image.size) < SMALLEST:
                        raise UnusableError(f"too small ({image.width}x{image.height} px)")
                    if isinstance(image, JpegImageFile):
                        _check_scans(image, path)
                    yield image
        except Exception as error:
            raise UnusableError(reason(error, max_pixels)) from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_scans(image: JpegImageFile, path: Path) -> None:
    """Count a JPEG's scans as its decoder finds them: not within metadata, nor behind the picture's end."""
    content, place, scans = path.read_bytes(), 0, 0
    while (marker := _MARKER.search(content, place)) and marker[1] != _END:
        header = content[marker.end() : marker.end() + 3]
        if marker[1] == _SCAN:
            scans += 1
            if not image.info.get("progressive") and header[2:] == bytes([image.layers]):
                return  # all channels are in this scan: the decoder reads no other
            if scans > MAX_SCANS:
                raise UnusableError(f"more than {MAX_SCANS} scans")
        place = marker.end() + int.from_bytes(header[:2], "big")


def reason(error: Exception, max_pixels: int) -> str:
    """What to call an error while a photo is read: Pillow raises almost any kind of it for damaged files."""
    match error:
        case UnusableError():
            return str(error)
        case FileNotFoundError() | NotADirectoryError():
            return "missing"
        case Image.DecompressionBombError() | Image.DecompressionBombWarning():
            return f"larger than {max_pixels} pixels"
        case UnidentifiedImageError():
            return "not an image"
        case MemoryError():
            return "does not fit into memory"
        case PermissionError():
            return "not readable"
    return "truncated" if "truncated" in str(error).lower() else "cannot be decoded"
