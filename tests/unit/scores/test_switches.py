"""What a switch of the protocol is worth: only models that differ in nothing else say it."""

from typing import Any

import pandas as pd

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


def weigh(*rows: dict[str, Any], roles: pd.DataFrame = ROLES) -> pd.DataFrame:
    tables = {"main": roles, "plain": roles}
    return switches.weigh(pd.DataFrame(rows), models(), EXPERIMENTS, SPLITS, tables, {"leak": DRAW})


def test_only_pairs_that_differ_in_switches_alone_are_weighed() -> None:
    table = weigh(
        *(comparison(name, "test", 0.02, 0.2) for name in ("leak", "folds", "raw_train", "larger")),
        comparison("trees_refit", "test", 0.02, 0.2, based_on="trees"),
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
        "not one photo is answered otherwise",
        "",
    ]
    (remark,) = weigh(comparison("raw_train", "validation", 0.01, 0.03, 1, folds=5))["remark"]
    assert remark == "", "out of fold it is the settings that are compared"


def test_a_study_without_such_pairs_has_an_empty_table() -> None:
    table = weigh(comparison("larger", "test", 0.1, 0.2))
    assert table.empty and list(table) == switches.COLUMNS
