"""What a switch of the protocol is worth: only models that differ in nothing else say it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from manihot.scores import switches

SPLITS = {
    "main": {"dataset": "d", "like": None, "fold_kind": "stratified", "group_duplicates": True, "new_class": None},
    "plain": {"dataset": "d", "like": "main", "fold_kind": "plain", "group_duplicates": False, "new_class": None},
}
PLAIN: dict[str, Any] = {
    "split": "main", "based_on": None, "family": "f", "repeat": 0, "run_folds": None, "tta": [],
    "leak": False, "normalisation": "weights", "frozen_mode": "eval", "batch_size": 32,
}  # fmt: skip
EXPERIMENTS = {
    "plain": PLAIN,
    "leak": PLAIN | {"based_on": "plain", "leak": True},
    "folds": PLAIN | {"based_on": "plain", "split": "plain", "run_folds": [1]},
    "raw_train": PLAIN | {"based_on": "plain", "normalisation": "none", "frozen_mode": "train"},
    "larger": PLAIN | {"based_on": "plain", "leak": True, "batch_size": 64},
}
TESTED = [("d", f"{n}.jpg", "test", n) for n in range(4)]
POOL = [("d", f"{n}.jpg", "pool", 100 + n) for n in range(10, 14)]
ROLES = pd.DataFrame(TESTED + POOL, columns=["dataset", "image_id", "role", "group"])
DRAW = pd.DataFrame({"dataset": "d", "image_id": ["1.jpg", "3.jpg", "12.jpg"]})


def models() -> list[dict[str, Any]]:
    networks = [
        {"name": n, "kind": "network", "folds": [1, 2], **{k: e[k] for k in ("based_on", "split", "repeat")}}
        for n, e in EXPERIMENTS.items()
    ]
    boosters = {"kind": "boosting", "split": "main", "repeat": 0}
    return [
        *networks,
        {"name": "trees", "based_on": None, "folds": [1, 2], **boosters},
        {"name": "trees_refit", "based_on": "trees", "folds": [0], **boosters},
    ]


def comparison(
    name: str, part: str, low: float, high: float, seeds: int = 3, based_on: str = "plain", folds: int = 0
) -> dict[str, Any]:
    values = {"model_value": 0.5, "based_on_value": 0.4, "difference": (low + high) / 2, "low": low, "high": high}
    return {
        "model": name,
        "based_on": based_on,
        "part": part,
        "metric": "accuracy",
        "n": 100,
        "seeds": seeds,
        "folds": folds,
        **values,
    }


NO_REFITS = switches.beside_single_folds([], {}, pd.DataFrame(), {}, seed=1, resamples=100)


def weigh(*rows: dict[str, Any], roles: pd.DataFrame = ROLES, refits: pd.DataFrame = NO_REFITS) -> pd.DataFrame:
    tables = {"main": roles, "plain": roles}
    return switches.weigh(pd.DataFrame(rows), models(), EXPERIMENTS, SPLITS, tables, {"leak": DRAW}, refits)


def beside_folds(right: list[float], photos: int = 200) -> pd.DataFrame:
    """A refit that is right on every photo beside its folds, each right on a share of them, on the test."""
    table = pd.DataFrame({"dataset": "d", "image_id": [f"{n}.jpg" for n in range(photos)], "label": "0"})
    tables = {("trees_refit", "test"): table.assign(p0=0.9, p1=0.1)}
    for fold, share in enumerate(right, start=1):
        own = np.arange(photos) < share * photos
        tables[f"trees/fold{fold}", "test"] = table.assign(p0=np.where(own, 0.9, 0.1), p1=np.where(own, 0.1, 0.9))
    pair = {
        "model": "trees_refit", "models": ["trees_refit"], "based_on": "trees", "split": "main", "part": "test",
        "based_on_models": [f"trees/fold{fold}" for fold in range(1, len(right) + 1)],
    }  # fmt: skip
    classes = {"main": [{"label": "0", "name": "0"}, {"label": "1", "name": "1"}]}
    catalogs = table.assign(group=range(photos))
    return switches.beside_single_folds([pair], tables, catalogs, classes, seed=1, resamples=200)


def test_only_pairs_that_differ_in_switches_alone_are_weighed() -> None:
    table = weigh(
        *(comparison(name, "test", 0.02, 0.2) for name in ("leak", "folds", "raw_train", "larger")),
        refits=beside_folds([0.9, 0.8]),
    )
    assert dict(zip(table["model"], table["keys"], strict=True)) == {
        "leak": "leak", "folds": "fold_kind,group_duplicates", "raw_train": "normalisation,frozen_mode", "trees_refit": "refit",
    }  # fmt: skip
    assert list(table)[:5] == ["keys", "switch", "model", "based_on", "part"]
    assert (
        table.set_index("model").loc["raw_train", "switch"]
        == "normalisation: weights → none, frozen_mode: eval → train"
    )
    assert table.set_index("model").loc["leak", "switch"] == "leak: off → on"


def test_a_new_class_of_either_side_is_a_difference() -> None:
    new = {"dataset": "e", "label": "new", "photos": 10, "test": 2, "in_every_fold": False}
    splits = SPLITS | {"more": SPLITS["main"] | {"new_class": new}}
    without, having = PLAIN, PLAIN | {"split": "more"}
    there, back = switches.differing(having, without, splits), switches.differing(without, having, splits)
    assert set(there) == set(back) == {"in_every_fold", *(f"new_class_{key}" for key in new if key != "in_every_fold")}
    assert there["new_class_label"] == (None, "new") and back["new_class_label"] == ("new", None)


def test_a_refit_is_set_beside_single_folds_not_beside_their_ensemble() -> None:
    # Averaged, the two folds are right on 90 or 80 % of the photos; what one model of them is right on is 85 %.
    no_pairs = comparison("plain", "test", 0.0, 0.0)
    (row,) = weigh(no_pairs, refits=beside_folds([0.9, 0.8])).to_dict("records")
    assert row["model_value"] == 1 and row["based_on_value"] == pytest.approx(0.85)
    assert row["difference"] == pytest.approx(0.15) and 0.1 < row["low"] < 0.15 < row["high"] < 0.2
    assert (row["photos"], row["seeds"], row["based_on"]) == (200, 1, "trees")
    assert row["remark"] == (
        "single models are compared: one fitted on the whole pool, and the mean of the 2 models of single folds"
    )
    assert weigh(no_pairs).empty, "without the folds' tables nothing is weighed"


def test_out_of_fold_stands_beside_the_tests() -> None:
    table = weigh(comparison("raw_train", "test", 0.0, 0.2), comparison("raw_train", "validation", 0.1, 0.2))
    assert list(table["part"]) == ["validation", "test"]


def test_a_leak_says_how_many_test_photos_were_drawn() -> None:
    (remark,) = weigh(comparison("leak", "test", 0.02, 0.2))["remark"]
    assert remark == "2 of the 4 photos of test were drawn"


def test_without_duplicates_ignoring_them_shows_nothing() -> None:
    (remark,) = weigh(comparison("folds", "test", 0.02, 0.2))["remark"]
    assert "0 of the 8 photos have a near-duplicate: ignoring that shows nothing here" in remark
    twins = ROLES.assign(group=[0, 0, *range(2, 8)])
    (remark,) = weigh(comparison("folds", "test", 0.02, 0.2), roles=twins)["remark"]
    assert remark == "2 of the 8 photos have a near-duplicate"


def test_what_a_difference_cannot_show_is_said() -> None:
    remarks = [
        weigh(comparison("raw_train", "test", *interval))["remark"].item()
        for interval in ((-0.01, 0.03, 3), (0.01, 0.03, 1), (0.0, 0.0, 3), (0.01, 0.03, 3))
    ]
    assert remarks == [
        "cannot tell: from −1.0 to +3.0 points would fit",
        "1 seed: of these trained models, not of the setting",
        "the same photos are right",
        "",
    ]
    (remark,) = weigh(comparison("raw_train", "validation", 0.01, 0.03, folds=2))["remark"]
    assert remark == "two folds tell hardly anything"
    (remark,) = weigh(comparison("raw_train", "validation", 0.01, 0.03, 1, folds=5))["remark"]
    assert remark == "", "out of fold it is the settings that are compared"


def test_a_study_without_such_pairs_has_an_empty_table() -> None:
    table = weigh(comparison("larger", "test", 0.1, 0.2))
    assert table.empty and list(table) == switches.COLUMNS
