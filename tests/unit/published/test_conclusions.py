"""The study's conclusions: evidence decides between for, against and cannot tell, and its lack is said."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manihot.published import conclusions
from manihot.published.conclusions import weigh
from manihot.published.evidence import Evidence
from manihot.scores.resampled import corrected_mean

ENTRY: dict[str, Any] = {
    "split": "main", "network": "small_cnn", "size": 224, "batch_size": 32, "learning_rate": 5e-5, "frozen": False,
    "schedule": "constant", "draw": "balanced", "train_photos": 5000, "epochs": 10,
}  # fmt: skip
CHECK = {"learning_rate": 5e-5, "batch_size": 16, "photos": 250, "augment": {}, "size": 224}
SPLITS = {"main": {"folds": 3, "new_class": None}, "other": {"folds": 3, "new_class": None}}
EMPTY = pd.DataFrame(columns=["what", "model", "based_on", "part", "n", "value", "low", "high"])
CLEAR, REVERSED, OPEN = (0.05, 0.01, 0.09), (-0.05, -0.09, -0.01), (0.01, -0.03, 0.05)


def network(name: str, based_on: str | None = None, split: str = "main") -> dict[str, Any]:
    kind = {"kind": "network", "experiment": name, "backbone": None}
    return {"name": name, "based_on": based_on, "split": split, "folds": [1, 2, 3], **kind}


def head(name: str, split: str = "main") -> dict[str, Any]:
    return network(name, split=split) | {"kind": "head", "experiment": None, "backbone": name}


def scored(gaps: list[float], name: str, photos: int = 320, drawn: str = "these") -> dict[tuple[str, str], Any]:
    """Records of a model whose folds, each fitted on so many photos, have these gaps in balanced accuracy."""
    folds = {
        part: [{"fold": fold, "n": n, "balanced_accuracy": 0.5 + gap} for fold, gap in enumerate(each, start=1)]
        for part, n, each in (("train", photos, gaps), ("validation", 160, [0.0] * len(gaps)))
    }
    # Out of fold the whole model has the balanced accuracy that conclusion 6 tells.
    metrics = {"balanced_accuracy": {"value": 0.4, "low": 0.3, "high": 0.5}}
    return {(name, part): {"n": 480, "photos": drawn, "metrics": metrics, "folds": folds[part]} for part in folds}


def on_the_test(*rows: tuple[str, str, tuple[float, float, float]]) -> pd.DataFrame:
    """Rows of comparisons.csv on the test: model, based_on, difference with its ends."""
    columns = ["model", "based_on", "difference", "low", "high"]
    table = pd.DataFrame([(a, b, *ends) for a, b, ends in rows], columns=columns)
    return table.assign(part="test", metric="accuracy", p_holm=0.01, seeds=1)


def paired(what: str, *ends: tuple[float, float, float]) -> pd.DataFrame:
    rows = [(what, f"balanced{n or ''}", "imbalanced", "test", 100, *each) for n, each in enumerate(ends)]
    return pd.DataFrame(rows, columns=EMPTY.columns)


def evidence(**changes: Any) -> Evidence:
    """Nothing measured, but for `changes`; models follow from the experiments."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("models", "experiments", "backbones", "boosting", "checks", "scores", "overfit"), {}
    )
    made = Evidence(**nothing | {"splits": SPLITS, "compared": on_the_test(), "paired": EMPTY} | changes)
    models = {name: network(name, entry.get("based_on"), entry["split"]) for name, entry in made.experiments.items()}
    models |= dict(made.models)
    nothing_scored = {(name, part): {"n": 0} for name in models for part in ("train", "validation")}
    return replace(made, models=models, scores=nothing_scored | dict(made.scores))


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


def test_the_gap_is_that_of_each_fold_s_model_in_balanced_accuracy() -> None:
    found = evidence(experiments={"a": ENTRY}, scores=scored([0.1, 0.2, 0.3], "a"))
    assert found.gap("a").to_dict() == pytest.approx({1: 0.1, 2: 0.2, 3: 0.3})
    assert found.steps("a").to_dict() == {1: 100, 2: 100, 3: 100}, "10 epochs of 320 photos in batches of 32"


def test_a_model_of_one_fold_may_have_only_its_own_record() -> None:
    one = {
        ("a", part): {"n": n, "folds": [], "metrics": {"balanced_accuracy": {"value": value}}}
        for part, n, value in (("train", 321, 0.9), ("validation", 160, 0.6))
    }
    found = evidence(experiments={"a": ENTRY}, models={"a": network("a") | {"folds": [2]}}, scores=one)
    assert found.gap("a").to_dict() == pytest.approx({2: 0.3})
    assert found.steps("a").to_dict() == {2: 110}, "the last batch of 1 is a step, too"


def test_the_interval_of_a_difference_of_gaps_knows_that_training_photos_overlap() -> None:
    scores = scored([0.3, 0.5, 0.4], "a") | scored([0.1, 0.1, 0.1], "b")
    found = evidence(experiments={"a": ENTRY, "b": ENTRY}, scores=scores).gap_difference("a", "b")
    # Of three folds, half as many photos are held out as are fitted on.
    assert found.apart == pytest.approx(corrected_mean(np.array([0.2, 0.4, 0.3]), 1 / 2)[:3])
    assert found.folds == 3 and found.equally_long


SMALL_AND_LARGE = {"balanced": ENTRY, "balanced_vgg_small": ENTRY | {"network": "vgg_small"}}


@pytest.mark.parametrize(
    ("small", "large", "expected"),
    [([0.30, 0.31, 0.29], [0.1, 0.1, 0.1], "for"), ([0.1, 0.1, 0.1], [0.30, 0.31, 0.29], "against"),
     ([0.1, 0.4, 0.2], [0.3, 0.1, 0.2], "cannot tell"), ([0.4], [0.1], "cannot tell")],
)  # fmt: skip
def test_small_and_large_networks_by_their_gap_over_folds(
    small: list[float], large: list[float], expected: str
) -> None:
    scores = scored(small, "balanced") | scored(large, "balanced_vgg_small")
    assert verdict(1, experiments=SMALL_AND_LARGE, scores=scores) == expected


@pytest.mark.parametrize(("epochs", "expected"), [(19, "for"), (20, "for"), (18, "cannot tell"), (10, "cannot tell")])
def test_networks_that_were_trained_unequally_long_cannot_tell(epochs: int, expected: str) -> None:
    experiments = {name: entry | {"epochs": 20} for name, entry in SMALL_AND_LARGE.items()}
    experiments["balanced_vgg_small"] |= {"epochs": epochs}
    scores = scored([0.30, 0.31, 0.29], "balanced") | scored([0.1, 0.1, 0.1], "balanced_vgg_small")
    (entry,) = [entry for entry in weigh(evidence(experiments=experiments, scores=scores)) if entry["number"] == 1]
    assert entry["verdict"] == expected
    told = f"cannot tell: trained unequally long (balanced 200 steps, balanced_vgg_small {10 * epochs} steps)"
    assert (told in entry["evidence"]) == (expected == "cannot tell")
    assert "a difference of +20.0 points" in entry["evidence"], "the numbers are told all the same"
    assert ("trained unequally long" in entry["values"][0]["what"]) == (expected == "cannot tell")


def test_overfit_checks_are_told_where_only_the_network_differs() -> None:
    scores = scored([0.4], "balanced") | scored([0.1], "balanced_vgg_small")
    checks = {"a": CHECK | {"network": "small_cnn"}, "b": CHECK | {"network": "vgg_small"}}
    overfit = {
        "a": pd.DataFrame({"epoch": [1, 2], "train_accuracy": [0.9, 1.0]}),
        "b": pd.DataFrame({"epoch": [1, 2], "train_accuracy": [0.5, 0.8]}),
    }
    text = said(1, experiments=SMALL_AND_LARGE, scores=scores, checks=checks, overfit=overfit)
    assert "learn 250 photos by heart" in text
    assert "small_cnn knows them after 2 epochs and vgg_small knows 80 % of them after 2 epochs" in text
    other = {"a": checks["a"], "b": checks["b"] | {"batch_size": 32}}
    assert "knows" not in said(1, experiments=SMALL_AND_LARGE, scores=scores, checks=other, overfit=overfit)


BACKBONES = {name: {"weights": "imagenet", "head": {"epochs": 10, "batch_size": 32}} for name in "ab"}


def with_heads(heads: list[list[float]], **changes: Any) -> dict[str, Any]:
    """The network from scratch, whose gap is 0.25, and heads on frozen backbones with these gaps."""
    scores = scored([0.25, 0.26, 0.24], "balanced")
    for name, gaps in zip("ab", heads, strict=True):
        scores |= scored(gaps, name)
    models = {name: head(name) for name in "ab"}
    return {"experiments": {"balanced": ENTRY}, "models": models, "backbones": BACKBONES, "scores": scores} | changes


LOW, HIGH, WIDE = [0.05, 0.06, 0.04], [0.5, 0.51, 0.48], [0.0, 0.5, 0.3]


@pytest.mark.parametrize(
    ("heads", "expected"),
    [([LOW, LOW], "for"), ([HIGH, HIGH], "against"), ([LOW, WIDE], "for"), ([WIDE, WIDE], "cannot tell"),
     ([LOW, HIGH], "cannot tell")],
)  # fmt: skip
def test_each_frozen_backbone_is_paired_with_training_from_scratch(heads: list[list[float]], expected: str) -> None:
    (entry,) = [entry for entry in weigh(evidence(**with_heads(heads))) if entry["number"] == 3]
    assert entry["verdict"] == expected
    assert [value["what"] for value in entry["values"]] == [f"gap of balanced minus gap of {name}" for name in "ab"]
    paired = np.array([0.25, 0.26, 0.24]) - np.array(heads[0])
    assert [entry["values"][0][key] for key in ("value", "low", "high")] == pytest.approx(
        corrected_mean(paired, 0.5)[:3]
    )


def test_a_frozen_backbone_of_other_folds_or_steps_tells_nothing() -> None:
    elsewhere = {"a": head("a"), "b": head("b", split="other")}
    (entry,) = [e for e in weigh(evidence(**with_heads([WIDE, LOW], models=elsewhere))) if e["number"] == 3]
    assert entry["verdict"] == "cannot tell" and len(entry["values"]) == 1
    longer = {name: entry | {"head": {"epochs": 20, "batch_size": 32}} for name, entry in BACKBONES.items()}
    assert verdict(3, **with_heads([LOW, LOW], backbones=longer)) == "cannot tell"
    assert "(balanced 100 steps, a 200 steps)" in said(3, **with_heads([LOW, LOW], backbones=longer))


def test_a_head_that_is_fitted_to_convergence_takes_no_steps_to_compare() -> None:
    backbones = BACKBONES | {"a": {"weights": "imagenet", "head": {"kind": "logistic"}}}
    (entry,) = [e for e in weigh(evidence(**with_heads([LOW, LOW], backbones=backbones))) if e["number"] == 3]
    told = "a is fitted to convergence and takes no steps to compare"
    assert f"; cannot tell: {told};" in entry["evidence"] and entry["verdict"] == "for", "b tells"
    assert [value["what"] for value in entry["values"]] == [
        f"gap of balanced minus gap of a ({told})", "gap of balanced minus gap of b",
    ]  # fmt: skip
    backbones = {name: backbones["a"] for name in "ab"}
    found = evidence(**with_heads([LOW, LOW], backbones=backbones)).gap_difference("a", "b")
    assert "cannot tell: a and b are fitted to convergence and take no steps to compare" in found.words()


@pytest.mark.parametrize("weights", ["balanced/fold1", "none"])
def test_a_backbone_that_learned_here_or_nowhere_is_not_pretrained(weights: str) -> None:
    backbones = BACKBONES | {"b": BACKBONES["b"] | {"weights": weights}}
    (entry,) = [e for e in weigh(evidence(**with_heads([WIDE, LOW], backbones=backbones))) if e["number"] == 3]
    assert entry["verdict"] == "cannot tell"
    assert [value["what"] for value in entry["values"]] == ["gap of balanced minus gap of a"]


@pytest.mark.parametrize(("weights", "paired_with"), [("imagenet", "ab"), ("none", "a"), ("balanced/fold1", "a")])
def test_joined_backbones_are_pretrained_if_each_of_them_is(weights: str, paired_with: str) -> None:
    other = {"weights": weights, "head": None}
    backbones = {"a": BACKBONES["a"], "c": other, "b": {"join": ["a", "c"], "head": BACKBONES["b"]["head"]}}
    (entry,) = [e for e in weigh(evidence(**with_heads([LOW, LOW], backbones=backbones))) if e["number"] == 3]
    assert [value["what"][-1] for value in entry["values"]] == list(paired_with)


def test_a_frozen_network_is_paired_as_a_head_is() -> None:
    frozen = {"balanced": ENTRY, "thawed": ENTRY, "frozen": ENTRY | {"frozen": True, "weights": "imagenet"}}
    scores = scored([0.25, 0.26, 0.24], "balanced") | scored(LOW, "frozen") | scored(HIGH, "thawed")
    assert verdict(3, experiments=frozen, scores=scores) == "for"


def test_other_training_photos_are_said() -> None:
    told = with_heads([LOW, LOW])
    assert "fitted on other photos" not in said(3, **told)
    other = scored(LOW, "b", drawn="those")
    assert said(3, **told | {"scores": told["scores"] | other}).count("fitted on other photos") == 1
    # A model of fewer folds has another list of photos: its folds have as many.
    fewer = scored(LOW[:2], "b", drawn="those")
    assert "fitted on other photos" not in said(3, **told | {"scores": told["scores"] | fewer})


@pytest.mark.parametrize(
    ("gaps", "size", "epochs", "expected"),
    [([0.3, 0.31, 0.29], 64, 20, "for"), ([0.3, 0.31, 0.29], 16, 5, "against"), ([0.0, 0.3, 0.1], 64, 20, "cannot tell"),
     ([0.3, 0.31, 0.29], 64, 10, "cannot tell"), ([0.3, 0.31, 0.29], 16, 10, "cannot tell")],
)  # fmt: skip
def test_a_bigger_batch_is_the_bigger_batch_at_as_many_steps(
    gaps: list[float], size: int, epochs: int, expected: str
) -> None:
    experiments = {"plain": ENTRY, "other": ENTRY | {"based_on": "plain", "batch_size": size, "epochs": epochs}}
    scores = scored([0.1, 0.1, 0.1], "plain") | scored(gaps, "other")
    assert verdict(4, experiments=experiments, scores=scores) == expected
    text = said(4, experiments=experiments, scores=scores)
    assert f"batches of {max(size, 32)} against {min(size, 32)}" in text
    assert ("fair pair" in text) == (epochs == 10)


def test_experiments_that_differ_in_more_than_the_batch_say_nothing_of_it() -> None:
    experiments = {"plain": ENTRY, "other": ENTRY | {"based_on": "plain", "batch_size": 64, "epochs": 20, "size": 96}}
    assert said(4, experiments=experiments).startswith("Not in this study")


def test_batches_that_contradict_each_other_cannot_tell() -> None:
    experiments = {"plain": ENTRY, "more": ENTRY | {"based_on": "plain", "batch_size": 64, "epochs": 20}}
    experiments["most"] = ENTRY | {"based_on": "plain", "batch_size": 160, "epochs": 50}
    scores = scored([0.2] * 3, "plain") | scored([0.1, 0.11, 0.1], "more") | scored([0.3, 0.31, 0.3], "most")
    assert verdict(4, experiments=experiments, scores=scores) == "cannot tell"
    del experiments["more"]
    assert verdict(4, experiments=experiments, scores=scores) == "for"


@pytest.mark.parametrize(("ends", "expected"), [(CLEAR, "for"), (REVERSED, "against"), (OPEN, "cannot tell")])
@pytest.mark.parametrize("turned", [False, True])
def test_who_overfits_more_may_test_better(ends: tuple[float, float, float], expected: str, turned: bool) -> None:
    experiments = {"a": ENTRY, "b": ENTRY | {"based_on": "a"}}
    gaps = {"a": [0.1, 0.1, 0.1], "b": [0.3, 0.31, 0.29]}
    if turned:
        gaps, ends = {"a": gaps["b"], "b": gaps["a"]}, (-ends[0], -ends[2], -ends[1])
    measured = {"scores": scored(gaps["a"], "a") | scored(gaps["b"], "b"), "compared": on_the_test(("b", "a", ends))}
    assert verdict(5, experiments=experiments, **measured) == expected
    assert "left out" not in said(5, experiments=experiments, **measured)
    experiments["b"] = experiments["b"] | {"batch_size": 96}
    assert verdict(5, experiments=experiments, **measured) == "cannot tell"
    assert "1 pair left out: trained unequally long" in said(5, experiments=experiments, **measured)


@pytest.mark.parametrize(("seeds", "words"), [(1, "of these trained models"), (3, "of these settings")])
def test_one_seed_is_of_these_trained_models(seeds: int, words: str) -> None:
    experiments = {"a": ENTRY, "larger": ENTRY | {"based_on": "a", "size": 448}}
    scores = scored([0.1] * 3, "a") | scored([0.3, 0.31, 0.29], "larger")
    compared = on_the_test(("larger", "a", CLEAR)).assign(seeds=seeds)
    for number in (5, 10):
        assert words in said(number, experiments=experiments, scores=scores, compared=compared)


def test_trees_and_averaged_views_are_no_pair_of_trained_networks() -> None:
    models = {name: network(name, "a") | {"kind": kind} for name, kind in (("trees", "boosting"), ("a_tta", "tta"))}
    scores = scored([0.1] * 3, "a") | scored([0.4] * 3, "trees") | scored([0.4] * 3, "a_tta")
    compared = on_the_test(("trees", "a", CLEAR), ("a_tta", "a", CLEAR))
    measured = {"experiments": {"a": ENTRY}, "models": models, "scores": scores, "compared": compared}
    assert verdict(5, **measured) == "cannot tell" and "left out" not in said(5, **measured)


@pytest.mark.parametrize(("photos", "expected"), [(5000, "for"), (2000, "cannot tell")])
def test_a_schedule_is_weighed_on_the_same_photos_alone(photos: int, expected: str) -> None:
    experiments = {"a": ENTRY, "onecycle": ENTRY | {"schedule": "one_cycle", "train_photos": photos}}
    scores = scored([0.1, 0.1, 0.1], "a") | scored([0.3, 0.31, 0.29], "onecycle")
    assert verdict(6, experiments=experiments, scores=scores) == expected
    assert "reaches 40.0 % (balanced accuracy on held-out photos)" in said(6, experiments=experiments, scores=scores)


@pytest.mark.parametrize(
    ("ends", "expected"), [((0.8, 0.9), "for"), ((0.1, 0.45), "against"), ((0.45, 0.95), "cannot tell")]
)
def test_the_majority_s_share_among_the_answers(ends: tuple[float, float], expected: str) -> None:
    # As many photos are answered with each class in all three cases: the interval, which knows groups, decides.
    answered = {"answered": sum(ends) / 2, "answered_low": ends[0], "answered_high": ends[1]}
    score = {
        "n": 100, "per_class": [{"label": "0"}, {"label": "1", **answered}], "confusion": [[25, 25], [25, 25]],
        "metrics": {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}},
    }  # fmt: skip
    after = {"answered": 0.31, "answered_low": 0.2, "answered_high": 0.4}
    score |= {"answers": {"corrected": {"per_class": [{"label": "0"}, {"label": "1", **after}]}}}
    # What it was trained on says which class that is, not the pool of the split, which a protocol may have capped.
    scores = {("imbalanced", "test"): score, ("imbalanced", "train"): {"per_class": [{"n": 30}, {"n": 61}]}}
    assert verdict(7, experiments={"imbalanced": ENTRY}, scores=scores) == expected
    corrected = "Corrected for the class shares of its training photos, it answers class 1 on 31.0 % (20.0 to 40.0)."
    assert corrected in said(7, experiments={"imbalanced": ENTRY}, scores=scores)


@pytest.mark.parametrize(
    ("recall", "low", "high", "precision", "expected"),
    [(1.0, 0.9, 1.0, 0.9, "for"), (0.2, 0.1, 0.3, 0.1, "against"), (0.5, 0.4, 0.6, 0.9, "cannot tell"),
     (1.0, 0.9, 1.0, 0.1, "cannot tell"), (1.0, 0.0, 1.0, 0.9, "cannot tell")],
)  # fmt: skip
def test_the_new_class_against_the_old_ones(
    recall: float, low: float, high: float, precision: float, expected: str
) -> None:
    old = {"n": 1000, "accuracy": {"value": 0.45, "low": 0.42, "high": 0.48}}
    new = {"n": 30, "recall": recall, "low": low, "high": high, "precision": precision}
    score = {"n": 1030, "new_class": new, "old_classes": old}
    assert verdict(8, experiments={"new_class": ENTRY}, scores={("new_class", "test"): score}) == expected


@pytest.mark.parametrize(
    ("gains", "expected"),
    [([CLEAR, CLEAR, OPEN], "for"), ([REVERSED, REVERSED, OPEN], "against"), ([CLEAR, OPEN], "cannot tell")],
)
def test_often_is_more_than_half_of_the_ensembles(gains: list[tuple[float, float, float]], expected: str) -> None:
    assert verdict(9, paired=paired("ensemble", *gains)) == expected
    assert verdict(9, paired=paired("balancing", *gains)) == "cannot tell"
    average = sum(gain[0] for gain in gains) / len(gains)
    assert f"on average it gains {100 * average:+.1f} points. ".replace("-", "−") in said(
        9, paired=paired("ensemble", *gains)
    )


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
    seen = dict.fromkeys(("split", "network", "weights", "normalisation", "draw", "train_photos", "per_class", "leak"))
    backbones = {"b1": seen | {"size": 224, "head": None}, "b2": seen | {"size": 448, "head": None}}
    boosting = {f"trees_{n}": {"n_estimators": 100} for n in (1, 2)}
    compared = on_the_test(("larger", "a", first), ("both", "a", REVERSED), ("trees_2", "trees_1", second))
    measured = {"experiments": experiments, "models": models, "compared": compared}
    assert verdict(10, **measured, backbones=backbones, boosting=boosting) == expected
    # Trees on another network's features, on those of several, or more of them, say nothing of pixels.
    for other in (
        {"backbones": backbones | {"b2": {"join": ["b1", "b3"], "head": None}, "b3": backbones["b2"]}},
        {"backbones": {"b1": backbones["b1"], "b2": backbones["b2"] | {"network": "resnet18"}}},
        {"boosting": boosting | {"trees_2": {"n_estimators": 50}}},
    ):
        text = said(10, **measured | {"backbones": backbones, "boosting": boosting} | other)
        assert "larger (448 px) against a (224 px)" in text and "trees_2" not in text


def test_balancing_is_shown_before_and_after_the_correction() -> None:
    rows = paired("balancing", CLEAR, OPEN)
    rows.loc[1, ["model", "based_on"]] = "balanced/corrected", "imbalanced/corrected"
    experiments = {"imbalanced": ENTRY | {"draw": "as_found"}, "balanced": ENTRY}
    rows.loc[0, ["model", "based_on"]] = "balanced", "imbalanced"
    shown = conclusions.balancing(evidence(experiments=experiments, paired=rows))
    assert [row["answers"] for row in shown] == ["own", "corrected"]
    assert [(row["model"], row["based_on"]) for row in shown] == [("balanced", "imbalanced")] * 2


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
