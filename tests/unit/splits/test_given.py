"""Roles and folds that the user gives, and what leaks across their borders."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_tables import few, label_table, written

from manihot.core.errors import StudyError
from manihot.photos.facts import Label
from manihot.splits import roles
from manihot.splits.as_given import AsGiven
from manihot.splits.demands import check_facts, fold_of
from manihot.splits.folding import Folding

COUNTS = roles.Counts(test=6, test_as_found=0, per_class=None, keep_for_training=5)


def benchmark(validation=True, groups=60, seed=0):
    """120 photos of two classes in `groups` groups, with given roles."""
    generator = np.random.default_rng(seed)
    photos = label_table([60, 60], seed=seed)
    photos["group"] = photos["given_group"] = generator.integers(0, groups, 120)
    photos["given_group"] = photos["given_group"].astype(str)
    shares = ["train"] * 4 + (["validation"] if validation else []) + ["test"]
    return photos.assign(given_role=generator.choice(shares, 120))


def as_given(photos, on_leak="exclude", folds=1, **kind):
    folding = Folding(
        **{"folds": folds, "kind": "given" if folds == 1 else "stratified", "grouped": True, "seed": 7} | kind
    )
    return roles.split_photos(photos, "leaves", AsGiven(folding), on_leak=on_leak)


def folded(photos, on_leak="exclude", folds=3):
    strategy = roles.Corrected(COUNTS, Folding(folds, "given", True, 7))
    return roles.split_photos(photos, "leaves", strategy, on_leak=on_leak)


@few
@given(seed=st.integers(0, 50), groups=st.integers(30, 400), folds=st.sampled_from([1, 3]))
def test_given_roles_without_their_leaks(seed, groups, folds):
    photos = benchmark(folds == 1, groups, seed)
    table, record = as_given(photos, folds=folds)
    joined = table.merge(photos[["image_id", "given_role"]], on="image_id")
    assert (joined.loc[joined["given_role"] == "test", "role"] == "test").all()
    assert (joined.loc[joined["given_role"] != "test", "role"].isin(["pool", "unused"])).all()
    used = table[table["role"] != "unused"]
    assert (used.groupby("group")["role"].nunique() == 1).all()
    assert (used[used["role"] == "pool"].groupby("group")["fold"].nunique() == 1).all()
    assert sum(leak["photos"] for leak in record["leaks"]) == (table["role"] == "unused").sum()
    assert all(leak["excluded"] for leak in record["leaks"])
    if folds == 1:
        pool = joined[joined["role"] == "pool"]
        assert (pool["fold"] == pool["given_role"].map({"validation": 1, "train": 2})).all()
        # Validation photos go only for the test's sake.
        gone = joined[(joined["given_role"] == "validation") & (joined["role"] == "unused")]
        assert gone["group"].isin(table.loc[table["role"] == "test", "group"]).all()
    assert written(as_given(photos.sample(frac=1, random_state=1), folds=folds)[0]) == written(table)


def test_leaks_that_are_reported_stay_and_are_told_apart():
    photos = benchmark(groups=1000)
    photos["group"] = np.arange(len(photos))
    role = photos.set_index("image_id")["given_role"]
    train, test = (photos.index[photos["given_role"] == name] for name in ("train", "test"))
    photos.loc[[train[0], test[0]], ["copies", "group"]] = 500
    photos.loc[[train[1], train[2], test[1]], "group"] = 501
    table, record = as_given(photos, "report")
    assert (table["role"] == "unused").sum() == 0
    found = {leak["kind"]: leak for leak in record["leaks"]}
    names = photos["image_id"]
    assert found["copies"] | {"pairs": 0} == {
        "border": "test", "kind": "copies", "photos": 1, "pairs": 0, "excluded": False,
    }  # fmt: skip
    assert found["copies"]["pairs"] == [[names[train[0]], names[test[0]]]]
    assert found["groups"]["photos"] == 2
    assert sorted(found["groups"]["pairs"]) == sorted([names[row], names[test[1]]] for row in train[1:3])
    with pytest.raises(StudyError, match="3 photos leak across the borders.*a copy of it, is in the test; take"):
        as_given(photos, "stop")
    assert role[found["copies"]["pairs"][0][0]] == "train"


@few
@given(seed=st.integers(0, 50), start=st.sampled_from([0, 1]))
def test_given_folds_without_their_leaks(seed, start):
    photos = benchmark(groups=200, seed=seed).assign(given_role="")
    fold = np.random.default_rng(seed).integers(start, start + 3, 120)
    photos["given_fold"] = fold.astype(str)
    table, record = folded(photos)
    pool = table[table["role"] == "pool"].merge(photos[["image_id", "given_fold"]], on="image_id")
    assert (pool["fold"] == pool["given_fold"].astype(int) + 1 - start).all()
    assert (pool.groupby("group")["fold"].nunique() == 1).all()
    # Of a group over several folds the largest part stays.
    before, _ = folded(photos, "report")
    sizes = before[before["role"] == "pool"].groupby(["group", "fold"]).size()
    assert (
        pool.groupby(["group", "fold"]).size()
        >= sizes.groupby("group").max().loc[sorted(set(pool["group"]))].to_numpy()
    ).all()
    leaking = sum(leak["photos"] for leak in record["leaks"])
    assert len(before[before["role"] == "pool"]) - len(pool) == leaking
    if leaking:
        with pytest.raises(StudyError, match="is held out for validation; take them out, or set on_leak: exclude"):
            folded(photos, "stop")


def known(roles="", folds="", sites=""):
    """Ten photos, their labels in turn, and a fact each from a string's letters or words."""
    names = {"t": "train", "v": "validation", "e": "test", "": ""}
    cell = [list(text) or [""] * 10 for text in (roles, folds, sites)]
    return [
        Label(f"{n}.jpg", "ab"[n % 2], "", site=site, given_role=names[role], given_fold=fold)
        for n, (role, fold, site) in enumerate(zip(*cell, strict=True))
    ]


@pytest.mark.parametrize(
    ("photos", "asked", "says"),
    [
        (known("tttttttttt"), {"given_role": True}, "no photo has the role test"),
        (known("ttttvvvvee"), {"given_role": True}, "4 photos have the role validation.*set folds: 1.*all 8"),
        (known("ttttttttee"), {"given_role": True, "folds": 1}, "no photo has the role validation: set folds to 2"),
        (known("tetetettvv"), {"given_role": True, "folds": 1}, None),
        (known("eteteteett"), {"given_role": True}, None),
        (known("etetetetet"), {"given_role": True}, "no photo of class a has the role train"),
        (known("ttttttvtee"), {"given_role": True, "folds": 1}, "no photo of class b has the role validation"),
        (known("ttttttttvve"[1:]), {"given_role": True, "folds": 1, "given_fold": True}, "take fold_column out"),
        (known(folds="1112223331"), {"given_fold": True}, None),
        (known(folds="0001112220"), {"given_fold": True}, None),
        (known(folds="1112223334"), {"given_fold": True}, "9.jpg' has fold 4, but 3 folds are numbered 1 to 3"),
        (known(folds="0001112223"), {"given_fold": True}, "9.jpg' has fold 3, but 3 folds are numbered 0 to 2"),
        (known(folds="1111111333"), {"given_fold": True}, "no photo has fold 2"),
        (known(sites="aaabbbcccc"), {"fold_kind": "by_site"}, None),
        (known(sites="aaabbbccdd"), {"fold_kind": "by_site"}, r"have 4 .'a, b, c, d'., not 3; set folds: 4"),
        (known(sites="aaaaaaaaaa"), {"fold_kind": "by_site"}, "take another fold_kind"),
        (known(), {"folds": 1}, "1 needs photos whose given role is validation"),
    ],
)
def test_facts_that_do_not_go_with_a_split(photos, asked, says):
    split = {"folds": 3, "fold_kind": "stratified", "given_role": False, "given_fold": False} | asked
    if says is None:
        check_facts(photos, split, "splits.main")
    else:
        with pytest.raises(StudyError, match=f"splits.main.*{says}"):
            check_facts(photos, split, "splits.main")


def test_folds_are_counted_from_1():
    assert fold_of(["2", "0", "1"]) == [3, 1, 2]
    assert fold_of(["3", "1"]) == [3, 1]


def test_a_class_that_a_model_would_not_know():
    photos = benchmark(groups=1000).assign(given_role="", given_fold="1", group=range(120), copies=range(120))
    photos.loc[photos["label"] == "0", "given_fold"] = ["1", "2", "3"] * 20
    with pytest.raises(StudyError, match="class 1 has photos to train on in 1 of the folds"):
        folded(photos)
    photos = benchmark(groups=1000).assign(group=range(120))
    photos.loc[(photos["label"] == "1") & (photos["given_role"] == "train"), "group"] = 500
    photos.loc[photos.index[photos["given_role"] == "test"][0], "group"] = 500
    with pytest.raises(StudyError, match="class 1 has photos to train on in 1 of the folds"):
        as_given(photos)


def test_the_new_class_has_no_given_role():
    photos, new = benchmark(), {"dataset": "needles", "label": "pine", "photos": 9, "test": 3, "in_every_fold": False}
    other = label_table([20], dataset="needles").assign(label="pine")
    strategy = AsGiven(Folding(1, "given", True, 7))
    with pytest.raises(StudyError, match="new_class: the photos of needles have no given role"):
        roles.split_photos(pd.concat([photos, other]), "leaves", strategy, new_class=new)
