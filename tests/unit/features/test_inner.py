"""Inner folds: whole groups, every class in each, the same again, and nothing of the photos that are held out."""

import numpy as np
import pandas as pd
import pytest

from manihot.core.errors import StudyError
from manihot.features.inner import inner_folds, telling
from manihot.splits.folds import Fold


def sampled(groups, labels):
    photos = pd.DataFrame({"image_id": [str(n) for n in range(len(groups))], "label": labels, "group": groups})
    return photos.assign(dataset="leaves", fold=pd.array(np.arange(len(groups)) // 12 % 3 + 1, "Int64"))


@pytest.fixture
def sample():
    """180 photos in groups of 3 of one class, four groups a fold in turn."""
    groups = np.arange(180) // 3
    return sampled(groups, np.array(["a", "b", "b", "b"])[groups % 4])


def test_groups_are_whole_and_classes_even(sample):
    fold = Fold(1, sample, [])
    inner = inner_folds(fold, 4, 7)
    photos = fold.training.assign(inner=inner)
    assert len(inner) == 120 and set(inner) == {0, 1, 2, 3}
    assert (photos.groupby("group")["inner"].nunique() == 1).all()
    counts = photos.groupby(["inner", "label"]).size().unstack()
    assert np.ptp(counts["a"]) <= 3 and np.ptp(counts["b"]) <= 3


def test_they_are_drawn_by_the_seed_the_fold_and_its_training_photos_alone(sample):
    drawn = inner_folds(Fold(1, sample, []), 3, 7)
    changed = sample.assign(label=sample["label"].where(sample["fold"] != 1, "b"))
    changed["group"] = changed["group"].where(sample["fold"] != 1, 999)
    assert (inner_folds(Fold(1, changed, []), 3, 7) == drawn).all()
    # What groups are called does not matter.
    assert (inner_folds(Fold(1, sample.assign(group=-sample["group"]), []), 3, 7) == drawn).all()
    assert (inner_folds(Fold(1, sample, []), 3, 8) != drawn).any()
    assert len(inner_folds(Fold(0, sample, []), 3, 7)) == 180


def test_few_groups_make_fewer_inner_folds_and_one_a_class_none():
    few = sampled(np.arange(36) // 9, np.array(["a", "b"])[np.arange(36) // 9 % 2])
    assert set(inner_folds(Fold(0, few, []), 5, 7)) == {0, 1}
    one = sampled(np.arange(36) // 18, np.array(["a", "b"])[np.arange(36) // 18])
    with pytest.raises(StudyError, match="too few groups .* for anything to be tuned"):
        inner_folds(Fold(0, one, []), 5, 7)


def test_photos_tell_of_classes_that_are_fitted_on_where_these_are_two():
    target, out = np.array([0, 0, 1, 1, 2]), np.array([True, False, True, False, True])
    assert telling(target, out).tolist() == [True, False, True, False, False]
    assert not telling(np.array([0, 0, 1]), np.array([True, False, True])).any()
    # All photos of one class: no fit is a classifier.
    with pytest.raises(StudyError, match="too few groups"):
        inner_folds(Fold(0, sampled(np.arange(36), np.array(["a"] * 36)), []), 5, 7)
