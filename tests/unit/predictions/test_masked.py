"""Two heads that differ in their view alone: each is fitted on the other folds and sees its own view."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from photo_tables import BACKBONE

from manihot.core.errors import StudyError
from manihot.features import heads
from manihot.features import table as feature_table
from manihot.networks import bundle
from manihot.predictions.masked import out_of_fold
from manihot.splits.folds import Fold

LABELS = ["a", "b"]
CLASSES = [{"label": label, "name": label} for label in LABELS]
RECIPE = heads.Adam(["identity"], epochs=30, batch_size=16, learning_rate=5e-2, weight_decay=0.0, seed=7)


@pytest.fixture
def stored(tmp_path):
    """Features that tell the class, and masked ones that tell nothing, of 48 photos in two folds, 8 of them tested."""
    random = np.random.default_rng(0)
    ids, classes = [f"{index}.jpg" for index in range(48)], np.arange(48) % 2
    rows = {"identity": 3.0 * classes[:, None] + random.normal(size=(48, 4)), "masked": random.normal(size=(48, 4))}
    arrays = []
    for view, values in rows.items():
        arrays.append(tmp_path / f"{view}.npy")
        about = {"dataset": "leaves", "view": view, "backbone": BACKBONE}
        feature_table.write(arrays[-1], ids, [(np.arange(48), values.astype(np.float32))], about)
    split = pd.DataFrame({"dataset": "leaves", "image_id": ids, "label": [LABELS[c] for c in classes]})
    split["role"] = np.where(np.arange(48) < 40, "pool", "test")
    split["fold"] = pd.array(np.arange(48) // 2 % 2 + 1, "Int64")
    return arrays, split


def folds(split, *numbers):
    sample = split[split["role"] == "pool"]
    return [Fold(number, sample, CLASSES) for number in numbers]


def right(table):
    return (table[["p0", "p1"]].to_numpy().argmax(1) == [LABELS.index(label) for label in table["label"]]).mean()


def test_each_head_sees_its_view_and_predicts_the_folds_it_did_not_learn_from(stored, tmp_path):
    arrays, split = stored
    tables = out_of_fold(arrays, folds(split, 1, 2), split, RECIPE, threads=1)
    assert right(tables["whole"]) > 0.9 and 0.2 < right(tables["masked"]) < 0.8
    for table in tables.values():
        assert sorted(table["image_id"]) == sorted(split.loc[split["role"] == "pool", "image_id"])
        assert list(table) == ["dataset", "image_id", "label", "fold", "p0", "p1"]
    # The whole one is the study's own head where that has this one view.
    [fold] = folds(split, 2)
    heads.fit(tmp_path, arrays, fold, RECIPE, 1)
    own = heads.predict(bundle.read(tmp_path / "model.json"), arrays, split[:40], 1)
    whole = tables["whole"].set_index("image_id").loc[list(split["image_id"][:40])]
    held_out = (split["fold"][:40] == 2).to_numpy(bool)
    np.testing.assert_array_equal(whole.loc[held_out, ["p0", "p1"]].to_numpy(np.float32), own[held_out])


def test_the_recipe_s_views_play_no_part_and_a_missing_view_is_named(stored):
    arrays, split = stored
    one = out_of_fold(arrays, folds(split, 1), split, RECIPE, threads=1)
    other = out_of_fold(arrays, folds(split, 1), split, replace(RECIPE, views=["hflip"]), threads=1)
    assert all(one[name].equals(other[name]) for name in one) and set(one["masked"]["fold"]) == {1}
    with pytest.raises(StudyError, match="no stored features of the view masked"):
        out_of_fold(arrays[:1], folds(split, 1), split, RECIPE, threads=1)
