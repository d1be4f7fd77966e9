"""How the photos that are not tested are dealt out to folds."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from manihot.core.errors import StudyError
from manihot.splits.sampling import grouping

FoldKind = Literal["stratified", "plain"]


@dataclass(frozen=True)
class Folding:
    """How photos are folded.

    `stratified` gives every fold each label's share, `plain` deals groups out at random; `grouped` keeps
    near-duplicates in one fold.
    """

    folds: int
    kind: FoldKind
    grouped: bool
    seed: int


def fold_photos(photos: pd.DataFrame, folding: Folding) -> pd.Series:
    """The fold (Int64, 1..folds) of each photo, indexed as `photos`.

    Raises:
        StudyError: a class has fewer photos than there are folds.
    """
    check_folds(photos, folding.folds)
    groups = pd.factorize(grouping(photos, folding.grouped))[0]
    kind = StratifiedGroupKFold if folding.kind == "stratified" else GroupKFold
    splitter = kind(folding.folds, shuffle=True, random_state=folding.seed)
    fold = pd.Series(0, index=photos.index, dtype="Int64")
    for number, (_, held_out) in enumerate(splitter.split(photos, photos["label"], groups), start=1):
        fold.iloc[held_out] = number
    return fold


def check_folds(photos: pd.DataFrame, folds: int) -> None:
    """Check that each class can be folded.

    Raises:
        StudyError: a class has fewer photos than there are folds.
    """
    for label, count in photos["label"].value_counts().items():
        if count < folds:
            raise StudyError(f"class {label} has {count} photos to fold, but needs {folds}; lower folds")
