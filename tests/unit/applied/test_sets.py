"""Prediction sets hold the true class as often as is asked: with one fold exactly so, by cross-validation about so."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manihot.applied import sets
from manihot.core import files
from manihot.core.errors import StudyError
from manihot.core.tables import probability_columns
from manihot.predictions.calibration import shift

LABELS = ["a", "b", "c"]
EQUAL = [1 / 3] * 3
CORNERS = 1.5 * np.eye(3)
few = settings(max_examples=12, deadline=None, derandomize=True)


def seen(random, true):
    """What is seen of photos of these classes: points around a corner each."""
    return CORNERS[true] + random.normal(size=(len(true), 3))


def model(random, n=60):
    """A model of n photos: the centres of the classes as they seem to be. Returns its probabilities of points."""
    true = np.arange(n) % 3
    points = seen(random, true)
    centres = np.stack([points[true == k].mean(axis=0) for k in range(3)])

    def answer(some):
        fit = -((some[:, None] - centres) ** 2).sum(axis=2) / 2
        weights = np.exp(fit - fit.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    return answer


def table(answers, true, fold, start=0):
    names = [f"{start + index}.jpg" for index in range(len(true))]
    keys = {"dataset": "d", "image_id": names, "label": [LABELS[k] for k in true], "fold": fold}
    return pd.DataFrame(keys).join(pd.DataFrame(answers, columns=probability_columns(3)))


def catalogs(tables, groups=None):
    every = pd.concat(tables)[["dataset", "image_id"]].reset_index(drop=True)
    return every.assign(group=np.arange(len(every)) if groups is None else groups)


def calibrated(tables, groups=None, seed=0):
    return sets.calibrate(tables, [EQUAL] * len(tables), LABELS, catalogs(tables, groups), seed)


@pytest.mark.parametrize("folds", [1, 5])
def test_each_class_is_covered_as_asked_whatever_the_shares(folds):
    coverages, studies, n = (0.8, 0.9), 60, 400
    right, count = np.zeros((len(coverages), 3)), np.zeros(3)
    for seed in range(studies):
        random = np.random.default_rng([seed, folds])
        models = [model(random) for _ in range(folds)]
        classes = [random.choice(3, n // folds, p=[0.6, 0.3, 0.1]) for _ in models]
        pairs = enumerate(zip(models, classes, strict=True))
        record = calibrated([table(one(seen(random, true)), true, k + 1, k * n) for k, (one, true) in pairs])
        # New photos have other class shares.
        true = np.arange(600) % 3
        points = seen(random, true)
        answers = np.stack([answer(points) for answer in models])
        for place, coverage in enumerate(coverages):
            told = sets.measured(sets.plausible(record, answers, coverage), true)
            right[place] += np.array(told["classes"])[:, 0]
        count += np.bincount(true)
    found, asked = right / count, np.array(coverages)[:, None]
    # A study with some 40 photos of the rarest class has a deviation of sqrt(c (1 - c) / 40): three in the mean of all.
    error = 3 * np.sqrt(asked * (1 - asked) / 40 / studies)
    assert (found >= asked - error).all() and (found <= asked + 0.04 + error).all(), found


def test_few_photos_of_a_class_are_judged_by_all_scores():
    random = np.random.default_rng(1)
    answer = model(random)
    true = np.repeat([0, 1, 2], [200, 200, sets.LEAST - 1])
    one = table(answer(seen(random, true)), true, 1)
    record = calibrated([one])
    points = seen(random, np.full(500, 2))
    alike = sets.plausible(record, answer(points)[None], 0.9)[:, 2]
    pooled = np.concatenate([part for parts in record["scores"].values() for part in parts])
    limit = np.sort(pooled)[int(np.ceil(0.9 * (1 + len(pooled)))) - 1]
    assert (alike == (1 - answer(points)[:, 2] <= limit)).all() and not alike.all()


def test_a_set_by_hand(monkeypatch):
    """Nineteen scores of a class, ten of one fold and nine of the other; the other classes have none."""
    monkeypatch.setattr(sets, "LEAST", 19)
    p = np.linspace(0.95, 0.05, 19)
    rows = np.stack([p, (1 - p) / 2, (1 - p) / 2], axis=1)
    record = calibrated([table(rows[::2], [0] * 10, 1), table(rows[1::2], [0] * 9, 2, 50)])
    assert record["folds"] == [1, 2] and [len(part) for part in record["scores"]["a"]] == [10, 9]
    assert record["scores"]["a"][0] == pytest.approx(1 - p[::2], abs=1e-9) and record["scores"]["b"] == [[], []]
    # Fewer than 0.9 (19 + 1) = 18 scores may lie below the photo's, those of each fold below its own model's.
    for first, second, holds in ((10, 7, True), (10, 8, False), (8, 9, True), (9, 9, False)):
        answers = np.full((2, 1, 3), 1 / 3)
        for fold, below in enumerate((first, second)):
            answers[fold, 0, 0] = 1 - ([*record["scores"]["a"][fold], 1.0][below] - 1e-3)
        found = sets.plausible(record, answers, 0.9)
        assert found[0, 0] == holds
        # The answer is in the set all the same.
        assert sets.sets(record, answers, np.array([0]), 0.9)[0].tolist() == [True, *found[0, 1:]]


@few
@given(st.integers(0, 999), st.floats(0.05, 0.9), st.floats(0.01, 0.09))
def test_more_coverage_never_takes_a_class_away_and_the_answer_is_always_there(seed, coverage, more):
    random = np.random.default_rng(seed)
    models = [model(random) for _ in range(2)]
    true = random.choice(3, 90)
    tables = [table(answer(seen(random, true)), true, k + 1, 100 * k) for k, answer in enumerate(models)]
    answers = np.stack([answer(seen(random, true)) for answer in models])
    best = answers.mean(axis=0).argmax(axis=1)
    less, larger = (sets.sets(calibrated(tables), answers, best, c) for c in (coverage, coverage + more))
    assert (less <= larger).all() and less[np.arange(90), best].all()


def test_one_photo_of_a_group_counts_whatever_their_order():
    random = np.random.default_rng(3)
    answer = model(random)
    true = np.arange(120) % 3
    one = table(answer(seen(random, true)), true, 1)
    groups = np.arange(120) // 12  # of all three classes
    record = calibrated([one], groups)
    assert {label: len(parts[0]) for label, parts in record["scores"].items()} == dict.fromkeys(LABELS, 10)
    order = random.permutation(120)
    again = sets.calibrate([one.iloc[order]], [EQUAL], LABELS, catalogs([one], groups), 0)
    assert again == record and calibrated([one], groups, seed=1) != record
    assert json.loads(json.dumps(record)) == record


def test_answers_are_corrected_for_each_folds_own_prior():
    random = np.random.default_rng(4)
    answer = model(random)
    true = np.arange(90) % 3
    rows, prior = answer(seen(random, true)), [0.6, 0.3, 0.1]
    of_prior = shift(rows, EQUAL, prior)
    plain = calibrated([table(rows, true, 1)])
    told = sets.calibrate([table(of_prior, true, 1)], [prior], LABELS, catalogs([table(rows, true, 1)]), 0)
    assert told["scores"]["c"][0] == pytest.approx(plain["scores"]["c"][0], abs=1e-6)


def test_a_refit_has_the_scores_of_the_folds_and_no_guarantee():
    random = np.random.default_rng(5)
    true = np.arange(150) % 3
    tables = [table(model(random)(seen(random, true)), true, k, 200 * k) for k in (1, 2)]
    record = calibrated(tables)
    refit = sets.of_refit(record)
    assert refit["folds"] == [0] and refit["method"] == "of the folds" and record["method"] == "cv+"
    assert refit["scores"]["b"] == [sorted([*record["scores"]["b"][0], *record["scores"]["b"][1]])]
    new = random.choice(3, 2000)
    answers = model(random)(seen(random, new))[None]
    told = sets.measured(sets.sets(refit, answers, answers[0].argmax(axis=1), 0.9), new)
    assert 0.85 < told["covered"] / told["n"] < 0.97


def test_what_is_guaranteed():
    assert sets.guaranteed(100, 1, 0.9) == 0.9
    # 1 - 2 * 0.1 - min(2 (1 - 1/5) / (1000/5 + 1), (1 - 5/1000) / 6)
    assert sets.guaranteed(1000, 5, 0.9) == pytest.approx(0.8 - 1.6 / 201)
    assert sets.guaranteed(0, 5, 0.9) == 0


def test_what_sets_are_worth():
    held = np.array([[True, False, False], [True, True, False], [False, True, True]])
    told = sets.measured(held, np.array([0, 2, 2]))
    assert told == {"n": 3, "covered": 2, "classes": [[1, 1], [0, 0], [1, 2]], "size": 5 / 3, "single": 1}
    assert sets.measured(held[:0], np.array([], int))["size"] is None


@pytest.mark.parametrize("coverage", [0, 1, 1.5, float("nan")])
def test_a_coverage_that_is_none(coverage):
    with pytest.raises(StudyError, match="coverage: .* must lie between 0 and 1"):
        sets.sets({"scores": {}}, np.zeros((1, 0, 3)), np.zeros(0, int), coverage)


BREAKS = {
    "later": (lambda r: r.update(schema_version=2), "has the schema version 2"),
    "other classes": (lambda r: r["scores"].pop("a"), "damaged or of another model"),
    "other folds": (lambda r: r.update(folds=[1, 3]), "damaged or of another model"),
    "another score": (lambda r: r.update(score="APS"), "damaged or of another model"),
    "not ascending": (lambda r: r["scores"]["a"][0].reverse(), "damaged or of another model"),
    "a fold less": (lambda r: r["scores"]["b"].pop(), "damaged or of another model"),
}


@pytest.mark.parametrize(("damage", "match"), BREAKS.values(), ids=BREAKS)
def test_a_record_is_checked(tmp_path, damage, match):
    random = np.random.default_rng(6)
    true = np.arange(30) % 3
    record = calibrated([table(model(random)(seen(random, true)), true, k, 50 * k) for k in (1, 2)])
    path = tmp_path / sets.FILE
    files.write_json(path, record)
    whole = sets.read(path, LABELS, [1, 2])
    assert {label: [part.tolist() for part in parts] for label, parts in whole["scores"].items()} == record["scores"]
    damage(record)
    files.write_json(path, record)
    with pytest.raises(StudyError, match=match):
        sets.read(path, LABELS, [1, 2])
