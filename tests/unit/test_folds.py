"""Folds: their sizes, classes and groups; which photos one's model is fitted and validated on."""

import pandas as pd
import pytest
from label_tables import label_table
from photo_tables import CLASSES, names, write

from manihot.errors import StudyError
from manihot.folds import Fold, Folding, fold_photos, targets


@pytest.fixture
def fold(tmp_path):
    """A function that reads a fold of the written tables."""
    write(tmp_path)
    return lambda number: Fold.read(number, tmp_path / "sample.csv", tmp_path / "split.json")


def test_a_fold_is_fitted_on_the_others_and_validated_on_its_own(fold):
    assert names(fold(1).training) == ["leaves/3.jpg", "leaves/NA", "needles/1.jpg"]
    assert names(fold("1").validation) == ["leaves/1.jpg", "needles/1.jpg"]
    assert names(fold(0).training) == names(fold(0).sample)
    assert names(fold(0).validation) == []


def test_targets_are_places_among_the_classes(fold):
    assert fold(1).labels == ["007", "NA"] and fold(1).classes == CLASSES
    assert fold(1).targets(fold(1).sample).tolist() == [0, 0, 1, 1]
    assert targets(fold(1).sample, ["NA", "007"]).tolist() == [1, 1, 0, 0]
    with pytest.raises(StudyError, match=r"photo NA of leaves has the label 'NA'"):
        targets(fold(1).sample, ["007"])


def test_class_shares_are_those_of_the_photos_fitted_on(fold):
    assert fold(2).class_shares() == [0.5, 0.5]
    assert fold(1).class_shares() == pytest.approx([1 / 3, 2 / 3])


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
