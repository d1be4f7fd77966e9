"""The tables that later stages know a fitted fold by: its predictions on each part of a split."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.core.tables import probability_columns
from manihot.splits.folds import Fold


def part_tables(
    fold: Fold, split: pd.DataFrame, predict: Callable[[str, pd.DataFrame], NDArray[np.floating]]
) -> dict[str, pd.DataFrame]:
    """A fold model's predictions on each part, `dataset,image_id,label,fold,p0..pK`; a part may be empty.

    `predict` gives probabilities [n, K] in the order of the classes for the name of a part and its photos; it is
    not called for an empty part. `train` is what the model was fitted on, `validation` the pool's whole fold,
    sampled or not.
    """
    in_fold = (split["role"] == "pool") & (split["fold"] == fold.number) & (fold.number != 0)
    photos = {
        "train": fold.training,
        "validation": split[in_fold.fillna(False)],
        "test": split[split["role"] == "test"],
        "test_as_found": split[split["role"] == "test_as_found"],
    }
    tables = {}
    for part, rows in photos.items():
        keys = rows[["dataset", "image_id", "label"]].reset_index(drop=True).assign(fold=fold.number)
        values = predict(part, rows) if len(rows) else np.empty((0, len(fold.classes)))
        tables[part] = keys.join(pd.DataFrame(values, columns=probability_columns(len(fold.classes))))
    return tables
