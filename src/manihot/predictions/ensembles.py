"""One model of the models of its folds: the mean of their probabilities."""

from collections.abc import Mapping, Sequence

import pandas as pd

KEYS = ["dataset", "image_id", "label"]


def ensemble(folds: Mapping[str, Sequence[pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """The ensemble's table of each part, `dataset,image_id,label,fold,p0..pK`, from the tables of its folds.

    Validation is out of fold: each photo's one prediction, by the model that never saw its fold, which `fold`
    names. Elsewhere a photo's probabilities are the mean over the folds that predict it (of the training
    photos, those that trained on it), and `fold` is empty.
    """
    return {
        part: pd.concat(tables, ignore_index=True) if part == "validation" else mean(tables)
        for part, tables in folds.items()
    }


def mean(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The mean probabilities of each photo over the tables that have it, in the order of first appearance."""
    stacked = pd.concat(tables, ignore_index=True).drop(columns="fold")
    averaged = stacked.groupby(KEYS, sort=False, as_index=False).mean()
    averaged.insert(len(KEYS), "fold", pd.Series(pd.NA, index=averaged.index, dtype="Int64"))
    return averaged
