"""Splits: who is tested on what, the folds, and the photos drawn from the pool."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from manihot import splits
from manihot.errors import StudyError

few = settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
OPTIONS = {
    "dataset": "leaves", "seed": 7, "protocol": "corrected", "folds": 3, "fold_kind": "stratified",
    "group_duplicates": True, "test": 12, "test_as_found": 10, "per_class": None, "keep_for_training": 5,
}  # fmt: skip
NEW = {"dataset": "needles", "label": "pine", "photos": 12, "test": 4, "in_every_fold": False}


def label_table(counts, *, dataset="leaves", duplicates=0, conflicts=0, seed=0):
    """Photos of as many classes as counts, of which some share a group with their neighbour."""
    labels = [str(label) for label, count in enumerate(counts) for _ in range(count)]
    generator = np.random.default_rng(seed)
    group = np.arange(len(labels))
    same = [i for i in range(1, len(labels)) if labels[i] == labels[i - 1]]
    differ = [i for i in range(1, len(labels)) if labels[i] != labels[i - 1]]
    joined = [*generator.permutation(same)[:duplicates], *generator.permutation(differ)[:conflicts]]
    for i in sorted(joined):
        group[i] = group[i - 1]
    ids = generator.permutation([f"{i:05d}.jpg" for i in range(len(labels))])
    return pd.DataFrame({"dataset": dataset, "image_id": ids, "label": labels, "group": group})


@st.composite
def tables(draw):
    counts = draw(st.lists(st.integers(30, 60), min_size=2, max_size=4))
    return label_table(
        counts,
        duplicates=draw(st.integers(0, 15)),
        conflicts=draw(st.integers(0, 1)),
        seed=draw(st.integers(0, 9)),
    )


def split(photos, **changed):
    return splits.split_photos(photos, **{**OPTIONS, **changed})


def written(table):
    return table.to_csv(index=False)


@few
@given(tables())
def test_every_photo_has_one_role_and_the_counts_are_exact(photos):
    table, facts = split(photos)
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
    for role, counted in facts["counts"].items():
        assert counted == {c: ((table["role"] == role) & (table["label"] == c)).sum() for c in counted}


@few
@given(tables())
def test_groups_are_whole(photos):
    table, facts = split(photos)
    conflicting = photos.groupby("group")["label"].nunique().loc[lambda n: n > 1].index
    assert facts["conflicts"] == len(conflicting)
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
    table, facts = split(photos)
    shuffled = photos.sample(frac=1, random_state=random.randint(0, 999))
    shuffled["group"] = shuffled["group"].map(lambda group: (group * 7919) % 100_003)
    again, same_facts = split(shuffled)
    assert written(again.drop(columns="group")) == written(table.drop(columns="group"))
    assert same_facts == facts
    assert (split(photos, seed=8)[0]["role"] != table["role"]).any()


def test_groups_with_conflicting_labels_stay_in_the_pool():
    photos = label_table([40, 40])
    photos["group"] = np.tile(np.arange(40), 2).astype(int) + np.repeat([0, 100], 40) * (photos.index % 40 >= 25)
    table, facts = split(photos)
    conflicting = table.groupby("group")["label"].transform("nunique") > 1
    assert facts["conflicts"] == 25 and conflicting.sum() == 50
    assert (table[conflicting]["role"] == "pool").all()
    with pytest.raises(StudyError, match=r"class 0 has 40 photos \(15 that may be tested\), but needs"):
        split(photos, test=24)


def test_folds_are_stratified_and_of_one_size():
    pool = label_table([50, 100, 200], duplicates=20)
    fold = splits.fold_photos(pool, seed=1, folds=5, kind="stratified", grouped=True)
    per_fold = pd.crosstab(pool["label"], fold)
    assert (per_fold.max(axis=1) - per_fold.min(axis=1)).max() <= 2
    assert fold.value_counts().max() - fold.value_counts().min() <= 2


def test_plain_folds_are_shuffled_and_keep_groups_only_if_told():
    pool = label_table([50, 100, 200], duplicates=60)
    plain = splits.fold_photos(pool, seed=1, folds=5, kind="plain", grouped=True)
    assert (plain.groupby(pool["group"]).nunique() == 1).all()
    alone = splits.fold_photos(pool, seed=1, folds=5, kind="plain", grouped=False)
    assert (alone.groupby(pool["group"]).nunique() > 1).any()
    assert set(alone.value_counts()) == {70}
    per_fold = pd.crosstab(pool["label"], alone)
    assert (per_fold.max(axis=1) - per_fold.min(axis=1)).max() > 2
    assert not alone.is_monotonic_increasing


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


def test_classes_have_names():
    photos = label_table([40, 40])
    _, facts = split(photos.assign(name="leaf " + photos["label"]))
    assert facts["classes"] == [{"label": "0", "name": "leaf 0"}, {"label": "1", "name": "leaf 1"}]
    assert facts["new_class"] is None and facts["folds"] == 3


def needles(**changed):
    table = label_table([5, 20], dataset="needles", **changed)
    return table.assign(label=table["label"].map({"0": "fir", "1": "pine"}))


@few
@given(st.integers(0, 5), st.integers(0, 9))
def test_the_new_class_is_appended_to_the_parent(duplicates, seed):
    leaves, other = label_table([40, 60], duplicates=5), needles(duplicates=duplicates, seed=seed)
    parent, _ = split(leaves)
    table, facts = split(pd.concat([leaves, other]), new_class=NEW, parent=parent)
    assert written(table[: len(parent)]) == written(parent)
    added = table[len(parent) :]
    assert (added["dataset"] == "needles").all() and (added["label"] == "pine").all()
    counts = added["role"].value_counts()
    assert counts["test"] == 4 and counts["pool"] == 8
    tested = added[added["role"] == "test"]
    assert not tested["group"].duplicated().any()
    assert not added[added["role"] == "pool"]["group"].isin(tested["group"]).any()
    assert set(added[added["role"] == "pool"]["fold"]) == {1, 2, 3}
    assert facts["classes"][-1]["label"] == facts["new_class"] == "pine"
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
    plain, facts = split(leaves, parent=parent, fold_kind="plain", test=30)
    assert written(plain.drop(columns="fold")) == written(parent.drop(columns="fold"))
    assert (plain["fold"] != parent["fold"]).any() and facts["counts"]["test"]["0"] == 4


DRAW = {"seed": 7, "draw": "balanced", "per_class": None, "photos": None, "leak": False}


def draw(table, **changed):
    return splits.draw_photos(table, **{**DRAW, **changed})


@few
@given(tables(), st.sampled_from(["balanced", "as_found"]), st.data())
def test_draws_are_nested_and_keep_the_folds(photos, kind, data):
    table, _ = split(photos)
    pool = table[table["role"] == "pool"]
    large = data.draw(st.integers(25, len(pool)))
    small = data.draw(st.integers(20, large))
    try:
        drawn, fewer = draw(table, draw=kind, photos=large), draw(table, draw=kind, photos=small)
    except StudyError:
        assume(False)
    assert len(drawn) == large and len(fewer) == small
    assert set(fewer["image_id"]) <= set(drawn["image_id"]) <= set(pool["image_id"])
    kept = pool.set_index("image_id").loc[drawn["image_id"], "fold"]
    assert kept.to_list() == drawn["fold"].to_list()
    assert written(draw(table.sample(frac=1, random_state=1), draw=kind, photos=small).sort_values("image_id")) == (
        written(fewer.sort_values("image_id"))
    )


@few
@given(tables(), st.integers(4, 30), st.integers(20, 40))
def test_balanced_draws_are_capped_and_as_balanced_as_can_be(photos, per_class, count):
    table, _ = split(photos)
    counts = draw(table, per_class=per_class)["label"].value_counts()
    pool = table[table["role"] == "pool"]["label"].value_counts()
    assert (counts == pool.clip(upper=per_class)[counts.index]).all()
    assume(count <= counts.sum())
    some = draw(table, per_class=per_class, photos=count)["label"].value_counts()
    # Only a class that has given all it has may be behind.
    behind = some[some < some.max() - 1]
    assert (behind == counts[behind.index]).all()


def test_a_new_photo_moves_at_most_one_other():
    table, _ = split(label_table([60, 60, 60]))
    pool = table[table["role"] == "pool"]
    without = table.drop(index=pool.index[5]).reset_index(drop=True)
    for kind in ("balanced", "as_found"):
        all_of_them = set(draw(table, draw=kind, photos=60)["image_id"])
        assert len(all_of_them - set(draw(without, draw=kind, photos=60)["image_id"])) <= 1


def test_a_draw_as_found_has_the_pools_shares():
    table, _ = split(label_table([300, 3000]), test=20)
    shares = draw(table, draw="as_found", photos=1000)["label"].value_counts(normalize=True)
    assert 0.06 < shares["0"] < 0.12


def test_the_new_class_comes_whole_in_addition():
    table, _ = split(pd.concat([label_table([40, 60]), needles()]), new_class=NEW)
    drawn = draw(table, photos=20, per_class=11)
    assert drawn["label"].value_counts().to_dict() == {"0": 10, "1": 10, "pine": 8}


def test_leaking_draws_take_tested_photos_and_give_them_a_fold():
    table, _ = split(label_table([60, 60]), test=60)
    tested = set(table[table["role"] != "pool"]["image_id"])
    assert not set(draw(table)["image_id"]) & tested
    leaked = draw(table, leak=True)
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
def test_draws_that_cannot_be(changed, says):
    table, _ = split(label_table([50, 50]))
    with pytest.raises(StudyError, match=says):
        draw(table, **changed)
