"""Inner folds: a fold's training photos, dealt out once more, for what is tuned without its held-out photos."""

import zlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from manihot.core.errors import StudyError
from manihot.splits.folds import Fold


def inner_folds(fold: Fold, count: int, seed: int) -> NDArray[np.intp]:
    """The inner fold, 0 to `count` - 1, of each photo of `fold.training`, int64 [n].

    Photos of one group (near-duplicates, or a plant that the user names: the column `group`) are in one inner fold, and
    each has the classes' shares as far as whole groups allow it. The photos that the fold holds out play no part. Few
    groups make fewer inner folds.

    Raises:
        StudyError: all training photos are one group.
    """
    photos = fold.training
    groups = pd.factorize(photos["group"])[0]
    classes = photos.groupby("label")["group"].nunique()
    count = min(count, len(np.unique(groups)), int(classes.max()))
    if count < 2:
        raise StudyError(
            f"fold {fold.number}: every class has one group of photos to train on, so that nothing can be tuned: "
            "give finer groups, or tune nothing (head: kind: adam; boosting: early_stopping: null)"
        )
    number = np.zeros(len(photos), np.intp)
    drawn = zlib.crc32(f"inner {seed} {fold.number}".encode())
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=drawn)
    for place, (_, out) in enumerate(splitter.split(groups, photos["label"], groups)):
        number[out] = place
    return number
