"""Photos in a seeded random order, and the sample of them that an experiment trains on."""

import hashlib
from typing import Literal

import numpy as np
import pandas as pd

from manihot.core.errors import StudyError


def grouping(photos: pd.DataFrame, grouped: bool) -> pd.Series:
    """What must stay together, a key a photo: near-duplicates joined with the groups that the user gives, or with
    `grouped` False those groups alone."""
    if grouped:
        return photos["group"]
    given = pd.factorize(photos["given_group"])[0] + len(photos)
    return alone(photos).where(photos["given_group"] == "", given)


def alone(photos: pd.DataFrame) -> pd.Series:
    """A key a photo that no other has."""
    return pd.Series(np.arange(len(photos)), index=photos.index)


def seeded_order(photos: pd.DataFrame, seed: int, purpose: str) -> pd.Series:
    """A pseudo-random uint64 for each photo, from a hash of the seed, the purpose and the photo's own name.

    Photos in the order of it are a shuffled list into which a new photo slips without moving any other.
    """
    names = zip(photos["dataset"], photos["image_id"], strict=True)
    digests = (hashlib.sha256("\0".join((str(seed), purpose, *name)).encode()).digest() for name in names)
    return pd.Series([int.from_bytes(digest[:8]) for digest in digests], index=photos.index, dtype="uint64")


def sample_photos(
    split: pd.DataFrame,
    *,
    seed: int,
    draw: Literal["balanced", "as_found"],
    per_class: int | None,
    photos: int | None,
    leak: bool,
) -> pd.DataFrame:
    """What an experiment trains on: dataset, image_id, label, fold, in the row order of the split.

    All samples of a split and seed take the first photos of one shuffled list, so smaller ones are part of
    larger ones. `balanced` takes the classes in turn, at most `per_class` photos of each; `as_found` takes
    them as they come. `photos` None takes all there are. The new class's photos come whole, in addition.
    `leak` samples all photos of the data set, tests included, as the paper did; photos without a
    fold are then given one.

    Raises:
        StudyError: more photos are asked for than there are, or a class gets fewer photos than there are
        folds.
    """
    folds = int(split["fold"].max())
    own = split["dataset"] == split["dataset"].iloc[0]
    in_pool = split["role"] == "pool"
    source = split[own & (in_pool | leak)]
    order = seeded_order(source, seed, "draw")
    shuffled = source.loc[order.sort_values().index]
    if draw == "balanced":
        turn = shuffled.groupby("label").cumcount()
        shuffled = shuffled.loc[turn.sort_values(kind="stable").index]
        if per_class is not None:
            shuffled = shuffled[turn.loc[shuffled.index] < per_class]
    if photos is not None and photos > len(shuffled):
        raise StudyError(
            f"train_photos: {photos} asked for, but the split has {len(shuffled)} photos to draw from"
            + (f" at per_class {per_class}" if draw == "balanced" and per_class else "")
            + "; lower train_photos"
        )
    sample = split.loc[shuffled.index[:photos].union(split.index[~own & in_pool])]
    counts = sample["label"].value_counts()
    for label in split["label"][own & in_pool].unique():
        if counts.get(label, 0) < folds:
            raise StudyError(
                f"train_photos: class {label} has {counts.get(label, 0)} of the {len(sample)} photos drawn, "
                f"but needs {folds}, one a fold; draw more photos, draw them balanced, or lower folds"
            )
    own_fold = (seeded_order(sample, seed, "leaked fold") % folds + 1).astype("Int64")
    return sample.assign(fold=sample["fold"].fillna(own_fold))[["dataset", "image_id", "label", "fold"]]
