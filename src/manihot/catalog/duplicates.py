"""Photos that show the same picture: candidates by their fingerprints, each confirmed on the photos themselves.

Found: copies that were encoded again, resized, recoloured, mirrored, turned by any angle, cropped, or given noise,
a border or a stamp. Photos of one plant from slightly different places are not copies.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from manihot.catalog import candidates, confirm, views
from manihot.catalog.fingerprints import Fingerprints, joined
from manihot.catalog.inspect import open_photo

Array = NDArray[Any]
Step = Callable[[int, int, str], None]

KINDS = ("exact", "near", "mirrored", "turned", "cropped")
KEPT_OPEN = 2048  # pictures, of at most 128 kB each


@dataclass(frozen=True)
class Photos:
    """What the search knows of N photos: SHA-256 `digests` and perceptual `hashes` (uint64) [N], their `prints`.

    `show` opens the photo of a number, as `confirm.shown` makes it small.
    """

    digests: Array
    hashes: Array
    prints: Fingerprints
    show: Callable[[int], Array]


@dataclass(frozen=True)
class Found:
    """The pairs, and what the search left out.

    `pairs` has the columns `a`, `b` (a < b), `kind`, `distance` (bits of the hash), `angle` (degrees, clockwise, by
    which `b` is turned against `a`, after a mirror left to right where there is one) and `scale` (of `b` against `a`,
    both with long sides of one length), sorted. `compared` counts the pairs that were looked at, `crowded` the photos
    that look like so many others that not all pairs of them were.
    """

    pairs: pd.DataFrame
    compared: int
    crowded: int


def opener(paths: Sequence[Path], max_pixels: int) -> Callable[[int], Array]:
    """The function `Photos.show` for photos at `paths`; the ones seen last stay in memory."""

    @lru_cache(KEPT_OPEN)
    def show(number: int) -> Array:
        return confirm.shown(open_photo(paths[number], max_pixels, confirm.LONG_SIDE))

    return show


def duplicate_pairs(photos: Photos, progress: Step, sides: Array | None = None) -> Found:
    """The pairs of photos that show the same picture.

    `kind` is `exact` (the same bytes; each copy is paired with its first one), or, of first copies only, `near`
    (encoded again, resized, recoloured, slightly cropped, noise, a border, a stamp), `mirrored`, `turned` or
    `cropped`. With `sides` [N] only pairs whose photos have different ones are looked for.
    """
    _, first, place = np.unique(photos.digests, return_index=True, return_inverse=True)
    copies = np.flatnonzero(first[place] != np.arange(len(place)))
    if sides is not None:
        copies = copies[sides[copies] != sides[first[place[copies]]]]
    exact = pd.DataFrame({"a": first[place][copies], "b": copies, "kind": "exact", "distance": 0})
    changed, compared, crowded = _changed(photos, np.sort(first), progress, sides)
    pairs = pd.concat([exact.assign(angle=0.0, scale=1.0), changed])
    pairs = pairs.astype({"a": int, "b": int, "distance": int, "angle": float, "scale": float})
    return Found(pairs.sort_values(["a", "b"], ignore_index=True), compared, crowded)


def _changed(photos: Photos, rows: Array, progress: Step, sides: Array | None) -> tuple[pd.DataFrame, int, int]:
    """The pairs among first copies `rows`, how many were looked at, and how many photos look like too many others."""
    by_features = candidates.candidates(photos.prints, rows, progress)
    a, b, number, crowded = views.alike(photos.prints.thumbnails, rows, progress)
    table = pd.concat(
        [
            pd.DataFrame({"a": a, "b": b, "view": number, "at": -1}),
            pd.DataFrame({"a": by_features.a, "b": by_features.b, "view": -1, "at": np.arange(len(by_features.a))}),
        ]
    ).sort_values(["a", "b", "view"], ascending=[True, True, False])
    if sides is not None:
        table = table[sides[table["a"]] != sides[table["b"]]]
    starts = {pair: list(zip(some["view"], some["at"], strict=True)) for pair, some in table.groupby(["a", "b"])}
    found = []
    for done, ((one, other), ways) in enumerate(starts.items(), 1):
        seen = _confirmed(photos, (one, other), ways, by_features.maps)
        if seen is not None:
            bits = int(np.bitwise_count(photos.hashes[one] ^ photos.hashes[other]))
            kind, angle, scale = confirm.kind_of(seen)
            found.append((one, other, kind, bits, round(angle, 1) % 360, round(scale, 3)))
        progress(done, len(starts), "pairs of photos compared")
    columns = ["a", "b", "kind", "distance", "angle", "scale"]
    return pd.DataFrame(found, columns=columns), len(starts), int((by_features.crowded | crowded).sum())


def _confirmed(
    photos: Photos, pair: tuple[int, int], ways: Sequence[tuple[int, int]], maps: Array
) -> confirm.Likeness | None:
    """What a comparison of two photos sees, if it takes them for one picture; `ways` say how they may lie."""
    one, other = (photos.show(number) for number in pair)
    for number, at in ways:
        if number >= 0:
            start = confirm.view_map(number, one, other)
        else:
            start = maps[at] * np.array([1, 1, confirm.LONG_SIDE])
        seen = confirm.compare(one, other, start)
        if seen.same or (number >= 0 and seen.blurred):
            return seen
    return None


def summary_of(found: Found, photos: int) -> dict[str, Any]:
    """What a search among so many photos says of itself: counts, pairs by kind, a `remark` in words where needed."""
    kinds = found.pairs["kind"].value_counts()
    remark = (
        f"{found.crowded:,} of {photos:,} photos look like so many others that only the most alike pairs of them "
        "were compared: copies among these may be missing"
        if found.crowded
        else ""
    )
    by_kind = {kind: int(kinds.get(kind, 0)) for kind in KINDS}
    return {
        "photos": photos, "pairs": by_kind, "compared": found.compared, "crowded": found.crowded, "remark": remark,
    }  # fmt: skip


def group_of(count: int, a: Array, b: Array) -> Array:
    """The group int64 [count] of each row, given the pairs (a, b): the index of the group's first row."""
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    _, first = np.unique(group, return_index=True)
    return first[group]


def pairs_between(one: Photos, other: Photos, progress: Step) -> Found:
    """The pairs of a photo `a` of one data set and a photo `b` of another that show the same picture.

    As `duplicate_pairs`, but that `a` and `b` are each counted in their own set.
    """
    count = len(one.digests)

    def show(number: int) -> Array:
        return one.show(number) if number < count else other.show(number - count)

    both = Photos(
        np.concatenate([one.digests, other.digests]),
        np.concatenate([one.hashes, other.hashes]),
        joined(one.prints, other.prints),
        show,
    )
    sides = np.arange(len(both.digests)) >= count
    found = duplicate_pairs(both, progress, sides)
    return Found(found.pairs.assign(b=found.pairs["b"] - count), found.compared, found.crowded)
