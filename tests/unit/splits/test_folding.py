"""Folds: their sizes, their classes and whether groups stay whole."""

import pandas as pd
from label_tables import label_table

from manihot.splits.folding import Folding, fold_photos


def test_folds_are_stratified_and_of_one_size():
    pool = label_table([50, 100, 200], duplicates=20)
    fold = fold_photos(pool, Folding(5, "stratified", grouped=True, seed=1))
    per_fold = pd.crosstab(pool["label"], fold)
    assert (per_fold.max(axis=1) - per_fold.min(axis=1)).max() <= 2
    assert fold.value_counts().max() - fold.value_counts().min() <= 2


def test_plain_folds_are_shuffled_and_keep_groups_only_if_told():
    pool = label_table([50, 100, 200], duplicates=60)
    plain = fold_photos(pool, Folding(5, "plain", grouped=True, seed=1))
    assert (plain.groupby(pool["group"]).nunique() == 1).all()
    alone = fold_photos(pool, Folding(5, "plain", grouped=False, seed=1))
    assert (alone.groupby(pool["group"]).nunique() > 1).any()
    assert set(alone.value_counts()) == {70}
    per_fold = pd.crosstab(pool["label"], alone)
    assert (per_fold.max(axis=1) - per_fold.min(axis=1)).max() > 2
    assert not alone.is_monotonic_increasing
