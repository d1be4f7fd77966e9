"""A model on other people's photos beside its own test: the same classes, independent photos, shares without labels."""

import math

import numpy as np
import pandas as pd
import pytest

from manihot.core.tables import probabilities
from manihot.predictions.calibration import shift
from manihot.scores.external import Answered, Asked, difference, score_external
from manihot.scores.score import score

CLASSES = [{"label": label, "name": f"{label} leaf"} for label in "abc"]
PRIORS = [[0.6, 0.2, 0.2], [0.5, 0.3, 0.2]]
SETS = {
    "method": "cv+", "folds": [1, 2],
    "scores": {label: [list(np.linspace(0.02, 0.7, 12)), list(np.linspace(0.03, 0.8, 12))] for label in "abc"},
}  # fmt: skip
ASKED = Asked(coverage=0.9, seed=3, resamples=200)


def answered(labels, seed, skill=1.5, dataset="theirs", temperature=1.3):
    """What two folds say of photos with these labels, one a group: as sure as a look with so much noise can be."""
    rng = np.random.default_rng(seed)
    true = np.array(["abc".index(label) for label in labels])
    keys = {"dataset": dataset, "image_id": [f"{n}.jpg" for n in range(len(labels))], "label": list(labels)}
    folds = []
    for fold, prior in enumerate(PRIORS, 1):
        logits = skill * (rng.normal(size=(len(labels), 3)) + skill * np.eye(3)[true]) + np.log(prior)
        values = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        folds.append(pd.DataFrame(keys).assign(fold=fold).join(pd.DataFrame(values, columns=["p0", "p1", "p2"])))
    return Answered(folds, PRIORS, temperature)


def catalog(*tables, sites=("",)):
    rows = pd.concat([table.folds[0][["dataset", "image_id", "label"]] for table in tables], ignore_index=True)
    site = [sites[n % len(sites)] for n in range(len(rows))]
    return rows.assign(group=range(len(rows)), given_group="", site=site)


def test_answers_are_each_fold_s_shifted_and_tempered_in_the_mean():
    found = answered("aabbcc", 1)
    for target in (None, [0.1, 0.2, 0.7]):
        wanted = np.mean(
            [
                shift(probabilities(table, 3), prior, target or [1 / 3] * 3, 1.3)
                for table, prior in zip(found.folds, PRIORS, strict=True)
            ],
            axis=0,
        )
        np.testing.assert_allclose(probabilities(found.answers(target), 3), wanted, atol=1e-12)


def test_a_difference_of_two_shares_has_newcombe_s_interval():
    """The example of his paper of 1998, table II (a): 56 of 70 and 48 of 80; method 10 gives 0.0524 to 0.3339."""

    def wilson(right, n, z=1.959964):
        p, square = right / n, z**2 / n
        half = math.sqrt(square * p * (1 - p) + square**2 / 4) / (1 + square)
        middle = (p + square / 2) / (1 + square)
        return {"value": p, "low": middle - half, "high": middle + half}

    found = difference(wilson(56, 70), wilson(48, 80))
    assert found["value"] == pytest.approx(0.2)
    assert (round(found["low"], 4), round(found["high"], 4)) == (0.0524, 0.3339)
    assert difference(wilson(1, 2), {"value": None, "low": None, "high": None})["value"] is None


def test_classes_that_are_not_there_are_left_out_of_the_own_test_too():
    tried, own = answered("ab" * 30, 1, 1.0), answered("abc" * 20, 2, dataset="leaves")
    found = score_external(tried, own, SETS, catalog(tried, own), CLASSES, None, ASKED)
    assert (found["present"], found["absent"]) == (["a", "b"], ["c"]) and found["own"]["n"] == 40
    answers = tried.answers()
    same = score(answers, catalog(tried), CLASSES, seed=3, resamples=200)
    assert found["tried"]["metrics"] == same["metrics"] and found["tried"]["confusion"] == same["confusion"]
    recalls = [entry["recall"] for entry in found["tried"]["per_class"][:2]]
    assert found["tried"]["metrics"]["balanced_accuracy"]["value"] == pytest.approx(np.mean(recalls))
    gap = found["difference"]["balanced_accuracy"]
    assert gap["value"] == pytest.approx(np.mean(recalls) - found["own"]["metrics"]["balanced_accuracy"]["value"])
    assert gap["low"] < gap["value"] < gap["high"] < 0.1
    assert found["tried"]["sets"]["n"] == 60 and found["unlike"] is None and found["sites"] == []


def test_without_a_test_of_these_classes_there_is_nothing_beside_it():
    tried, own = answered("aaaabbbb", 1), answered("cccc", 2, dataset="leaves")
    for beside in (None, own):
        found = score_external(tried, beside, SETS, catalog(tried, own), CLASSES, None, ASKED)
        assert found["own"] is None and found["difference"] is None


def test_class_shares_are_estimated_without_labels():
    tried = answered("a" * 20 + "b" * 60 + "c" * 320, 4, temperature=1.0)
    found = score_external(tried, None, SETS, catalog(tried), CLASSES, None, ASKED)["estimated"]
    assert list(found["found"].values()) == [0.05, 0.15, 0.8]
    assert np.abs(np.subtract(list(found["shares"].values()), [0.05, 0.15, 0.8])).max() < 0.1
    equal = score_external(tried, None, SETS, catalog(tried), CLASSES, None, ASKED)["tried"]
    assert found["metrics"]["accuracy"]["value"] > equal["metrics"]["accuracy"]["value"]
    other = [table.assign(label="a") for table in tried.folds]
    assert Answered(other, PRIORS, 1.0).shares() == tried.shares()


def test_sites_and_how_unlike_photos_are():
    tried = answered("abc" * 10, 1)
    found = score_external(
        tried, None, SETS, catalog(tried, sites=("north", "south")), CLASSES, np.array([10.0, 95.0, 96.0, 100.0]), ASKED
    )
    assert {site["site"]: site["n"] for site in found["sites"]} == {"north": 15, "south": 15}
    assert found["unlike"] == {"n": 4, "limit": 95.0, "median": 95.5, "far": 0.5}
