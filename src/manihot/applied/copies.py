"""New photos that are copies of photos of the study: an answer to one of these says nothing about new plants."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.catalog.table import copies_between, photos_of, read_properties
from manihot.core.tables import read_photos

COLUMNS = ["image_id", "copy_of", "kind"]


def read_shards(paths: Sequence[str | PathLike[str]]) -> pd.DataFrame:
    """The usable photos of the catalog of new ones, with the shard and the row that their fingerprints have."""
    tables = []
    for shard, path in enumerate(paths):
        table = read_properties(path)
        tables.append(table.assign(shard=shard, row=range(len(table)), label=""))
    found = pd.concat(tables, ignore_index=True)
    return found[found["status"] == "ok"].reset_index(drop=True)


def find(
    photos: pd.DataFrame,
    fingerprints: Sequence[NDArray[np.uint8]],
    root: str,
    study: Mapping[str, Mapping[str, Any]],
    max_pixels: int,
    progress: Callable[[int, int, str], None],
) -> pd.DataFrame:
    """The new photos that show the same picture as a photo of the study, a row a pair, sorted by name; the same bytes
    come before changed ones.

    Args:
        photos: the new ones, as `read_shards` gives them.
        fingerprints: theirs, a shard an array.
        root: their folder.
        study: of each data set its `catalog` (path), `fingerprints` (paths, a shard each) and `root`.
        max_pixels: a photo of more is not opened.
        progress: told of the pairs that are compared.

    Returns:
        image_id; copy_of, data set and id of the study's photo; kind, as in the study's duplicates.csv.
    """
    own = photos_of(photos, fingerprints, root, max_pixels)
    found = [pd.DataFrame(columns=COLUMNS, dtype="str")]
    for name, dataset in study.items():
        catalog = read_photos(dataset["catalog"])
        known = catalog[catalog["status"] == "ok"]
        prints = [np.load(path, mmap_mode="r") for path in dataset["fingerprints"]]
        # The study's first: of photos with the same bytes each is paired with the first.
        pairs = copies_between(known, photos, (photos_of(known, prints, dataset["root"], max_pixels), own), progress)
        copy_of = (name + "/" + pairs["image_id_a"].astype("str")).astype("str")
        found.append(pd.DataFrame({"image_id": pairs["image_id_b"], "copy_of": copy_of, "kind": pairs["kind"]}))
    told = pd.concat(found, ignore_index=True)
    # Of new photos with the same bytes the search compares one.
    digests = photos.set_index("image_id")["sha256"]
    told = told.assign(sha256=told["image_id"].map(digests)).drop(columns="image_id")
    told = told.merge(photos[["image_id", "sha256"]], on="sha256")
    return (
        told.assign(changed=told["kind"] != "exact")
        .sort_values(["image_id", "changed", "copy_of"])[COLUMNS]
        .drop_duplicates(ignore_index=True)
    )
