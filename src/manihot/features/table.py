"""Stored features: an array a data set and view, and beside it its manifest (`core/arrays.py`).

`{view}.npy` is float32 [N, D], a row a photo in the catalog's order. Heads and boosters read features only
through `select`, which needs no torch. Where they read those of several backbones, each data set and view has several
arrays, which always stand in the order of the backbones.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.core import arrays, files
from manihot.core.errors import StudyError

FLOAT = "<f4"
StrPath = str | PathLike[str]


def write(
    array: StrPath,
    image_ids: Sequence[str],
    blocks: Iterable[tuple[NDArray[np.intp], NDArray[np.float32]]],
    about: Mapping[str, Any],
) -> None:
    """Write the array and its manifest from blocks of (row indices, features); rows of no block are zeros.

    What `about` holds (dataset, view, the record of the backbone) goes into the manifest.
    """
    blocks = iter(blocks)
    first = next(blocks)
    shape = (len(image_ids), first[1].shape[1])
    with files.atomic(array) as temporary:
        # Zeros are written before the file is mapped: a full disk is then an error with a name.
        with temporary.open("wb") as handle:
            handle.write(arrays.header(shape, FLOAT))
            for _ in image_ids:
                handle.write(bytes(4 * shape[1]))
        rows = np.lib.format.open_memmap(temporary, mode="r+")
        for index, features in chain([first], blocks):
            rows[index] = features
        rows.flush()
        checksums = [zlib.crc32(row) for row in rows]
    arrays.write_manifest(array, shape, image_ids, checksums, about)


def digest(stored: Sequence[StrPath]) -> str:
    """What identifies the content of feature arrays: their manifests have a checksum a row."""
    return files.content_key([files.sha256(arrays.manifest_path(array)) for array in stored])


def select(stored: Sequence[StrPath], photos: pd.DataFrame, view: str = "identity") -> NDArray[np.float32]:
    """The features of `photos` (columns dataset, image_id) in one view, float32 [n, D], each row checked.

    `stored` are the feature arrays of the data sets and views that there are. The features of several backbones stand
    side by side, in the order of `backbones`.

    Raises:
        StudyError: an array is damaged (one wrong byte is noticed) or does not hold a photo.
    """
    by_dataset = {dataset: found for (dataset, seen), found in _manifests(stored).items() if seen == view}
    if not by_dataset:
        raise StudyError(f"there are no stored features of the view {view}: add it to this backbone's")
    widths = [manifest["shape"][1] for _, manifest in next(iter(by_dataset.values()))]
    ends = np.cumsum(widths)
    selected = np.zeros((len(photos), ends[-1]), np.float32)
    for dataset, places in photos.reset_index(drop=True).groupby("dataset").indices.items():
        if len(by_dataset.get(dataset, [])) != len(widths):
            raise StudyError(f"there are no stored features of {dataset} in the view {view}: run again")
        for (path, manifest), width, end in zip(by_dataset[dataset], widths, ends, strict=True):
            selected[places, end - width : end] = _rows(path, manifest, width, photos["image_id"].iloc[places])
    return selected


def backbones(stored: Sequence[StrPath]) -> list[dict[str, Any]]:
    """The records of the backbones whose features `select` reads from `stored`, in the order of its columns; each says
    with `features` how many columns are its own.

    Raises:
        StudyError: a manifest is missing or damaged.
    """
    found = next(iter(_manifests(stored).values()))
    return [{**manifest["backbone"], "features": manifest["shape"][1]} for _, manifest in found]


def _manifests(stored: Sequence[StrPath]) -> dict[tuple[str, str], list[tuple[StrPath, dict[str, Any]]]]:
    """For each data set and view its arrays with their manifests, one a backbone."""
    found: dict[tuple[str, str], list[tuple[StrPath, dict[str, Any]]]] = {}
    for array in stored:
        manifest = arrays.read_manifest(array)
        found.setdefault((manifest["dataset"], manifest["view"]), []).append((array, manifest))
    return found


def _rows(path: StrPath, manifest: dict[str, Any], width: int, image_ids: pd.Series) -> NDArray[np.float32]:
    index = pd.Index(manifest["image_ids"], dtype="str").get_indexer(image_ids)
    if (index < 0).any():
        raise StudyError(f"{path} does not hold the photo {image_ids[index < 0].iloc[0]}: {arrays.mend(path)}")
    stored = arrays.open_array(path, manifest, FLOAT, (width,))
    rows: NDArray[np.float32] = np.ascontiguousarray(stored[index])
    arrays.check_rows(path, manifest, index, rows)
    return rows
