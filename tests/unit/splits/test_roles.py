"""Who is tested on what under the corrected protocol."""

import hashlib
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_tables import NEW, OPTIONS, few, label_table, needles, split, strategy, tables, written

from manihot.core.classes import class_order
from manihot.core.errors import StudyError
from manihot.splits import roles


@few
@given(tables())
def test_every_photo_has_one_role_and_the_counts_are_exact(photos):
    table, record = split(photos)
    assert sorted(table["image_id"]) == sorted(photos["image_id"])
    classes = photos["label"].nunique()
    test = table[table["role"] == "test"]["label"].value_counts()
    assert (test == OPTIONS["test"] // classes).all() and len(test) == classes
    as_found = table[table["role"] == "test_as_found"]["label"].value_counts()
    assert as_found.sum() == OPTIONS["test_as_found"]
    exact = photos["label"].value_counts() * OPTIONS["test_as_found"] / len(photos)
    assert (as_found.reindex(exact.index, fill_value=0) - exact).abs().max() < 1
    pool = table[table["role"] == "pool"]["label"].value_counts()
    assert (pool >= OPTIONS["keep_for_training"]).all()
    own = table[(table["dataset"] == table["dataset"].iloc[0]) | (table["role"] != "unused")]["label"]
    assert record["shares"] == pytest.approx(own.value_counts(normalize=True).to_dict())
    for role, counted in record["counts"].items():
        assert counted == {c: ((table["role"] == role) & (table["label"] == c)).sum() for c in counted}


@few
@given(tables())
def test_groups_are_whole(photos):
    table, record = split(photos)
    conflicting = photos.groupby("group")["label"].nunique().loc[lambda n: n > 1].index
    assert record["conflicts"] == len(conflicting)
    tested = table["role"].isin(["test", "test_as_found"])
    assert not table[tested]["group"].duplicated().any()
    siblings = table[table["group"].isin(table[tested]["group"]) & ~tested]
    assert (siblings["role"] == "unused").all()
    assert (table["role"] == "unused").sum() == len(siblings)
    assert (table[table["group"].isin(conflicting)]["role"] == "pool").all()
    pool = table[table["role"] == "pool"]
    assert (pool.groupby("group")["fold"].nunique() == 1).all()
    assert table[table["role"] != "pool"]["fold"].isna().all()


@few
@given(tables(), st.randoms(use_true_random=False))
def test_row_order_and_group_numbers_do_not_matter(photos, random):
    table, record = split(photos)
    shuffled = photos.sample(frac=1, random_state=random.randint(0, 999))
    shuffled["group"] = shuffled["group"].map(lambda group: (group * 7919) % 100_003)
    again, same_record = split(shuffled)
    assert written(again.drop(columns="group")) == written(table.drop(columns="group"))
    assert same_record == record
    assert (split(photos, seed=8)[0]["role"] != table["role"]).any()


def test_groups_with_conflicting_labels_stay_in_the_pool():
    photos = label_table([40, 40])
    photos["group"] = np.tile(np.arange(40), 2).astype(int) + np.repeat([0, 100], 40) * (photos.index % 40 >= 25)
    photos["copies"] = photos["group"]
    table, record = split(photos)
    conflicting = table.groupby("group")["label"].transform("nunique") > 1
    assert record["conflicts"] == 25 and conflicting.sum() == 50
    assert (table[conflicting]["role"] == "pool").all()
    with pytest.raises(StudyError, match=r"class 0 has 40 photos \(15 that may be tested\), but needs"):
        split(photos, test=24)


def test_without_groups_duplicates_may_be_tested():
    photos = label_table([60, 60], duplicates=50)
    table, _ = split(photos, group_duplicates=False, test=40, test_as_found=0)
    assert (table["role"] != "unused").all()
    assert table[table["role"] == "pool"]["group"].isin(table[table["role"] == "test"]["group"]).any()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"test": 60}, "class 0 has 20 photos (20 that may be tested), but needs 29: 20 for the test, 4 for"),
        ({"keep_for_training": 13}, "13 to train on; lower test, test_as_found, keep_for_training or folds"),
        ({"folds": 17}, "17 to train on"),
        ({"test": 2}, "test: 2 is less than a photo of each of the 3 classes; raise test"),
    ],
)
def test_counts_that_the_labels_cannot_give(changed, says):
    with pytest.raises(StudyError) as error:
        split(label_table([20, 40, 40]), **{"test_as_found": 20, **changed})
    assert says in str(error.value) and "\n" not in str(error.value)


def test_classes_are_in_numeric_or_text_order_and_have_names():
    assert class_order(["10", "9", "-1"]) == ["-1", "9", "10"]
    assert class_order(["10", "9", "a"]) == ["9", "10", "a"]
    photos = label_table([40, 40])
    _, record = split(photos.assign(name="leaf " + photos["label"]))
    assert record["classes"] == [{"label": "0", "name": "leaf 0"}, {"label": "1", "name": "leaf 1"}]
    assert record["new_class"] is None and record["folds"] == 3


@few
@given(st.integers(0, 5), st.integers(0, 9))
def test_the_new_class_is_appended_to_the_parent(duplicates, seed):
    leaves, other = label_table([40, 60], duplicates=5), needles(duplicates=duplicates, seed=seed)
    parent, _ = split(leaves)
    table, record = split(pd.concat([leaves, other]), new_class=NEW, parent=parent)
    assert written(table[: len(parent)]) == written(parent)
    added = table[len(parent) :]
    assert (added["dataset"] == "needles").all() and (added["label"] == "pine").all()
    counts = added["role"].value_counts()
    assert counts["test"] == 4 and counts["pool"] == 8
    tested = added[added["role"] == "test"]
    assert not tested["group"].duplicated().any()
    assert not added[added["role"] == "pool"]["group"].isin(tested["group"]).any()
    assert set(added[added["role"] == "pool"]["fold"]) == {1, 2, 3}
    assert record["classes"][-1]["label"] == record["new_class"] == "pine"
    unlike, _ = split(pd.concat([leaves, other]), new_class=NEW)
    assert written(unlike) == written(table)


def test_a_new_class_in_every_fold_has_fold_0():
    table, _ = split(pd.concat([label_table([40, 60]), needles()]), new_class={**NEW, "in_every_fold": True})
    added = table[table["dataset"] == "needles"]
    assert (added[added["role"] == "pool"]["fold"] == 0).all()
    assert added[added["role"] != "pool"]["fold"].isna().all()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"photos": 21}, "new_class.photos: pine of needles has 20 photos"),
        ({"label": "1", "dataset": "leaves"}, "new_class.label: 1 is already a class of leaves"),
    ],
)
def test_new_classes_that_cannot_be(changed, says):
    with pytest.raises(StudyError, match=says):
        split(pd.concat([label_table([40, 60]), needles()]), new_class={**NEW, **changed})


def test_other_folds_on_the_same_roles():
    leaves = label_table([40, 60, 90], duplicates=9)
    parent, _ = split(leaves)
    plain, record = split(leaves, parent=parent, fold_kind="plain", test=30)
    assert written(plain.drop(columns="fold")) == written(parent.drop(columns="fold"))
    assert (plain["fold"] != parent["fold"]).any() and record["counts"]["test"]["0"] == 4


def test_photos_of_the_new_class_that_the_data_set_has_too_are_not_used():
    photos, other = label_table([60, 60]), needles()
    pine = other.loc[other["label"] == "pine", "image_id"].tolist()
    # An id of one data set may also be an id of the other.
    copies = pd.DataFrame({"image_id_a": photos["image_id"][:3], "image_id_b": [pine[0], pine[4], pine[0]]})
    both = pd.concat([photos, other])
    options = OPTIONS | {"test": 10}
    table, record = roles.split_photos(both, "leaves", strategy(options), new_class=NEW, copies=copies)
    assert record["copied"] == 2
    new = table[table["dataset"] == "needles"]
    assert not set(new["image_id"]) & {pine[0], pine[4]} and len(new[new["role"] != "unused"]) == NEW["photos"]
    assert set(table.loc[table["dataset"] == "leaves", "image_id"]) == set(photos["image_id"])
    many = pd.DataFrame({"image_id_a": "x", "image_id_b": pine[:10]})
    with pytest.raises(StudyError, match="new_class.photos: pine of needles has 10 photos"):
        roles.split_photos(both, "leaves", strategy(options), new_class=NEW, copies=many)


def test_studies_without_groups_have_the_splits_that_they_had():
    """The digest is that of these tables before photos could have groups, sites, roles and folds of the user's."""
    digest = hashlib.sha256()
    for seed, kind, grouped in itertools.product(range(3), ("stratified", "plain"), (True, False)):
        photos = label_table([30, 45, 200], duplicates=15, conflicts=1, seed=seed)
        options = {"fold_kind": kind, "group_duplicates": grouped, "seed": seed}
        for table, _ in (split(photos, **options), split(pd.concat([photos, needles(seed=seed)]), NEW, **options)):
            digest.update(written(table).encode())
    assert digest.hexdigest() == "fbdc41213072e13d74b1f5a96eb67e34e303c8f3c4658245326c7ad82c4e8694"
