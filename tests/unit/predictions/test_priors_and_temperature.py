"""Answers for other class shares, and the temperature: Bayes' rule, what is fitted on what, and hand-made examples."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manihot.predictions import calibration
from manihot.predictions.ensembles import ensemble

SHARES = {"a": 0.7, "b": 0.2, "c": 0.1}
COUNTS = {"test": {"a": 10, "b": 10, "c": 10}, "test_as_found": {"a": 6, "b": 2, "c": 1}}
RECORD = {"classes": [{"label": label} for label in "abc"], "shares": SHARES, "counts": COUNTS,
          "asked": {"test": 30, "test_as_found": 9}}  # fmt: skip
few = settings(max_examples=30, deadline=None, derandomize=True)


def table(values, labels="", fold=1, start=0):
    """Predictions of photos `start`.jpg and on."""
    names = [f"{start + i}.jpg" for i in range(len(values))]
    keys = pd.DataFrame({"dataset": "d", "image_id": names, "label": list(labels or "a" * len(values)), "fold": fold})
    return keys.join(pd.DataFrame(values, columns=["p0", "p1", "p2"]))


def shares(seed, rows=1):
    return np.random.default_rng(seed).dirichlet(np.full(3, 2.0), rows)


def test_a_shift_is_bayes_rule():
    # Likelihoods 0.6, 0.3, 0.1 of what is seen, under two priors.
    likelihood = np.array([0.6, 0.3, 0.1])
    under = [likelihood * prior / (likelihood @ prior) for prior in ([0.7, 0.2, 0.1], [0.2, 0.3, 0.5])]
    moved = calibration.shift(under[0][None], [0.7, 0.2, 0.1], [0.2, 0.3, 0.5])
    assert moved[0] == pytest.approx(under[1])


@few
@given(st.integers(0, 999))
def test_shifts_follow_each_other_and_go_back(seed):
    given, (one, two, three) = shares(seed, 20), shares(seed + 1000, 3)
    there = calibration.shift(given, one, two)
    assert calibration.shift(there, two, three) == pytest.approx(calibration.shift(given, one, three))
    assert calibration.shift(there, two, one) == pytest.approx(given)
    assert there.sum(axis=1) == pytest.approx(np.ones(20)) and calibration.shift(given, one, one) == pytest.approx(
        given
    )


def test_a_class_that_was_not_fitted_on_stays_where_it_is():
    moved = calibration.shift(np.array([[0.5, 0.3, 0.2]]), [0.5, 0.5, 0], [0.5, 0.5, 0.3])
    assert moved[0] == pytest.approx([0.5, 0.3, 0.2])
    certain = calibration.shift(np.array([[1.0, 0, 0]]), [0.9, 0.05, 0.05], [1 / 3] * 3)
    assert np.isfinite(certain).all() and certain[0, 0] == pytest.approx(1)


def drawn(n, sureness, prior, target, seed=0):
    """Photos of the shares `target`, and what a model of `prior` says of them that is `sureness` times too sure."""
    generator = np.random.default_rng(seed)
    true = generator.choice(3, n, p=target)
    # What is seen lies around one of three corners, with unit variance: the posterior is known.
    corners = 1.4 * np.eye(3)
    seen = corners[true] + generator.normal(size=(n, 3))
    honest = np.exp(seen @ corners.T) * np.asarray(target)
    honest /= honest.sum(axis=1, keepdims=True)
    labels = ["abc"[index] for index in true]
    # softmax(log p / T + offset) is honest: p = softmax(T (log honest - offset)).
    said = np.exp(sureness * (np.log(honest) - np.log(np.divide(target, prior))))
    return table(said / said.sum(axis=1, keepdims=True), labels)


@pytest.mark.parametrize("sureness", [0.5, 1, 2.5])
def test_the_temperature_is_found_with_the_shift_in_place(sureness):
    target, prior = list(SHARES.values()), [0.2, 0.3, 0.5]
    found = calibration.fit_temperature([drawn(6000, sureness, prior, target)], [prior], list("abc"), target)
    assert found == pytest.approx(sureness, rel=0.06)
    # Without the shift it would be another one: the model looks wrong where only its prior is.
    assert calibration.fit_temperature([drawn(6000, 1, prior, target)], [target], list("abc"), target) > 1.15


def test_the_temperature_stays_in_its_range_and_needs_a_photo():
    right = table(np.tile([[0.6, 0.2, 0.2]], (5, 1)))
    equal = [1 / 3] * 3
    assert calibration.fit_temperature([right], [equal], list("abc"), equal) < 2 / calibration.RANGE[1]
    wrong = right.assign(label="b")
    assert calibration.fit_temperature([wrong], [equal], list("abc"), equal) == pytest.approx(1 / calibration.RANGE[0])
    assert calibration.fit_temperature([right[:0]], [equal], list("abc"), equal) is None


def test_photos_are_weighted_to_the_shares_of_all():
    target, prior = [0.7, 0.2, 0.1], [1 / 3] * 3
    one = drawn(3000, 2, prior, target)
    # Twice the photos of class c are no news.
    more = pd.concat([one, one[one["label"] == "c"]], ignore_index=True)
    found = [calibration.fit_temperature([each], [prior], list("abc"), target) for each in (one, more)]
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_each_fold_is_shifted_by_its_own_prior_before_the_average():
    priors, given = [[0.7, 0.2, 0.1], [0.2, 0.3, 0.5]], shares(1, 8)
    tests = [table(given[:4], "abca", fold=1), table(given[4:], "abca", fold=2)]
    held_out = [table(shares(2, 30), "abc" * 10, fold=1), table(shares(3, 30), "abc" * 10, fold=2, start=30)]
    folds = {"train": held_out[::-1], "validation": held_out, "test": tests, "test_as_found": tests}
    answers, temperature = calibration.answer(folds, priors, RECORD)
    assert set(answers) == {"corrected", "calibrated"} and set(answers["corrected"]) == {
        "validation", "test", "test_as_found",
    }  # fmt: skip
    columns = ["p0", "p1", "p2"]
    by_hand = [calibration.shift(t[columns].to_numpy(), p, [1 / 3] * 3) for t, p in zip(tests, priors, strict=True)]
    assert answers["corrected"]["test"][columns].to_numpy() == pytest.approx(np.mean(by_hand, axis=0))
    late = calibration.shift(ensemble({"test": tests})["test"][columns].to_numpy(), priors[0], [1 / 3] * 3)
    assert answers["corrected"]["test"][columns].to_numpy() != pytest.approx(late)
    found = answers["calibrated"]["test_as_found"][columns].to_numpy()
    by_hand = [
        calibration.shift(t[columns].to_numpy(), p, list(SHARES.values()), temperature)
        for t, p in zip(tests, priors, strict=True)
    ]
    assert found == pytest.approx(np.mean(by_hand, axis=0))
    # Out of fold no photo is averaged, and the order of photos stays.
    assert answers["calibrated"]["validation"]["image_id"].to_list() == [f"{i}.jpg" for i in range(60)]


def test_out_of_fold_a_temperature_is_that_of_the_other_folds():
    prior = list(SHARES.values())
    sure, unsure = drawn(400, 3, prior, prior, seed=1), drawn(400, 0.5, prior, prior, seed=2)
    held_out = [sure, unsure.assign(fold=2, image_id=[f"x{i}.jpg" for i in range(400)])]
    folds = {"validation": held_out, "test": [sure[:0]] * 2, "test_as_found": [sure[:0]] * 2}
    answers, temperature = calibration.answer(folds, [prior, prior], RECORD)
    alone = [calibration.fit_temperature([each], [prior], list("abc"), prior) for each in held_out]
    assert alone[0] > 2 > 1 > alone[1] and alone[1] < temperature < alone[0]
    columns = ["p0", "p1", "p2"]
    expected = calibration.shift(sure[columns].to_numpy(), prior, [1 / 3] * 3, alone[1])
    assert answers["calibrated"]["validation"][columns].to_numpy()[:400] == pytest.approx(expected)


def test_a_test_that_the_user_gives_has_the_shares_of_all_photos():
    found = list(SHARES.values())
    drawn = calibration.targets(RECORD)
    assert drawn == {"validation": [1 / 3] * 3, "test": [1 / 3] * 3, "test_as_found": found}
    assert calibration.targets(RECORD | {"asked": {}})["test"] == found


def test_a_test_with_few_photos_of_a_new_class_is_answered_so():
    counts = {"test": {"a": 20, "b": 20}}
    few = calibration.targets(RECORD | {"counts": counts})
    assert few["test"] == pytest.approx([20 / 40.5, 20 / 40.5, 0.5 / 40.5]) and few["validation"] == [1 / 3] * 3


def test_a_single_fold_has_no_temperature_out_of_fold():
    """It would be fitted on the very photos."""
    prior = list(SHARES.values())
    held_out = drawn(300, 3, prior, prior)
    folds = {"validation": [held_out], "test": [held_out], "test_as_found": [held_out[:0]]}
    answers, temperature = calibration.answer(folds, [prior], RECORD)
    assert temperature > 2 and answers["calibrated"]["validation"].equals(answers["corrected"]["validation"])
    assert not np.allclose(answers["calibrated"]["test"]["p0"], answers["corrected"]["test"]["p0"])


def test_a_refit_has_the_temperature_of_its_folds():
    """No photo was held out from it: out of fold it has no row."""
    prior = list(SHARES.values())
    tests = drawn(300, 3, prior, prior)
    folds = {"validation": [tests[:0]], "test": [tests], "test_as_found": [tests[:0]]}
    assert calibration.answer(folds, [prior], RECORD)[1] is None
    answers, temperature = calibration.answer(folds, [prior], RECORD, 2.5)
    columns = ["p0", "p1", "p2"]
    expected = calibration.shift(tests[columns].to_numpy(), prior, [1 / 3] * 3, 2.5)
    assert temperature == 2.5 and len(answers["calibrated"]["validation"]) == 0
    assert answers["calibrated"]["test"][columns].to_numpy() == pytest.approx(expected)
    # Folds have their own, whatever is known of others.
    assert calibration.answer({**folds, "validation": [tests]}, [prior], RECORD, 0.3)[1] > 2
