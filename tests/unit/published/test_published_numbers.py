"""Published numbers beside measured ones: matched by name, both errors counted, and nothing compared that differs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from manihot.published.numbers import ABSENT, COLUMNS, Estimate, Measured, compare, difference, mean, share

PUBLISHED = Path(__file__).parents[3] / "config/published"
SMALL_CNN = {
    "network": "small_cnn", "size": 224, "batch_size": 96, "epochs": 10, "learning_rate": 5e-5,
    "schedule": "constant", "dropout": 0.3,
}  # fmt: skip
COUNTS = [163, 209, 209, 210, 209]


def record(accuracy: float, n: int = 1000, counts: list[int] = COUNTS, **more: Any) -> dict[str, Any]:
    metrics = {
        "accuracy": {"value": accuracy, "low": accuracy - 0.03, "high": accuracy + 0.03},
        "balanced_accuracy": {"value": 0.25, "low": 0.2, "high": 0.3},
        "log_loss": {"value": 1.1, "low": 1.05, "high": 1.15},
    }
    classes = [
        {"label": str(label), "n": count, "recall": 0.5, "recall_low": 0.4, "recall_high": 0.6}
        for label, count in enumerate(counts)
    ]
    return {"n": n, "metrics": metrics, "parameters": 13_218_309, "per_class": classes, "folds": [], **more}


def fold(accuracy: float) -> dict[str, float]:
    return {"accuracy": accuracy, "balanced_accuracy": accuracy, "log_loss": 1.0}


def model(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "folds": [1, 2, 3, 4, 5], "experiment": None, "backbone": None, **more}


def study(test: dict[str, Any], **settings: Any) -> Measured:
    """A study of the one experiment `balanced`."""
    scores = {("balanced", "test"): test, ("balanced", "train"): record(0.6, 5000), ("balanced", "validation"): test}
    histories = {
        ("balanced", number): pd.DataFrame({"validation_loss": [9.0, 1.3], "validation_accuracy": [0.1, accuracy]})
        for number, accuracy in enumerate((0.40, 0.42, 0.44, 0.46, 0.48), start=1)
    }
    models = {"balanced": model("balanced", experiment="balanced")}
    return Measured(scores, histories, models, {"balanced": SMALL_CNN | settings}, {}, {})


def features(name: str, test: dict[str, Any], validation: dict[str, Any], folds: list[int]) -> Measured:
    """A study of one model on EfficientNet-B0's features."""
    boosting = name.startswith("xgboost")
    scores = {(name, "test"): test, (name, "validation"): validation, (name, "train"): record(0.8, 4549)}
    models = {name: model(name, backbone="efficientnet_b0", folds=folds)}
    head = {"epochs": 10, "batch_size": 256, "learning_rate": 1e-3}
    backbone = {"network": "efficientnet_b0", "size": 224, "head": None if boosting else head}
    whole = {"early_stopping": None, "subsample": 1.0, "colsample_bynode": 1.0}
    trees = {"n_estimators": 175, "max_depth": 4, "learning_rate": 0.02, **whole}
    return Measured(scores, {}, models, {}, {"efficientnet_b0": backbone}, {name: trees} if boosting else {})


def row(table: pd.DataFrame, *place: str) -> pd.Series:
    found = table[(table[["table", "row", "quantity"]] == list(place)).all(axis=1)]
    assert len(found) == 1
    return found.iloc[0]


def test_a_difference_of_two_shares_has_newcombe_s_interval() -> None:
    # Newcombe 1998, "Interval estimation for the difference between independent proportions", example (a), method 10.
    apart = difference(share(56 / 70, 70), share(48 / 80, 80))
    assert apart == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_a_mean_over_folds_knows_that_their_training_photos_overlap() -> None:
    # By hand: s² = 1, the error is sqrt(1/3 + 1/2) = 0.9129, t of 2 degrees of freedom 4.3027.
    assert mean([1, 2, 3]) == pytest.approx((2, 2 - 3.9278, 2 + 3.9278), abs=1e-4)
    assert mean([2])[0] == 2 and pd.isna(mean([2]).low) and pd.isna(mean([]).value)


@pytest.mark.parametrize(("right", "n"), [(0, 30), (15, 30), (29, 30), (30, 30), (455, 1000)])
def test_a_printed_share_has_wilson_s_interval(right: int, n: int) -> None:
    expected = stats.binomtest(right, n).proportion_ci(method="wilson")
    assert share(right / n, n) == pytest.approx((right / n, expected.low, expected.high))


def test_a_difference_without_a_known_error_has_no_interval() -> None:
    assert pd.isna(difference(Estimate(1, 0.9, 1.1), Estimate(1.2)).low)
    assert pd.isna(difference(ABSENT, Estimate(1, 0.9, 1.1)).value)


@pytest.mark.parametrize(("accuracy", "differs"), [(0.46, False), (0.55, True), (0.36, True)])
def test_an_experiment_of_the_same_settings_is_compared(accuracy: float, differs: bool) -> None:
    found = row(compare(PUBLISHED, study(record(accuracy))), "experiments", "balanced", "test accuracy")
    assert found["differs"] == differs and found["remark"] == "unseeded there"
    assert found["difference"] == pytest.approx(accuracy - 0.455)
    # Wider than either error alone: about 0.031 there, 0.03 here.
    assert found["difference_high"] - found["difference"] == pytest.approx(0.043, abs=0.001)


def test_an_experiment_of_other_settings_is_not_compared() -> None:
    other = compare(PUBLISHED, study(record(0.9), size=64, epochs=3))
    found = row(other, "experiments", "balanced", "test accuracy")
    assert pd.isna(found["differs"])
    assert found["remark"] == "not compared: size 64 instead of 224, epochs 3 instead of 10"


def test_the_last_epochs_of_all_folds_are_compared() -> None:
    found = row(compare(PUBLISHED, study(record(0.46))), "epochs", "balanced", "validation accuracy")
    assert found["published"] == pytest.approx((0.4560 + 0.4020 + 0.4040 + 0.4680 + 0.4450) / 5)
    assert found["measured"] == pytest.approx(0.44) and not found["differs"]


def test_every_published_number_has_a_row_and_every_silence_a_reason() -> None:
    table = compare(PUBLISHED, study(record(0.46)))
    assert list(table) == COLUMNS
    # 12 ensembles; loss and accuracy of 6 logs; 8 numbers of 4 backbones, 4 of 9 boosters; 6 matrices of 5 classes.
    assert table["table"].value_counts().to_dict() == {
        "experiments": 12, "epochs": 12, "backbones": 32, "xgboost": 36, "confusions": 30, "hardware": 10,
    }  # fmt: skip
    assert (table.loc[table["differs"].isna(), "remark"] != "").all()
    runs = table[table["row"].isin(["resnet18", "xgboost_1"]) & (table["quantity"] != "run time, seconds")]
    assert set(runs["remark"]) == {"not run in this study"}


def test_boosters_are_compared_fold_by_fold_as_the_study_fitted_one_model() -> None:
    test = record(0.62, folds=[fold(0.55), fold(0.57)])
    table = compare(PUBLISHED, features("xgboost_8", test, record(0.6), [1, 2]))
    found = row(table, "xgboost", "xgboost_8", "test accuracy")
    assert found["measured"] == pytest.approx(0.56) and found["low"] == pytest.approx(0.53) and not found["differs"]
    recall = row(table, "confusions", "xgboost_8", "recall of class 0")
    assert recall["published"] == pytest.approx(94 / 163) and recall["remark"].startswith("not compared: the mean of 2")


def test_trees_on_joined_features_are_not_compared() -> None:
    measured = features("xgboost_8", record(0.6), record(0.6, 1138), [1])
    joined = {"efficientnet_b0": {"join": ["small", "large"], "head": None}}
    table = compare(PUBLISHED, replace(measured, backbones=joined))
    found = row(table, "xgboost", "xgboost_8", "test accuracy")
    assert pd.isna(found["differs"])
    assert (
        "network of small and large instead of efficientnet_b0, size of small and large instead of" in found["remark"]
    )


def test_one_booster_on_the_same_photos_has_its_recalls_compared() -> None:
    found = compare(PUBLISHED, features("xgboost_8", record(0.56), record(0.55), [1]))
    recalls = found[(found["table"] == "confusions") & (found["row"] == "xgboost_8")]
    assert set(recalls["remark"]) == {"the same test photos"} and recalls["differs"].notna().all()


@pytest.mark.parametrize(("counts", "measured"), [([200] * 5, 0.57), ([100, 200, 200, 1300, 200], 0.25)])
def test_validation_photos_as_found_are_judged_by_balanced_accuracy(counts: list[int], measured: float) -> None:
    table = compare(PUBLISHED, features("efficientnet_b0_head", record(0.6), record(0.57, counts=counts), [1]))
    assert row(table, "backbones", "efficientnet_b0", "validation accuracy")["measured"] == measured
    loss = row(table, "backbones", "efficientnet_b0", "validation loss")
    assert pd.isna(loss["differs"]) == (measured == 0.25)


def test_a_backbone_s_errors_are_the_rest_of_its_photos() -> None:
    table = compare(PUBLISHED, features("efficientnet_b0_head", record(0.6), record(0.57), [1]))
    errors = row(table, "backbones", "efficientnet_b0", "test errors")
    assert errors["measured"] == pytest.approx(400) and errors["low"] == pytest.approx(370)
    assert errors["difference"] == pytest.approx(400 - 427)


@pytest.mark.parametrize(
    ("backbone", "count", "differs"), [("resnet18", 11_179_077, False), ("alexnet", 57_024_325, True)]
)
def test_parameters_as_printed_are_those_of_the_network_or_not(backbone: str, count: int, differs: bool) -> None:
    measured = study(record(0.5, parameters=count))
    models = {backbone: model(backbone, experiment="balanced")}
    scores = {(backbone, part): scored for (_, part), scored in measured.scores.items()}
    table = compare(PUBLISHED, Measured(scores, {}, models, measured.experiments, {}, {}))
    found = row(table, "backbones", backbone, "parameters, millions")
    assert found["differs"] == differs and found["measured"] == count / 1e6
