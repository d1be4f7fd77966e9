"""How the photos that are not tested are dealt out to folds."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pandas as pd
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from manihot.core.classes import class_order
from manihot.core.errors import StudyError
from manihot.splits.demands import fold_of
from manihot.splits.sampling import grouping

FoldKind = Literal["stratified", "plain", "by_site", "given"]


@dataclass(frozen=True)
class Folding:
    """How photos are folded.

    `stratified` gives every fold each label's share, as far as whole groups allow it, `plain` deals groups out at
    random, `by_site` makes a fold of each site, `given` takes the folds that the user gives. `grouped` keeps
    near-duplicates in one fold; the user's own groups are always kept whole, but where the folds are given.
    """

    folds: int
    kind: FoldKind
    grouped: bool
    seed: int


def fold_photos(photos: pd.DataFrame, folding: Folding) -> pd.Series:
    """The fold (Int64, 1..folds) of each photo, indexed as `photos`.

    Raises:
        StudyError: a class has fewer photos, or fewer of the user's groups, than there are folds, or a site is missing.
    """
    if folding.kind == "given":
        return pd.Series(fold_of(photos["given_fold"]), index=photos.index, dtype="Int64")
    if folding.kind == "by_site":
        return _by_site(photos, folding)
    check_folds(photos, folding.folds)
    keys = grouping(photos, folding.grouped)
    if (photos["given_group"] != "").any():
        _check_groups(photos, keys, folding.folds)
    groups = pd.factorize(keys)[0]
    kind = StratifiedGroupKFold if folding.kind == "stratified" else GroupKFold
    splitter = kind(folding.folds, shuffle=True, random_state=folding.seed)
    fold = pd.Series(0, index=photos.index, dtype="Int64")
    for number, (_, held_out) in enumerate(splitter.split(photos, photos["label"], groups), start=1):
        fold.iloc[held_out] = number
    return fold


def site_order(photos: pd.DataFrame) -> list[str]:
    """The sites, in the order of their folds."""
    return class_order(photos["site"].unique())


def _by_site(photos: pd.DataFrame, folding: Folding) -> pd.Series:
    """A fold a site; a group that several sites have is whole in that of most of its photos."""
    sites = site_order(photos)
    if len(sites) != folding.folds:
        raise StudyError(
            f"fold_kind by_site: {len(sites)} sites have photos to train on, but there are {folding.folds} folds: "
            f"set folds: {len(sites)}, or lower test"
        )
    own = photos["site"].map({site: number for number, site in enumerate(sites, start=1)})
    whole = own.groupby(grouping(photos, folding.grouped)).transform(lambda numbers: numbers.mode().iloc[0])
    if whole.nunique() < len(sites):
        lost = next(site for number, site in enumerate(sites, start=1) if number not in set(whole))
        raise StudyError(
            f"fold_kind by_site: every photo of site {lost} is in one group with photos of other sites: "
            "give groups that lie within a site"
        )
    return whole.astype("Int64")


def check_folds(photos: pd.DataFrame, folds: int) -> None:
    """Check that each class can be folded.

    Raises:
        StudyError: a class has fewer photos than there are folds.
    """
    for label, count in photos["label"].value_counts().items():
        if count < folds:
            raise StudyError(f"class {label} has {count} photos to fold, but needs {folds}; lower folds")


def check_spread(photos: pd.DataFrame, labels: Iterable[str]) -> None:
    """Check that every fold's model is trained on every class.

    Raises:
        StudyError: all photos of a class to train on are in one fold, or none is left.
    """
    folds = photos["fold"].groupby(photos["label"]).nunique()
    for label in labels:
        if folds.get(label, 0) < 2:
            raise StudyError(
                f"class {label} has photos to train on in {folds.get(label, 0)} of the folds (or sites), but needs "
                "two or more: a model that is trained without it cannot be validated on it; leave the class out "
                "(only), or fold otherwise"
            )


def _check_groups(photos: pd.DataFrame, groups: pd.Series, folds: int) -> None:
    """Check that each class has a group a fold."""
    for label, count in groups.groupby(photos["label"]).nunique().items():
        if count < folds:
            raise StudyError(
                f"class {label} has {count} groups of photos to fold, but needs {folds}, one a fold: "
                f"{folds - count} are missing; lower folds, or give finer groups"
            )
