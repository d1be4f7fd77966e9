"""Stored features: an array a data set and view, and beside it a manifest that tells whether it is intact.

`{view}.npy` is float32 [N, D], a row a photo in the catalog's order; `{view}.json` names the photos and has
the CRC-32 of each row. Heads and boosters read features only through `select`, which needs no torch.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot import files
from manihot.errors import StudyError


def manifest_path(array: str | PathLike[str]) -> Path:
    """The manifest of a feature array."""
    return Path(array).with_suffix(".json")


def write(
    array: str | PathLike[str],
    image_ids: Sequence[str],
    blocks: Iterable[tuple[NDArray[np.intp], NDArray[np.float32]]],
    facts: Mapping[str, Any],
) -> None:
    """Write the array and its manifest from blocks of (row indices, features); rows of no block are zeros.

    `facts` (dataset, view, network, parameters, precision …) go into the manifest.
    """
    blocks = iter(blocks)
    first = next(blocks)
    shape = (len(image_ids), first[1].shape[1])
    with files.atomic(array) as temporary:
        # Zeros are written before the file is mapped: a full disk is then an error with a name.
        with temporary.open("wb") as handle:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(handle, header)
            for _ in image_ids:
                handle.write(bytes(4 * shape[1]))
        rows = np.lib.format.open_memmap(temporary, mode="r+")
        for index, features in chain([first], blocks):
            rows[index] = features
        rows.flush()
        checksums = [zlib.crc32(row) for row in rows]
    manifest = {**facts, "shape": shape, "image_ids": list(image_ids), "checksums": checksums}
    files.write_json(manifest_path(array), manifest)


def digest(arrays: Sequence[str | PathLike[str]]) -> str:
    """What identifies the content of feature arrays: their manifests have a checksum a row."""
    return files.content_key([files.sha256(manifest_path(array)) for array in arrays])


def facts(array: str | PathLike[str]) -> dict[str, Any]:
    """The manifest of a feature array.

    Raises:
        StudyError: it is missing or damaged.
    """
    path = manifest_path(array)
    try:
        manifest = files.read_json(path)
        if len(manifest["checksums"]) == len(manifest["image_ids"]) == manifest["shape"][0]:
            return manifest
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        pass
    raise _damaged(path)


def select(arrays: Sequence[str | PathLike[str]], photos: pd.DataFrame, view: str = "identity") -> NDArray[np.float32]:
    """The features of `photos` (columns dataset, image_id) in one view, float32 [n, D], each row checked.

    `arrays` are the feature arrays of the data sets and views that there are.

    Raises:
        StudyError: an array is damaged (one wrong byte is noticed) or does not hold a photo.
    """
    manifests = [(Path(array), facts(array)) for array in arrays]
    by_dataset = {manifest["dataset"]: (path, manifest) for path, manifest in manifests if manifest["view"] == view}
    if not by_dataset:
        raise StudyError(f"there are no stored features of the view {view}: add it to this backbone's")
    width = next(iter(by_dataset.values()))[1]["shape"][1]
    selected = np.zeros((len(photos), width), np.float32)
    for dataset, places in photos.reset_index(drop=True).groupby("dataset").indices.items():
        if dataset not in by_dataset:
            raise StudyError(f"there are no stored features of {dataset} in the view {view}: run again")
        path, manifest = by_dataset[dataset]
        selected[places] = _rows(path, manifest, photos["image_id"].iloc[places])
    return selected


def _rows(path: Path, manifest: dict[str, Any], image_ids: pd.Series) -> NDArray[np.float32]:
    index = pd.Index(manifest["image_ids"], dtype="str").get_indexer(image_ids)
    if (index < 0).any():
        raise StudyError(f"{path} does not hold the photo {image_ids[index < 0].iloc[0]}: {_mend(path)}")
    try:
        array = np.load(path, mmap_mode="r")
    except Exception:  # numpy evaluates the header as Python's literals: damage there raises almost anything
        raise _damaged(path) from None
    if array.dtype != np.dtype("<f4") or list(array.shape) != manifest["shape"] or array.flags.fnc:
        raise _damaged(path)
    rows = np.ascontiguousarray(array[index])
    expected = np.asarray(manifest["checksums"])[index]
    if any(zlib.crc32(row) != checksum for row, checksum in zip(rows, expected, strict=True)):
        raise _damaged(path)
    return rows


def _damaged(path: Path) -> StudyError:
    return StudyError(f"{path} is missing or damaged: {_mend(path)}")


def _mend(path: Path) -> str:
    return f"delete {path.with_suffix('.npy')} and {path.with_suffix('.json')} and run the same command again"
