"""The catalog of a data set: its labels joined with what its photos are, duplicates grouped."""

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.catalog.duplicates import Photos, duplicate_pairs, group_of, opener, pairs_between, summary_of
from manihot.catalog.fingerprints import gather
from manihot.core.errors import StudyError
from manihot.photos.facts import FACTS

COLUMNS = [
    "dataset", "image_id", "label", "name", "shard", "row",
    "width", "height", "mode", "bytes", "camera", "taken", "sha256", "hash", "status", "copies", "group", *FACTS,
]  # fmt: skip
# What is told of a pair of photos.
TOLD = ("kind", "distance", "angle", "scale")


def read_properties(path: str | PathLike[str]) -> pd.DataFrame:
    """A shard's table of properties: sizes are integers, the rest is text."""
    sizes = dict.fromkeys(("width", "height", "bytes"), "int64")
    text = dict.fromkeys(("image_id", "mode", "camera", "taken", "sha256", "hash", "status"), "str")
    return pd.read_csv(path, dtype=sizes | text, keep_default_na=False)


def build_catalog(
    labels: pd.DataFrame,
    tables: Sequence[pd.DataFrame],
    fingerprints: Sequence[NDArray[np.uint8]],
    dataset: str,
    root: str,
    max_pixels: int,
    max_set_aside: float,
    progress: Callable[[int, int, str], None],
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """The catalog (`COLUMNS`, in the order of `labels`), the pairs of duplicates, and what the search says of itself.

    `labels` has `image_id,label,name` and some of FACTS; `tables` and `fingerprints` (uint8 [N, 1792]) are the shards',
    in order; the photos lie below `root`. Duplicates share `copies`, the place of the first of them in the catalog.
    Photos that stay together share a `group`: duplicates joined with the groups that the user gives. The pairs have
    `image_id_a,image_id_b,label_a,label_b` and the columns of `duplicates.Found`.

    Raises:
        StudyError: more than the share `max_set_aside` of the photos cannot be used, or none can.
    """
    numbered = [table.assign(shard=shard, row=range(len(table))) for shard, table in enumerate(tables)]
    properties = pd.concat(numbered)
    catalog = labels.merge(properties, on="image_id", how="left", validate="one_to_one")
    if catalog["status"].isna().any():
        unknown = catalog.loc[catalog["status"].isna(), "image_id"].iloc[0]
        raise StudyError(
            f"{dataset}: {unknown} is labelled but not listed: delete results/photos/{dataset} and run again"
        )
    _check_share(catalog, dataset, max_set_aside)

    usable = np.flatnonzero(catalog["status"] == "ok")
    photos = catalog.iloc[usable]
    found = duplicate_pairs(photos_of(photos, fingerprints, root, max_pixels), progress)
    pairs = found.pairs
    a, b = usable[pairs["a"]], usable[pairs["b"]]

    facts = {fact: catalog[fact] if fact in labels else "" for fact in FACTS}
    catalog = catalog.assign(dataset=dataset, copies=group_of(len(catalog), a, b), **facts)
    one, other = _in_turn(catalog["given_group"])
    catalog["group"] = group_of(len(catalog), np.concatenate([a, one]), np.concatenate([b, other]))
    catalog = catalog.astype(dict.fromkeys(("shard", "row", "width", "height", "bytes"), "int64"))
    columns = {
        f"{name}_{side}": catalog[name].to_numpy()[rows]
        for name in ("image_id", "label") for side, rows in (("a", a), ("b", b))
    }  # fmt: skip
    told = {name: pairs[name] for name in TOLD}
    return catalog[COLUMNS], pd.DataFrame(columns | told), summary_of(found, len(photos))


def photos_of(photos: pd.DataFrame, fingerprints: Sequence[NDArray[np.uint8]], root: str, max_pixels: int) -> Photos:
    """What the search for copies knows of usable `photos`, rows of a catalog with the `fingerprints` of its shards."""
    starts = np.cumsum([0, *map(len, fingerprints)])
    rows = starts[photos["shard"].to_numpy(int)] + photos["row"].to_numpy(int)
    hashes = np.array([int(code, 16) for code in photos["hash"]], np.uint64)
    show = opener([Path(root) / image_id for image_id in photos["image_id"]], max_pixels)
    return Photos(photos["sha256"].to_numpy(str), hashes, gather(fingerprints, rows), show)


def copies_between(
    one: pd.DataFrame, other: pd.DataFrame, photos: tuple[Photos, Photos], progress: Callable[[int, int, str], None]
) -> pd.DataFrame:
    """The pairs of a photo of one data set and one of another that show the same picture.

    `one` and `other` are rows of the two catalogs, usable ones, and `photos` what `photos_of` makes of them. The pairs
    have the columns of duplicates.csv, `a` of `one` and `b` of `other`.
    """
    pairs = pairs_between(*photos, progress).pairs
    columns = {
        f"{name}_{side}": table[name].to_numpy()[pairs[side]]
        for name in ("image_id", "label") for side, table in (("a", one), ("b", other))
    }  # fmt: skip
    return pd.DataFrame(columns | {name: pairs[name] for name in TOLD})


def _in_turn(groups: pd.Series) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of which each is of one group with the next row of it, and those next rows; an empty group is none."""
    rows = np.flatnonzero(groups != "")
    codes = pd.factorize(groups.iloc[rows])[0]
    rows, codes = rows[np.argsort(codes, kind="stable")], np.sort(codes)
    same = codes[1:] == codes[:-1]
    return rows[:-1][same], rows[1:][same]


def _check_share(catalog: pd.DataFrame, dataset: str, max_set_aside: float) -> None:
    aside = catalog[catalog["status"] != "ok"]
    named = ", ".join(f"{photo.image_id} ({photo.status})" for photo in aside.head(3).itertuples())
    named += ", …" if len(aside) > 3 else ""
    if len(aside) == len(catalog):
        raise StudyError(f"{dataset}: none of its {len(catalog)} photos can be used: {named}: mend the photo folder")
    if len(aside) > max_set_aside * len(catalog):
        raise StudyError(
            f"{dataset}: {len(aside)} of {len(catalog)} photos cannot be used: {named}: replace them, "
            f"or raise photos.max_set_aside, now {max_set_aside:g}"
        )
