"""Stored features: an array a data set and view, and beside it its manifest (`core/arrays.py`).

`{view}.npy` is float32 [N, D], a row a photo in the catalog's order. Heads and boosters read features only
through `select`, which needs no torch.
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


def write(
    array: str | PathLike[str],
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


def digest(stored: Sequence[str | PathLike[str]]) -> str:
    """What identifies the content of feature arrays: their manifests have a checksum a row."""
    return files.content_key([files.sha256(arrays.manifest_path(array)) for array in stored])


def select(stored: Sequence[str | PathLike[str]], photos: pd.DataFrame, view: str = "identity") -> NDArray[np.float32]:
    """The features of `photos` (columns dataset, image_id) in one view, float32 [n, D], each row checked.

    `stored` are the feature arrays of the data sets and views that there are.

    Raises:
        StudyError: an array is damaged (one wrong byte is noticed) or does not hold a photo.
    """
    manifests = [(array, arrays.read_manifest(array)) for array in stored]
    by_dataset = {manifest["dataset"]: (path, manifest) for path, manifest in manifests if manifest["view"] == view}
    if not by_dataset:
        raise StudyError(f"there are no stored features of the view {view}: add it to this backbone's")
    width = next(iter(by_dataset.values()))[1]["shape"][1]
    selected = np.zeros((len(photos), width), np.float32)
    for dataset, places in photos.reset_index(drop=True).groupby("dataset").indices.items():
        if dataset not in by_dataset:
            raise StudyError(f"there are no stored features of {dataset} in the view {view}: run again")
        path, manifest = by_dataset[dataset]
        selected[places] = _rows(path, manifest, width, photos["image_id"].iloc[places])
    return selected


def _rows(path: str | PathLike[str], manifest: dict[str, Any], width: int, image_ids: pd.Series) -> NDArray[np.float32]:
    index = pd.Index(manifest["image_ids"], dtype="str").get_indexer(image_ids)
    if (index < 0).any():
        raise StudyError(f"{path} does not hold the photo {image_ids[index < 0].iloc[0]}: {arrays.mend(path)}")
    stored = arrays.open_array(path, manifest, FLOAT, (width,))
    rows: NDArray[np.float32] = np.ascontiguousarray(stored[index])
    arrays.check_rows(path, manifest, index, rows)
    return rows
