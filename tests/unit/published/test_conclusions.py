"""The study's conclusions: evidence decides between for, against and cannot tell, and its lack is said."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from manihot.published import conclusions
from manihot.published.conclusions import Evidence, weigh

ENTRY: dict[str, Any] = {
    "split": "main", "network": "small_cnn", "size": 224, "batch_size": 32, "learning_rate": 5e-5, "frozen": False,
    "schedule": "constant", "draw": "balanced", "train_photos": 5000,
}  # fmt: skip
CHECK = {"learning_rate": 5e-5, "batch_size": 16, "photos": 250, "augment": {}, "size": 224}
SPLITS = {"main": {"new_class": None}}
EMPTY = pd.DataFrame(columns=["what", "model", "based_on", "part", "n", "value", "low", "high"])
CLEAR, REVERSED, OPEN = (0.05, 0.01, 0.09), (-0.05, -0.09, -0.01), (0.01, -0.03, 0.05)


def network(name: str, based_on: str | None = None) -> dict[str, Any]:
    return {"name": name, "kind": "network", "based_on": based_on, "experiment": name, "backbone": None}


def trained(gaps: list[float], name: str) -> dict[tuple[str, int], pd.DataFrame]:
    """Histories whose last epochs have these gaps between training and validation accuracy, a fold each."""
    return {
        (name, fold): pd.DataFrame({"train_accuracy": [0.1, 0.5 + gap], "validation_accuracy": [0.9, 0.5]})
        for fold, gap in enumerate(gaps, start=1)
    }


def on_the_test(*rows: tuple[str, str, tuple[float, float, float]]) -> pd.DataFrame:
    """Rows of comparisons.csv on the test: model, based_on, difference with its ends."""
    columns = ["model", "based_on", "difference", "low", "high"]
    table = pd.DataFrame([(a, b, *ends) for a, b, ends in rows], columns=columns)
    return table.assign(part="test", metric="accuracy", p_holm=0.01)


def paired(what: str, *ends: tuple[float, float, float]) -> pd.DataFrame:
    rows = [(what, f"balanced{n or ''}", "imbalanced", "test", 100, *each) for n, each in enumerate(ends)]
    return pd.DataFrame(rows, columns=EMPTY.columns)


def evidence(**changes: Any) -> Evidence:
    """Nothing measured, but for `changes`; models follow from the experiments."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("models", "experiments", "backbones", "checks", "scores", "histories", "overfit"), {}
    )
    made = Evidence(**nothing | {"splits": SPLITS, "compared": on_the_test(), "paired": EMPTY} | changes)
    models = {name: network(name, entry.get("based_on")) for name, entry in made.experiments.items()}
    return replace(made, models=models | dict(made.models))


def verdict(number: int, **changes: Any) -> str:
    (entry,) = [entry for entry in weigh(evidence(**changes)) if entry["number"] == number]
    return entry["verdict"]


def said(number: int, **changes: Any) -> str:
    (entry,) = [entry for entry in weigh(evidence(**changes)) if entry["number"] == number]
    return entry["evidence"]


def test_without_the_experiments_nothing_can_be_told_and_each_says_what_it_needs() -> None:
    weighed = weigh(evidence())
    assert [entry["number"] for entry in weighed] == [1, 3, 4, 5, 6, 7, 8, 9, 10]
    assert {entry["verdict"] for entry in weighed} == {"cannot tell"} and not any(entry["values"] for entry in weighed)
    needs = {entry["number"]: entry["evidence"] for entry in weighed if entry["number"] != 5}
    assert all(text.startswith("Not in this study: it needs ") for text in needs.values())


@pytest.mark.parametrize(
    ("small", "large", "expected"),
    [([0.30, 0.31, 0.29], [0.1, 0.1, 0.1], "for"), ([0.1, 0.1, 0.1], [0.30, 0.31, 0.29], "against"),
     ([0.1, 0.4, 0.2], [0.3, 0.1, 0.2], "cannot tell"), ([0.4], [0.1], "cannot tell")],
)  # fmt: skip
def test_small_and_large_networks_by_their_gap_over_folds(
    small: list[float], large: list[float], expected: str
) -> None:
    experiments = {"balanced": ENTRY, "balanced_vgg_small": ENTRY | {"network": "vgg_small"}}
    histories = trained(small, "balanced") | trained(large, "balanced_vgg_small")
    assert verdict(1, experiments=experiments, histories=histories) == expected


def test_overfit_checks_are_told_where_only_the_network_differs() -> None:
    experiments = {"balanced": ENTRY, "balanced_vgg_small": ENTRY | {"network": "vgg_small"}}
    checks = {"a": CHECK | {"network": "small_cnn"}, "b": CHECK | {"network": "vgg_small"}}
    overfit = {
        "a": pd.DataFrame({"epoch": [1, 2], "train_accuracy": [0.9, 1.0]}),
        "b": pd.DataFrame({"epoch": [1, 2], "train_accuracy": [0.5, 0.8]}),
    }
    text = said(1, experiments=experiments, checks=checks, overfit=overfit)
    assert "small_cnn knows 250 photos by heart after 2 epochs and vgg_small has 0.80 of them after 2" in text
    other = {"a": checks["a"], "b": checks["b"] | {"batch_size": 32}}
    assert "by heart" not in said(1, experiments=experiments, checks=other, overfit=overfit)


@pytest.mark.parametrize(
    ("heads", "expected"), [([0.05, 0.06], "for"), ([0.5, 0.49], "against"), ([0.1, 0.4], "cannot tell")]
)
def test_frozen_backbones_against_training_from_scratch(heads: list[float], expected: str) -> None:
    histories = trained([0.25, 0.26, 0.24], "balanced")
    models = {}
    for name, gap in zip("ab", heads, strict=True):
        histories |= trained([gap], name)
        models[name] = network(name) | {"kind": "head", "experiment": None, "backbone": name}
    assert verdict(3, experiments={"balanced": ENTRY}, models=models, histories=histories) == expected


@pytest.mark.parametrize(
    ("gaps", "size", "expected"),
    [([0.3, 0.31, 0.29], 96, "for"), ([0.3, 0.31, 0.29], 16, "against"), ([0.0, 0.3, 0.1], 96, "cannot tell")],
)
def test_a_bigger_batch_is_the_bigger_batch(gaps: list[float], size: int, expected: str) -> None:
    experiments = {"plain": ENTRY, "other": ENTRY | {"based_on": "plain", "batch_size": size}}
    histories = trained([0.1, 0.1, 0.1], "plain") | trained(gaps, "other")
    assert verdict(4, experiments=experiments, histories=histories) == expected


def test_batches_that_contradict_each_other_cannot_tell() -> None:
    experiments = {"plain": ENTRY, "more": ENTRY | {"based_on": "plain", "batch_size": 64}}
    experiments["most"] = ENTRY | {"based_on": "plain", "batch_size": 96}
    histories = trained([0.2, 0.2], "plain") | trained([0.1, 0.11], "more") | trained([0.3, 0.31], "most")
    assert verdict(4, experiments=experiments, histories=histories) == "cannot tell"


@pytest.mark.parametrize(("ends", "expected"), [(CLEAR, "for"), (REVERSED, "against"), (OPEN, "cannot tell")])
@pytest.mark.parametrize("turned", [False, True])
def test_who_overfits_more_may_test_better(ends: tuple[float, float, float], expected: str, turned: bool) -> None:
    experiments = {"a": ENTRY, "b": ENTRY | {"based_on": "a"}}
    gaps = {"a": [0.1, 0.1, 0.1], "b": [0.3, 0.31, 0.29]}
    if turned:
        gaps, ends = {"a": gaps["b"], "b": gaps["a"]}, (-ends[0], -ends[2], -ends[1])
    histories = trained(gaps["a"], "a") | trained(gaps["b"], "b")
    assert verdict(5, experiments=experiments, histories=histories, compared=on_the_test(("b", "a", ends))) == expected


@pytest.mark.parametrize(("photos", "expected"), [(5000, "for"), (2000, "cannot tell")])
def test_a_schedule_is_weighed_on_the_same_photos_alone(photos: int, expected: str) -> None:
    experiments = {"a": ENTRY, "onecycle": ENTRY | {"schedule": "one_cycle", "train_photos": photos}}
    scores = {("onecycle", "validation"): {"metrics": {"balanced_accuracy": {"value": 0.4}}}}
    histories = trained([0.1, 0.1, 0.1], "a") | trained([0.3, 0.31, 0.29], "onecycle")
    assert verdict(6, experiments=experiments, scores=scores, histories=histories) == expected


@pytest.mark.parametrize(("answered", "expected"), [(90, "for"), (5, "against"), (50, "cannot tell")])
def test_the_majority_s_share_among_the_answers(answered: int, expected: str) -> None:
    confusion = [[50 - answered // 2, answered // 2], [50 - answered + answered // 2, answered - answered // 2]]
    score = {
        "n": 100, "baseline": {"label": "0"}, "per_class": [{"label": "0"}, {"label": "1"}], "confusion": confusion,
        "metrics": {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}},
    }  # fmt: skip
    # What it was trained on says which class that is, not the pool of the split, which a protocol may have capped.
    scores = {("imbalanced", "test"): score, ("imbalanced", "train"): {"per_class": [{"n": 30}, {"n": 61}]}}
    assert verdict(7, experiments={"imbalanced": ENTRY}, scores=scores) == expected


@pytest.mark.parametrize(
    ("recall", "precision", "expected"),
    [(1.0, 0.9, "for"), (0.2, 0.1, "against"), (0.5, 0.9, "cannot tell"), (1.0, 0.1, "cannot tell")],
)
def test_the_new_class_against_the_old_ones(recall: float, precision: float, expected: str) -> None:
    old = {"n": 1000, "accuracy": {"value": 0.45, "low": 0.42, "high": 0.48}}
    score = {"n": 1030, "new_class": {"n": 30, "recall": recall, "precision": precision}, "old_classes": old}
    assert verdict(8, experiments={"new_class": ENTRY}, scores={("new_class", "test"): score}) == expected


@pytest.mark.parametrize(
    ("gains", "expected"),
    [([CLEAR, CLEAR, OPEN], "for"), ([REVERSED, REVERSED, OPEN], "against"), ([CLEAR, OPEN], "cannot tell")],
)
def test_often_is_more_than_half_of_the_ensembles(gains: list[tuple[float, float, float]], expected: str) -> None:
    assert verdict(9, paired=paired("ensemble", *gains)) == expected
    assert verdict(9, paired=paired("balancing", *gains)) == "cannot tell"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(CLEAR, OPEN, "for"), (REVERSED, OPEN, "against"), (CLEAR, REVERSED, "cannot tell"), (OPEN, OPEN, "cannot tell")],
)
def test_more_pixels_by_all_pairs_that_differ_in_size(
    first: tuple[float, float, float], second: tuple[float, float, float], expected: str
) -> None:
    experiments = {"a": ENTRY, "larger": ENTRY | {"based_on": "a", "size": 448}}
    experiments["both"] = ENTRY | {"based_on": "a", "size": 448, "batch_size": 64}
    trees = {"kind": "boosting", "experiment": None}
    models = {f"trees_{n}": network(f"trees_{n}") | trees | {"backbone": f"b{n}"} for n in (1, 2)}
    backbones = {"b1": {"size": 224}, "b2": {"size": 448}}
    compared = on_the_test(("larger", "a", first), ("both", "a", REVERSED), ("trees_2", "trees_1", second))
    assert verdict(10, experiments=experiments, models=models, backbones=backbones, compared=compared) == expected


def test_balancing_says_what_else_differs() -> None:
    experiments = {"imbalanced": ENTRY | {"draw": "as_found", "train_photos": 1000}, "balanced": ENTRY}
    (row,) = conclusions.balancing(evidence(experiments=experiments, paired=paired("balancing", CLEAR)))
    assert row["besides"] == ["train photos 1000 → 5000"] and row["value"] == 0.05


def test_paired_differences_are_those_of_the_same_photos() -> None:
    photos = pd.DataFrame({"dataset": "d", "image_id": [f"{n}.jpg" for n in range(40)], "label": ["0", "1"] * 20})
    right = photos.assign(p0=[0.9, 0.1] * 20, p1=[0.1, 0.9] * 20)
    wrong = photos.assign(p0=[0.1, 0.9] * 20, p1=[0.9, 0.1] * 20)
    tables = {("a", "test"): right, ("a/fold1", "test"): right, ("a/fold2", "test"): wrong}
    pair = {"what": "ensemble", "split": "main", "part": "test", "models": ["a"]}
    classes = {"main": [{"label": "0", "name": "0"}, {"label": "1", "name": "1"}]}
    catalogs = photos.assign(group=range(40))
    pairs = [pair | {"based_on_models": ["a/fold1", "a/fold2"]}, pair | {"based_on_models": ["a/fold2"]}]
    found = conclusions.paired(pairs, tables, catalogs, classes, seed=1, resamples=100)
    assert list(found["value"]) == [0.5, 1.0] and list(found["n"]) == [40, 40]
    assert (found["low"] <= found["value"]).all()
