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
        StudyError: no inner fold tells anything (`telling`): the groups are too few.
    """
    photos = fold.training
    groups, target = pd.factorize(photos["group"])[0], pd.factorize(photos["label"])[0]
    classes = photos.groupby("label")["group"].nunique()
    count = min(count, len(np.unique(groups)), int(classes.max()))
    number = np.zeros(len(photos), np.intp)
    if count > 1:
        drawn = zlib.crc32(f"inner {seed} {fold.number}".encode())
        splitter = StratifiedGroupKFold(count, shuffle=True, random_state=drawn)
        for place, (_, out) in enumerate(splitter.split(groups, photos["label"], groups)):
            number[out] = place
    if not any(telling(target, number == place).any() for place in range(count)):
        raise StudyError(
            f"fold {fold.number}: the training photos have too few groups (of two classes, two of one) for anything to "
            "be tuned: give finer groups, or tune nothing (head: kind: adam; boosting: early_stopping: null)"
        )
    return number


def telling(target: NDArray[np.int64], out: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which photos of an inner fold `out` tell how good a fit on the others is, bool [n].

    They are those of a class that the others have too; none where the others are of one class. `target` has the photos'
    class indices [n].
    """
    known = np.unique(target[~out])
    return out & np.isin(target, known if len(known) > 1 else [])
