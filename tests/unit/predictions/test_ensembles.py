"""Ensembles: what is averaged, and what is only put together."""

import pandas as pd
import pytest

from manihot.predictions import ensembles


def predictions(image_ids, fold, p0):
    return pd.DataFrame(
        {
            "dataset": "leaves",
            "image_id": image_ids,
            "label": "0",
            "fold": fold,
            "p0": p0,
            "p1": [1 - p for p in p0],
        }
    )


def test_tests_are_averaged_and_have_no_fold():
    folds = [predictions(["b", "a"], 1, [0.2, 0.4]), predictions(["b", "a"], 2, [0.4, 1.0])]
    averaged = ensembles.ensemble({"test": folds})["test"]
    assert averaged["image_id"].to_list() == ["b", "a"]
    assert averaged["p0"].to_list() == pytest.approx([0.3, 0.7])
    assert averaged["p1"].to_list() == pytest.approx([0.7, 0.3])
    assert averaged["fold"].isna().all()
    assert list(averaged.columns) == ["dataset", "image_id", "label", "fold", "p0", "p1"]


def test_a_training_photo_is_averaged_over_the_folds_that_trained_on_it():
    folds = [
        predictions(["a"], 1, [0.2]),
        predictions(["b"], 2, [0.8]),
        predictions(["a", "b"], 3, [0.4, 0.6]),
    ]
    averaged = ensembles.ensemble({"train": folds})["train"].set_index("image_id")["p0"]
    assert averaged.to_dict() == pytest.approx({"a": 0.3, "b": 0.7})


def test_validation_is_put_together_and_keeps_its_fold():
    folds = [predictions(["a"], 1, [0.2]), predictions(["b"], 2, [0.8])]
    together = ensembles.ensemble({"validation": folds})["validation"]
    assert together["fold"].to_list() == [1, 2] and together["p0"].to_list() == [0.2, 0.8]


def test_one_id_in_two_data_sets_is_two_photos():
    folds = [pd.concat([predictions(["6103.jpg"], 1, [0.2]), predictions(["6103.jpg"], 1, [0.6]).assign(dataset="x")])]
    assert ensembles.mean(folds)["p0"].to_list() == [0.2, 0.6]


@pytest.mark.parametrize("part", ["test", "validation"])
def test_an_empty_part_stays_a_header(part):
    empty = predictions([], 1, [])
    assert ensembles.ensemble({part: [empty, empty]})[part].to_csv(index=False) == "dataset,image_id,label,fold,p0,p1\n"
