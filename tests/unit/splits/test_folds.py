"""A fold: which photos its model is fitted on and validated on, and its classes."""

import pytest
from photo_tables import CLASSES, names, write

from manihot.core.errors import StudyError
from manihot.splits.folds import Fold, targets


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
