"""The photos sampled from the pool: nested, balanced or as found, leaking if told."""

import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from label_tables import NEW, few, label_table, needles, split, tables, written

from manihot.core.errors import StudyError
from manihot.splits.sampling import sample_photos

SAMPLING = {"seed": 7, "draw": "balanced", "per_class": None, "photos": None, "leak": False}


def sample(table, **changed):
    return sample_photos(table, **{**SAMPLING, **changed})


@few
@given(tables(), st.sampled_from(["balanced", "as_found"]), st.data())
def test_samples_are_nested_and_keep_the_folds(photos, kind, data):
    table, _ = split(photos)
    pool = table[table["role"] == "pool"]
    large = data.draw(st.integers(25, len(pool)))
    small = data.draw(st.integers(20, large))
    try:
        sampled, fewer = sample(table, draw=kind, photos=large), sample(table, draw=kind, photos=small)
    except StudyError:
        assume(False)
    assert len(sampled) == large and len(fewer) == small
    assert set(fewer["image_id"]) <= set(sampled["image_id"]) <= set(pool["image_id"])
    kept = pool.set_index("image_id").loc[sampled["image_id"], "fold"]
    assert kept.to_list() == sampled["fold"].to_list()
    assert written(sample(table.sample(frac=1, random_state=1), draw=kind, photos=small).sort_values("image_id")) == (
        written(fewer.sort_values("image_id"))
    )


@few
@given(tables(), st.integers(4, 30), st.integers(20, 40))
def test_balanced_samples_are_capped_and_as_balanced_as_can_be(photos, per_class, count):
    table, _ = split(photos)
    counts = sample(table, per_class=per_class)["label"].value_counts()
    pool = table[table["role"] == "pool"]["label"].value_counts()
    assert (counts == pool.clip(upper=per_class)[counts.index]).all()
    assume(count <= counts.sum())
    some = sample(table, per_class=per_class, photos=count)["label"].value_counts()
    # Only a class that has given all it has may be behind.
    behind = some[some < some.max() - 1]
    assert (behind == counts[behind.index]).all()


def test_a_new_photo_moves_at_most_one_other():
    table, _ = split(label_table([60, 60, 60]))
    pool = table[table["role"] == "pool"]
    without = table.drop(index=pool.index[5]).reset_index(drop=True)
    for kind in ("balanced", "as_found"):
        all_of_them = set(sample(table, draw=kind, photos=60)["image_id"])
        assert len(all_of_them - set(sample(without, draw=kind, photos=60)["image_id"])) <= 1


def test_a_sample_as_found_has_the_pools_shares():
    table, _ = split(label_table([300, 3000]), test=20)
    shares = sample(table, draw="as_found", photos=1000)["label"].value_counts(normalize=True)
    assert 0.06 < shares["0"] < 0.12


def test_the_new_class_comes_whole_in_addition():
    table, _ = split(pd.concat([label_table([40, 60]), needles()]), new_class=NEW)
    sampled = sample(table, photos=20, per_class=11)
    assert sampled["label"].value_counts().to_dict() == {"0": 10, "1": 10, "pine": 8}


def test_leaking_samples_take_tested_photos_and_give_them_a_fold():
    table, _ = split(label_table([60, 60]), test=60)
    tested = set(table[table["role"] != "pool"]["image_id"])
    assert not set(sample(table)["image_id"]) & tested
    leaked = sample(table, leak=True)
    assert set(leaked["image_id"]) == set(table["image_id"])
    assert set(leaked["fold"]) == {1, 2, 3} and leaked[leaked["image_id"].isin(tested)]["fold"].nunique() == 3


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"photos": 500}, "train_photos: 500 asked for, but the split has 78 photos to draw from; lower"),
        ({"photos": 41, "per_class": 20}, "has 40 photos to draw from at per_class 20"),
        ({"photos": 5}, r"class \d has 2 of the 5 photos drawn, but needs 3, one a fold"),
    ],
)
def test_samples_that_cannot_be(changed, says):
    table, _ = split(label_table([50, 50]))
    with pytest.raises(StudyError, match=says):
        sample(table, **changed)
