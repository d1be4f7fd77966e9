"""The cached pixels of photos, each one checked when it is read, and what identifies them."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.core import arrays
from manihot.core.errors import StudyError
from manihot.core.tables import locate

StrPath = str | os.PathLike[str]
# How the cached photos were resized (antialiased; pixels/cache.py).
INTERPOLATION = "bilinear"


class CachedPhotos:
    """Photos of memory-mapped shards, indexed as one array uint8 [n, size, size, 3] that never is in memory.

    `photos[rows]`, by an int64 [b] or a slice, copies those rows; more photos than memory holds are no matter.
    """

    def __init__(self, count: int, size: int):
        self.shape = (count, size, size, 3)
        self.nbytes = int(np.prod(self.shape))
        self._arrays: list[NDArray[np.uint8]] = []
        self._array_of, self._row_of = np.empty(count, np.int64), np.empty(count, np.int64)

    def __len__(self) -> int:
        return self.shape[0]

    def add(self, array: NDArray[np.uint8], places: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        """Let the photos at `places` be those `rows` of `array`."""
        self._array_of[places], self._row_of[places] = len(self._arrays), rows
        self._arrays.append(array)

    def __getitem__(self, asked: NDArray[np.int64] | slice) -> NDArray[np.uint8]:
        places = zip(self._array_of[asked].tolist(), self._row_of[asked].tolist(), strict=True)
        photos = [self._arrays[array][row] for array, row in places]
        return np.stack(photos) if photos else np.empty((0, *self.shape[1:]), np.uint8)


def gather(photos: pd.DataFrame, catalogs: pd.DataFrame, manifests: Sequence[StrPath], size: int) -> CachedPhotos:
    """The pixels uint8 [n, size, size, 3] of `photos` (with `dataset,image_id`), in order, each checked once.

    `catalogs` (with `dataset,image_id,shard,row`) says where they lie; only their rows are read. The
    manifests are `{dataset}/{size}px/{shard}.json`, the arrays beside them.

    Raises:
        StudyError: a photo is not in the cache, or its bytes are not those that were cached.
    """
    pixels = CachedPhotos(len(photos), size)
    for path, record, places, rows in _shards(photos, catalogs, of_size(manifests, size)):
        array = arrays.open_array(path, record, np.uint8, pixels.shape[1:])
        arrays.check_rows(path, record, rows, (array[row] for row in rows))
        pixels.add(array, places, rows)
    return pixels


def of_size(manifests: Sequence[StrPath], size: int) -> list[Path]:
    """Those of the manifests that are of photos of `size` pixels a side."""
    return [path for path in map(Path, manifests) if path.parent.name == f"{size}px"]


def digest(photos: pd.DataFrame, manifests: Sequence[StrPath], catalogs: pd.DataFrame) -> str:
    """SHA-256 (hexadecimal) over data set, id and checksum of each of `photos`, in order; reads no pixels.

    The manifests are of one size.

    Raises:
        StudyError: a photo is not in the cache.
    """
    checksums = np.empty(len(photos), np.uint32)
    for _, record, places, rows in _shards(photos, catalogs, list(map(Path, manifests))):
        checksums[places] = np.array(record["checksums"], np.uint32)[rows]
    lines = zip(photos["dataset"], photos["image_id"], checksums, strict=True)
    return hashlib.sha256("".join(f"{a}\0{b}\0{c}\n" for a, b, c in lines).encode()).hexdigest()


def _shards(
    photos: pd.DataFrame, catalogs: pd.DataFrame, manifests: Sequence[Path]
) -> Iterator[tuple[Path, dict[str, Any], NDArray[np.int64], NDArray[np.int64]]]:
    """Of each shard that holds some of `photos`: its array's path, its manifest, their places and rows."""
    paths = {(path.parents[1].name, int(path.stem)): path.with_suffix(".npy") for path in manifests}
    located = locate(photos, catalogs, ["shard", "row"])
    for (dataset, shard), some in located.sort_values("row").groupby(["dataset", "shard"]):
        path = paths.get((dataset, int(shard)))
        if path is None:
            raise StudyError(f"no pixels of shard {int(shard)} of {dataset} at this size: run the study again")
        rows = some["row"].to_numpy(np.int64)
        record = arrays.read_manifest(path, ["statuses"])
        listed = [record["image_ids"][row] for row in rows if record["statuses"][row : row + 1] == ["ok"]]
        if listed != some["image_id"].tolist():
            raise StudyError(f"{path} does not go with the catalog of {dataset}: {arrays.mend(path)}")
        yield path, record, some.index.to_numpy(np.int64), rows
