"""How unlike the photos of the study a new photo is: the distance to its nearest ones in a frozen network's features.

Sun, Ming, Zhu and Li (2022, "Out-of-distribution detection with deep nearest neighbors"): features scaled to length 1,
and the distance to the k-th nearest. They are those of a frozen network: one that is fine-tuned keeps only what tells
its classes apart, and takes whatever it never saw for one of them. A distance says little by itself: it is told as the
share, in percent, of the study's own photos that lie nearer to the others. A photo of the study's kind has any value
from 0 to 100 alike; one of another kind has 100.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.applied.independent import one_a_group
from manihot.core import arrays, files
from manihot.core.errors import StudyError

FILE = "unlike.npy"
# Which neighbour's distance counts, and how many reference photos are kept.
NEIGHBOUR, MOST = 5, 2000
BLOCK = 1024

Floats = NDArray[np.floating]


def draw(photos: pd.DataFrame, seed: int, most: int = MOST) -> NDArray[np.int64]:
    """The places of the reference photos among `photos` (dataset, image_id, label, group), int64 [r], ascending.

    One photo of each group and class, and of these equally many of each class, as far as there are: a rare class needs
    neighbours of its own, or each of its photos would seem strange. Classes with fewer leave room to the others.
    """
    places = one_a_group(photos, seed, "unlike")
    rank = photos["label"].iloc[places].groupby(photos["label"].to_numpy()[places]).cumcount().to_numpy()
    return np.sort(places[np.argsort(rank, kind="stable")[:most]])


@dataclass(frozen=True)
class Reference:
    """Reference photos: `rows`, their features at length 1, float32 [r, D], and `own`, the distance of each to its
    k-th nearest photo of another group, ascending, float64 [r]; `k` is the neighbour that counts."""

    rows: NDArray[np.float32]
    own: NDArray[np.float64]
    k: int

    @classmethod
    def of(cls, features: Floats, groups: NDArray[Any], k: int = NEIGHBOUR) -> "Reference":
        """The reference of photos with `features` [r, D], of which those of one of `groups` [r] are no neighbours.

        Raises:
            StudyError: there are fewer than two groups.
        """
        rows = normalised(features)
        others = len(rows) - int(np.unique(groups, return_counts=True)[1].max(initial=0))
        if others < 1:
            raise StudyError("how unlike a photo is cannot be told: all reference photos are of one group")
        k = min(k, others)
        return cls(rows, np.sort(distances(rows, rows, k, groups)), k)

    def unlike(self, features: Floats) -> NDArray[np.float64]:
        """How unlike photos with `features` [n, D] are, float64 [n], 0 to 100: the percentage of the reference photos
        that lie nearer to the others."""
        found = distances(normalised(features), self.rows, self.k)
        return 100 * np.searchsorted(self.own, found, side="left") / len(self.own)

    def write(self, path: str | PathLike[str], photos: pd.DataFrame, backbone: Mapping[str, Any], seed: int) -> None:
        """Write the rows as an array with its manifest, which also has what else is known: `neighbour`, the distances
        `own`, the record of the `backbone`, the data set of each of `photos`, and the seed that drew them."""
        with files.atomic(path) as temporary, temporary.open("wb") as handle:
            np.save(handle, self.rows)
        about = {"backbone": dict(backbone), "neighbour": self.k, "own": self.own.tolist(), "seed": seed}
        checksums = [zlib.crc32(row) for row in self.rows]
        about["datasets"] = photos["dataset"].tolist()
        arrays.write_manifest(path, self.rows.shape, photos["image_id"], checksums, about)


def read(path: str | PathLike[str]) -> tuple[Reference, dict[str, Any]]:
    """The reference that `Reference.write` wrote, and the record of the backbone whose features it has.

    Raises:
        StudyError: a file is missing or damaged.
    """
    manifest = arrays.read_manifest(path, ["own"])
    if not {"backbone", "neighbour"} <= set(manifest) or len(manifest["shape"]) != 2:
        raise StudyError(f"{arrays.manifest_path(path)} is missing or damaged: {arrays.mend(path)}")
    rows = arrays.open_array(path, manifest, np.float32, (manifest["shape"][1],))
    arrays.check_rows(path, manifest, range(len(rows)), rows)
    return Reference(np.array(rows), np.array(manifest["own"]), manifest["neighbour"]), manifest["backbone"]


def normalised(features: Floats) -> NDArray[np.float32]:
    """Features [n, D] at length 1, float32; those of length 0 stay as they are."""
    length = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    return (features / np.where(length > 0, length, 1)).astype(np.float32)


def distances(
    rows: NDArray[np.float32], reference: NDArray[np.float32], k: int, groups: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """The distance of each of `rows` [n, D] to the k-th nearest of `reference` [r, D], all of length 1, float64 [n].

    With `groups` [n], the rows are the reference itself, and those of a row's own group are passed over.
    """
    found = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        squares = 2 - 2 * (rows[block] @ reference.T).astype(np.float64)
        if groups is not None:
            squares[groups[block, None] == groups[None, :]] = np.inf
        found[block] = np.sqrt(np.maximum(np.partition(squares, k - 1, axis=1)[:, k - 1], 0))
    return found
