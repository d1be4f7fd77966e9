"""Scores: scikit-learn's values, intervals that cover, and the summary of all models."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from manihot.core.errors import StudyError
from manihot.core.names import ANSWERS, PARTS
from manihot.scores import intervals, outcomes, summaries
from manihot.scores import score as scores
from manihot.scores.answers import score_answers

CLASSES = [{"label": label, "name": f"leaf {label}"} for label in "abc"]
few = settings(max_examples=20, deadline=None, derandomize=True)


def predictions(n, *, seed=0, classes="abc", skill=1.0, duplicates=1, fold=1):
    """n photos whose probabilities favour the true class by `skill`; and their catalog."""
    generator = np.random.default_rng(seed)
    true = generator.integers(0, len(classes), n)
    logits = generator.normal(size=(n, len(classes)))
    logits[np.arange(n), true] += skill
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    keys = pd.DataFrame({"dataset": "leaves", "image_id": [f"{i}.jpg" for i in range(n)]})
    catalog = keys.assign(group=np.arange(n) // duplicates, given_group="", site="")
    keys["label"] = [classes[index] for index in true]
    return keys.assign(fold=fold).join(pd.DataFrame(p, columns=[f"p{i}" for i in range(len(classes))])), catalog


@few
@given(st.integers(3, 60), st.integers(0, 99), st.floats(-1, 3))
def test_values_are_scikit_learns(n, seed, skill):
    table, catalog = predictions(n, seed=seed, skill=skill)
    record = scores.score(table, catalog, CLASSES, seed=1, resamples=50)
    p = table[["p0", "p1", "p2"]].to_numpy()
    true, predicted = table["label"].map(list("abc").index).to_numpy(), p.argmax(axis=1)
    value = {name: metric["value"] for name, metric in record["metrics"].items()}
    assert value["accuracy"] == pytest.approx(reference.accuracy_score(true, predicted))
    present = np.unique(true)
    recalls = reference.recall_score(true, predicted, labels=present, average=None, zero_division=0)
    assert value["balanced_accuracy"] == pytest.approx(recalls.mean())
    assert value["macro_f1"] == pytest.approx(reference.f1_score(true, predicted, average="macro", zero_division=0))
    one_hot = np.eye(3)[true]
    assert value["brier"] == pytest.approx(np.square(p - one_hot).sum(axis=1).mean())
    assert value["log_loss"] == pytest.approx(reference.log_loss(true, p, labels=[0, 1, 2]))
    assert record["confusion"] == reference.confusion_matrix(true, predicted, labels=[0, 1, 2]).tolist()
    precision, recall, _, count = reference.precision_recall_fscore_support(
        true, predicted, labels=[0, 1, 2], zero_division=np.nan
    )
    for index, entry in enumerate(record["per_class"]):
        assert entry["n"] == count[index]
        for mine, theirs in ((entry["precision"], precision[index]), (entry["recall"], recall[index])):
            assert mine is None if np.isnan(theirs) else mine == pytest.approx(theirs)
    assert all(m["low"] <= m["value"] + 0.2 and m["low"] <= m["high"] for m in record["metrics"].values())
    json.dumps(record, allow_nan=False)


def test_the_same_seed_gives_the_same_intervals():
    table, catalog = predictions(80)
    first, again, other = (scores.score(table, catalog, CLASSES, seed=seed, resamples=200) for seed in (1, 1, 2))
    assert first == again and first != other


def test_bootstrap_totals_are_those_of_drawn_groups():
    table, catalog = predictions(60, duplicates=3)
    sums = outcomes.outcomes(table, catalog, CLASSES).sums()
    assert sums.shape == (20, 11)
    totals = intervals.bootstrap(sums, seed=5, resamples=7)
    drawn = np.random.default_rng(5).integers(0, 20, size=(7, 20), dtype=np.int32)
    assert totals == pytest.approx(np.stack([sums.toarray()[row].sum(axis=0) for row in drawn]))


def test_duplicates_widen_the_interval():
    table, catalog = predictions(100)
    often = pd.concat([table.assign(image_id=f"{copy}" + table["image_id"]) for copy in range(9)])
    alone = pd.concat([catalog.assign(image_id=f"{copy}" + catalog["image_id"]) for copy in range(9)])
    width = {}
    for name, groups in (("grouped", alone), ("ignored", alone.assign(group=np.arange(len(alone))))):
        accuracy = scores.score(often, groups, CLASSES, seed=1)["metrics"]["accuracy"]
        width[name] = accuracy["high"] - accuracy["low"]
    assert width["grouped"] / width["ignored"] == pytest.approx(3, rel=0.15)


def test_old_and_new_classes_are_scored_apart():
    table, catalog = predictions(90)
    record = scores.score(table, catalog, CLASSES, seed=1, resamples=200, marked=scores.Marked("c", "b"))
    old = table[table["label"] != "c"]
    predicted = old[["p0", "p1", "p2"]].to_numpy().argmax(axis=1)
    true = old["label"].map(list("abc").index)
    assert record["old_classes"]["n"] == len(old)
    assert record["old_classes"]["accuracy"]["value"] == pytest.approx((predicted == true).mean())
    f1 = reference.f1_score(true, predicted, labels=[0, 1], average="macro")
    assert record["old_classes"]["macro_f1"]["value"] == pytest.approx(f1)
    assert record["new_class"]["n"] == 90 - len(old)
    assert record["new_class"]["low"] <= record["new_class"]["recall"] <= record["new_class"]["high"]
    assert record["baseline"]["accuracy"]["value"] == pytest.approx((table["label"] == "b").mean())
    assert record["baseline"]["balanced_accuracy"]["value"] == pytest.approx(1 / 3)


def test_a_class_that_the_model_never_heard_of():
    table, catalog = predictions(30)
    record = scores.score(table.drop(columns="p2"), catalog, CLASSES, seed=1, resamples=20, marked=scores.Marked("c"))
    assert record["new_class"]["recall"] == 0 and record["new_class"]["precision"] is None
    assert record["metrics"]["log_loss"]["value"] > 5


def test_a_part_without_new_photos_and_a_part_without_any():
    table, catalog = predictions(30, classes="ab")
    record = scores.score(table.assign(p2=0.0), catalog, CLASSES, seed=1, resamples=20, marked=scores.Marked("c"))
    assert record["new_class"]["n"] == 0 and record["new_class"]["recall"] is None
    json.dumps(record, allow_nan=False)
    assert scores.score(table[:0], catalog, CLASSES, seed=1, folds=[table[:0]]) == {"n": 0}


def test_a_certain_error_costs_36_and_not_infinity():
    table, catalog = predictions(1)
    table[["p0", "p1", "p2"]] = [[float(label != table["label"][0]) / 2 for label in "abc"]]
    value = scores.score(table, catalog, CLASSES, seed=1, resamples=20)["metrics"]["log_loss"]["value"]
    assert value == pytest.approx(36.04, abs=0.01)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"p0": float("nan")}, "0.jpg has a prediction that is not a number: the training diverged"),
        ({"label": "z"}, "0.jpg has a label that is not a class"),
        ({"image_id": "?.jpg"}, r"\?.jpg of leaves is in no catalog"),
    ],
)
def test_predictions_that_cannot_be_scored(change, says):
    table, catalog = predictions(5)
    with pytest.raises(StudyError, match=says):
        scores.score(table.assign(**change), catalog, CLASSES, seed=1)


def test_the_majority_is_the_pools():
    counts = {"pool": {"a": 3, "b": 5, "c": 5}, "test": {"a": 9, "b": 0, "c": 0}}
    assert scores.majority_class({"classes": CLASSES, "counts": counts}) == "b"


def study(**skills):
    """Models of two folds with their scores: a skill each."""
    models, recorded = [], {}
    for name, skill in skills.items():
        models.append(
            {"name": name, "family": "networks", "repeat_of": None, "leak": False, "split": "plain", "folds": [1, 2]}
        )
        for part in PARTS:
            n = 0 if part == "test_as_found" else 120
            table, catalog = predictions(n or 1, skill=skill, seed=3)
            table = table[:n]
            record = scores.score(
                table, catalog, CLASSES, seed=1, resamples=50, marked=scores.Marked(majority="a"),
                folds=[table[: n // 2], table[n // 2 :].assign(fold=2)],
            )  # fmt: skip
            kinds = {} if part == "train" else dict.fromkeys(("raw", *ANSWERS), table)
            shares = [1 / 3, 1 / 3, 1 / 3]
            if kinds:
                record["answers"] = score_answers(
                    kinds, catalog, CLASSES, as_found=shares, target=None, costs={}, seed=1, resamples=50
                )
            recorded[name, part] = {"kind": "network", "parameters": 7, **record}
    return recorded, models


def test_the_summary_has_a_row_a_model_and_part():
    def rows(name):
        folds, answers = [f"{name}/fold1", f"{name}/fold2"], [f"{name}/corrected", f"{name}/calibrated"]
        return [name, *folds, *[name, *answers, *folds] * 2]

    recorded, models = study(weak=0.5, strong=2.0)
    table = summaries.summarise(recorded, models)
    assert ",".join(table.columns) == (
        "model,kind,part,n,accuracy,accuracy_low,accuracy_high,balanced_accuracy,macro_f1,log_loss,cost,parameters"
    )
    assert table["model"].to_list() == [
        *rows("weak"), *rows("strong"), *["majority_class"] * 2,
    ]  # fmt: skip
    row = table[(table["model"] == "strong/fold2") & (table["part"] == "test")].iloc[0]
    assert row["kind"] == "fold" and row["n"] == 60 and row["parameters"] == 7
    assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]
    baseline = table[table["kind"] == "baseline"]
    assert baseline["part"].to_list() == ["validation", "test"] and baseline["log_loss"].isna().all()
    assert not table.duplicated(["model", "part"]).any()


def test_each_site_is_scored_apart_the_worst_first():
    table, catalog = predictions(120, duplicates=2)
    catalog["site"] = np.repeat(["north", "south", ""], 40)
    record = scores.score(table, catalog, CLASSES, seed=1, resamples=100)
    assert [row["accuracy"]["value"] for row in record["sites"]] == sorted(
        r["accuracy"]["value"] for r in record["sites"]
    )
    for row in record["sites"]:
        there = (catalog["site"] == row["site"]).to_numpy()
        alone = scores.score(table[there], catalog, CLASSES, seed=1, resamples=100)
        assert row == {"site": row["site"], "n": 40, "groups": 20} | {
            key: alone["metrics"][key] for key in outcomes.METRICS
        }
    assert {row["site"] for row in record["sites"]} == {"north", "south"}


def plants(seed=0):
    """Ninety photos of thirty plants with a label each."""
    table, catalog = predictions(90, seed=seed, skill=0.7)
    table["label"] = np.repeat(table["label"].to_numpy()[::3], 3)
    return table, catalog.assign(given_group=[f"p{row // 3}" for row in range(90)], group=np.arange(90) // 3)


def test_one_answer_a_plant_is_the_mean_of_log_p():
    table, catalog = plants()
    shuffled = table.sample(frac=1, random_state=1)
    record = scores.score(shuffled, catalog, CLASSES, seed=1, resamples=100)
    things = record["one_answer"]
    p = table[["p0", "p1", "p2"]].to_numpy().reshape(30, 3, 3)
    product = p.prod(axis=1) ** (1 / 3)
    true = table["label"].map({"a": 0, "b": 1, "c": 2}).to_numpy()[::3]
    assert (things["n"], things["photos"], things["left_out"]) == (30, 90, 0)
    assert things["accuracy"]["value"] == pytest.approx((product.argmax(axis=1) == true).mean())
    share = (product / product.sum(axis=1, keepdims=True))[np.arange(30), true]
    assert things["log_loss"]["value"] == pytest.approx(-np.log(share).mean())
    assert things["each"]["accuracy"]["value"] == record["metrics"]["accuracy"]["value"]


def test_plants_with_several_labels_are_left_out_and_plots_have_no_one_answer():
    table, catalog = plants()
    table.loc[0, "label"] = "abc".replace(table.loc[1, "label"], "")[0]
    things = scores.score(table, catalog, CLASSES, seed=1, resamples=20)["one_answer"]
    assert (things["n"], things["photos"], things["left_out"]) == (29, 87, 1)
    plots = catalog.assign(given_group=[f"plot {row % 6}" for row in range(90)])
    assert scores.score(table, plots, CLASSES, seed=1, resamples=20)["one_answer"] is None
    single = catalog.assign(given_group=[f"p{row}" for row in range(90)])
    assert scores.score(table, single, CLASSES, seed=1, resamples=20)["one_answer"] is None
    assert scores.score(table, catalog.assign(given_group=""), CLASSES, seed=1, resamples=20)["one_answer"] is None


def test_a_plant_that_a_class_is_ruled_out_for_has_an_answer():
    table, catalog = plants()
    table[["p0", "p1", "p2"]] = [0.0, 0.0, 1.0]
    things = scores.score(table.assign(label="a"), catalog, CLASSES, seed=1, resamples=20)["one_answer"]
    assert things["accuracy"]["value"] == 0 and things["log_loss"]["value"] < 40


def test_one_number_has_one_interval():
    table, catalog = predictions(90)
    table["label"] = np.tile(list("abc"), 30)
    metrics = scores.score(table, catalog, CLASSES, seed=1, resamples=50, marked=scores.Marked(majority="a"))
    assert metrics["metrics"]["accuracy"] == pytest.approx(metrics["metrics"]["balanced_accuracy"])
    always = metrics["baseline"]
    assert always["accuracy"] == pytest.approx(always["balanced_accuracy"])
    assert always["accuracy"]["low"] < 1 / 3 < always["accuracy"]["high"]
    # With other counts they are two.
    table.loc[0, "label"] = "b"
    metrics = scores.score(table, catalog, CLASSES, seed=1, resamples=50)["metrics"]
    assert metrics["accuracy"] != pytest.approx(metrics["balanced_accuracy"])


def test_the_bootstrap_resamples_within_classes():
    table, catalog = predictions(60, duplicates=3)
    table["label"] = np.repeat(list("aabbbbbbbbccccccccab"), 3)
    table.loc[0, "label"] = "b"
    scored = outcomes.outcomes(table, catalog, CLASSES)
    strata = scored.strata()
    assert strata[0] == 3 and strata.tolist()[1:] == [0, *[1] * 8, *[2] * 8, 0, 1]
    totals = intervals.bootstrap(scored.sums(), seed=1, resamples=50, strata=strata)
    drawn = outcomes.metrics(intervals.bootstrap(scored.sums(), seed=1, resamples=200, strata=strata))["macro_f1"]
    measured = scores.score(table, catalog, CLASSES, seed=1, resamples=200)["metrics"]["macro_f1"]
    assert [measured["low"], measured["high"]] == pytest.approx(intervals.percentile_interval(drawn))
    # Each resample has as many photos of each class as the table.
    assert (totals[:, 3:6] == scored.sums().sum(axis=0)[3:6]).all()
    assert len(np.unique(totals[:, 9])) > 40


def test_the_share_answered_with_a_class_has_an_interval_that_knows_groups():
    table, catalog = predictions(40)
    taken = (table[["p0", "p1", "p2"]].to_numpy().argmax(axis=1) == 1).mean()
    often = pd.concat([table.assign(image_id=f"{copy}" + table["image_id"]) for copy in range(4)])
    alone = pd.concat([catalog.assign(image_id=f"{copy}" + catalog["image_id"]) for copy in range(4)])
    width = {}
    for name, groups in (("grouped", alone), ("ignored", alone.assign(group=np.arange(len(alone))))):
        entry = scores.score(often, groups, CLASSES, seed=1, resamples=20)["per_class"][1]
        assert entry["answered"] == pytest.approx(taken)
        assert entry["answered_low"] < taken < entry["answered_high"]
        width[name] = entry["answered_high"] - entry["answered_low"]
    assert width["grouped"] / width["ignored"] == pytest.approx(2, rel=0.1)


def test_the_shares_answered_are_of_all_photos_and_sum_to_1():
    table, catalog = predictions(50)
    entries = scores.score(table, catalog, CLASSES, seed=1, resamples=20)["per_class"]
    assert sum(entry["answered"] for entry in entries) == pytest.approx(1)
    (never,) = [
        e
        for e in scores.score(table.drop(columns="p2"), catalog, CLASSES, seed=1, resamples=20)["per_class"]
        if e["label"] == "c"
    ]
    assert never["answered"] == never["answered_low"] == 0 < never["answered_high"] < 0.2
