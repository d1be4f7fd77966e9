"""Copies and groups that lie on both sides of a border that the user gave: counted, shown, and dealt with."""

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from manihot.core.errors import StudyError

Border = Literal["test", "validation", "folds"]
# Of a kind of leak, as examples for the report.
PAIRS_KEPT = 6


@dataclass(frozen=True)
class Leaks:
    """`photos` (bool, indexed as the table) leak; `found` says it: a list with border, kind (`copies`, or `groups`: of
    one group and no copies), photos (how many), and pairs (ids of some, each with one that is held out).
    """

    photos: pd.Series
    found: list[dict[str, Any]]

    def stop(self) -> None:
        """Say the first leak.

        Raises:
            StudyError: there is one.
        """
        for entry in self.found:
            one, other = entry["pairs"][0]
            what = "a copy of it" if entry["kind"] == "copies" else "a photo of its group"
            where = "in the test" if entry["border"] == "test" else "held out for validation"
            raise StudyError(
                f"{int(self.photos.sum())} photos leak across the borders that you gave: {one} is trained on, and "
                f"{other}, {what}, is {where}; take them out, or set on_leak: exclude"
            )


def leaks(table: pd.DataFrame, groups: pd.Series, copies: pd.Series, border: Border) -> Leaks:
    """The leaks across a border: photos that are trained on although one of their group is held out.

    `table` has image_id, role and, but for the border `test`, fold; `groups` and `copies` say what stays together
    and what are near-duplicates. Held out is the test; of `validation` fold 1; of `folds`, for each group, the
    fold with most of its photos (the first of several).
    """
    pool = table["role"] == "pool"
    if border == "test":
        held_out, inside = table["role"].isin(["test", "test_as_found"]), pool
    else:
        folds = table["fold"][pool]
        homes = groups.map(_homes(groups[pool], folds)) if border == "folds" else pd.Series(1, index=table.index)
        held_out = pool & (table["fold"] == homes.astype("Int64")).fillna(False).astype(bool)
        inside = pool & ~held_out
    names = table["image_id"]
    by_copy, by_group = (names[held_out].groupby(keys[held_out]).first() for keys in (copies, groups))
    copied = inside & copies.isin(by_copy.index)
    grouped = inside & groups.isin(by_group.index) & ~copied
    found = []
    for kind, leaking, keys, partner in (("copies", copied, copies, by_copy), ("groups", grouped, groups, by_group)):
        if leaking.any():
            pairs = [[names[row], partner[keys[row]]] for row in leaking[leaking].index[:PAIRS_KEPT]]
            found.append({"border": border, "kind": kind, "photos": int(leaking.sum()), "pairs": pairs})
    return Leaks(copied | grouped, found)


def _homes(groups: pd.Series, folds: pd.Series) -> pd.Series:
    """The fold with most photos of each group, the smallest of several, by group."""
    counts = folds.groupby([groups, folds]).size().rename_axis(["group", "fold"]).reset_index(name="photos")
    counts = counts.sort_values(["group", "photos", "fold"], ascending=[True, False, True])
    return counts.drop_duplicates("group").set_index("group")["fold"]
