"""Arrays on disk with a row a photo, each with a manifest that tells whether it is intact.

The manifest of `{stem}.npy` is `{stem}.json`: the array's `shape`, the photos' `image_ids`, the `checksums` (CRC-32)
of the rows, and what its writer says of it.
"""

import io
import zlib
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from manihot.core import files
from manihot.core.errors import StudyError


def manifest_path(array: str | PathLike[str]) -> Path:
    """Where the manifest of an array lies."""
    return Path(array).with_suffix(".json")


def header(shape: Sequence[int], dtype: DTypeLike) -> bytes:
    """What an array's file begins with; its rows follow as they are in memory."""
    buffer = io.BytesIO()
    described = {"descr": npy.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": tuple(shape)}
    npy.write_array_header_1_0(buffer, described)
    return buffer.getvalue()


def write_manifest(
    array: str | PathLike[str],
    shape: Sequence[int],
    image_ids: Iterable[str],
    checksums: Iterable[int],
    about: Mapping[str, Any],
) -> None:
    """Write the manifest of an array whose rows are written; what `about` holds goes into it as it is."""
    record = {**about, "shape": list(shape), "image_ids": list(image_ids), "checksums": list(checksums)}
    files.write_json(manifest_path(array), record)


def read_manifest(array: str | PathLike[str], lists: Sequence[str] = ()) -> dict[str, Any]:
    """The manifest of an array; `lists` are entries of it that also have an entry a row.

    Raises:
        StudyError: it is missing or damaged.
    """
    path = manifest_path(array)
    try:
        manifest = files.read_json(path)
        np.array(manifest["checksums"], np.uint32)
        if {len(manifest[name]) for name in ("image_ids", "checksums", *lists)} == {manifest["shape"][0]}:
            return manifest
    except (OSError, ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise _damaged(path) from error
    raise _damaged(path)


def open_array(
    array: str | PathLike[str], manifest: Mapping[str, Any], dtype: DTypeLike, row: tuple[int, ...]
) -> NDArray[Any]:
    """The array [n, *row] of a manifest, memory-mapped, in C order; its rows are still to be checked.

    Raises:
        StudyError: it is missing, or not of this type and shape, or not of its manifest's.
    """
    path = Path(array)
    try:
        stored: NDArray[Any] = np.load(path, mmap_mode="r")
    except Exception as error:  # numpy evaluates the header as Python's literals: damage there raises almost anything
        raise _damaged(path) from error
    right = stored.dtype == np.dtype(dtype) and stored.shape[1:] == row and list(stored.shape) == manifest["shape"]
    if not right or stored.flags.fnc:
        raise _damaged(path)
    return stored


def check_rows(
    array: str | PathLike[str],
    manifest: Mapping[str, Any],
    places: Iterable[int],
    rows: Iterable[NDArray[Any]],
) -> None:
    """Hold `rows`, which were read from these `places` of the array, against the manifest's checksums.

    Raises:
        StudyError: a row is not the one that was written.
    """
    for place, row in zip(places, rows, strict=True):
        if zlib.crc32(row.data) != manifest["checksums"][place]:
            raise StudyError(f"{array} is damaged at photo {manifest['image_ids'][place]}: {mend(array)}")


def mend(array: str | PathLike[str]) -> str:
    """What to do about an array that is not as it should be, as messages end."""
    return f"delete {array} and {manifest_path(array)}, and run the same command again"


def _damaged(path: Path) -> StudyError:
    return StudyError(f"{path} is missing or damaged: {mend(path.with_suffix('.npy'))}")
