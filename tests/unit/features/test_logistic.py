"""Logistic regression that chooses its penalty: scikit-learn's answers, one thread's bytes, whole photos."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from manihot.features import logistic

WIDTH, CLASSES = 8, 3


@pytest.fixture
def rows():
    """90 photos of three classes that overlap, in two views; the features have means and deviations of their own."""
    random = np.random.default_rng(0)
    target = np.arange(90) % CLASSES
    centres = random.normal(size=(CLASSES, WIDTH))
    views = [
        ((centres[target] + random.normal(size=(90, WIDTH)) * 2) * np.arange(1, WIDTH + 1) + 5).astype(np.float32)
        for _ in range(2)
    ]
    return logistic.Rows(views, views[0], target, np.ones(90))


@pytest.fixture
def inner():
    return np.arange(90) // 3 % 3


def answers(layer, features):
    return softmax(features.astype(np.float64) @ layer.weight.T + layer.bias, axis=1)


def test_the_layer_is_scikit_learns_on_standardised_features_with_half_a_weight_a_view(rows, inner):
    layer = logistic.fit(rows, inner, CLASSES)
    both = np.concatenate(rows.views)
    mean, deviation = both.mean(axis=0), both.std(axis=0)
    own = LogisticRegression(C=layer.tuned["C"], tol=1e-8, max_iter=10_000)
    own.fit((both - mean) / deviation, np.tile(rows.target, 2), np.full(180, 0.5))
    expected = own.predict_proba((rows.answered - mean) / deviation)
    np.testing.assert_allclose(answers(layer, rows.answered), expected, atol=2e-3)
    assert layer.weight.dtype == layer.bias.dtype == np.float32 and layer.weight.shape == (CLASSES, WIDTH)


def test_c_is_that_of_the_lowest_log_loss_on_the_inner_folds(rows, inner):
    one_view = logistic.Rows(rows.views[:1], rows.answered, rows.target, rows.weight)
    layer = logistic.fit(one_view, inner, CLASSES)
    measured = []
    for tried in layer.tuned["tried"]:
        loss = np.zeros(90)
        for number in range(3):
            out = inner == number
            known = rows.answered[~out]
            mean, deviation = known.mean(axis=0), known.std(axis=0)
            own = LogisticRegression(C=tried, tol=1e-8, max_iter=10_000)
            own.fit((known - mean) / deviation, rows.target[~out])
            said = own.predict_proba((rows.answered[out] - mean) / deviation)
            loss[out] = -np.log(said[np.arange(30), rows.target[out]])
        measured.append(loss.mean())
    assert [row[1] for row in layer.history] == pytest.approx(measured, abs=5e-3)
    assert layer.tuned["C"] == layer.tuned["tried"][int(np.argmin(measured))]
    assert layer.tuned["inner_log_loss"] == pytest.approx(min(measured), abs=5e-3)
    # The search ends soon after the best.
    assert logistic.PATIENCE <= len(layer.history) - 1 - int(np.argmin(measured)) <= logistic.PATIENCE + 2


@pytest.mark.parametrize("seed", [6, 10, 28])
def test_chance_among_strong_penalties_does_not_end_the_search(monkeypatch, seed):
    """Features that tell little: the loss under strong penalties goes up and down by a thousandth."""
    random = np.random.default_rng(seed)
    target = random.choice(5, 200, p=[0.4, 0.3, 0.1, 0.1, 0.1])
    features = (0.06 * random.normal(size=(5, 24))[target] + random.normal(size=(200, 24))).astype(np.float32)
    weak = logistic.Rows([features], features, target, np.ones(200))
    folds = np.random.default_rng(3).integers(0, 3, 200)
    chosen = logistic.fit(weak, folds, 5).tuned["C"]
    monkeypatch.setattr(logistic, "WORSE", np.inf)
    whole = logistic.fit(weak, folds, 5).tuned
    assert len(whole["tried"]) == len(logistic.GRID) and chosen == whole["C"] > logistic.GRID[0]


def test_weights_of_photos_count_like_copies_of_them(rows, inner):
    twice = np.where(rows.target == 0, 2.0, 1.0)
    weighted = logistic.fit(logistic.Rows(rows.views, rows.answered, rows.target, twice), inner, CLASSES)
    copied = np.concatenate([np.arange(90), np.flatnonzero(rows.target == 0)])
    views = [view[copied] for view in rows.views]
    as_copies = logistic.fit(
        logistic.Rows(views, rows.answered[copied], rows.target[copied], np.ones(len(copied))), inner[copied], CLASSES
    )
    assert weighted.tuned["C"] == as_copies.tuned["C"]
    plain = logistic.fit(rows, inner, CLASSES)
    shares = [answers(layer, rows.answered)[:, 0].mean() for layer in (weighted, plain)]
    assert shares[0] > shares[1] + 0.05


def test_two_classes_and_a_class_without_photos(rows, inner):
    chosen = rows.target < 2
    two = rows.only(chosen)
    layer = logistic.fit(two, inner[chosen], 3)
    said = answers(layer, two.answered)
    assert said[:, 2].max() < 1e-6
    mean, deviation = np.concatenate(two.views).mean(axis=0), np.concatenate(two.views).std(axis=0)
    own = LogisticRegression(C=layer.tuned["C"], tol=1e-8, max_iter=10_000)
    own.fit((np.concatenate(two.views) - mean) / deviation, np.tile(two.target, 2), np.full(2 * len(two.target), 0.5))
    np.testing.assert_allclose(said[:, :2], own.predict_proba((two.answered - mean) / deviation), atol=2e-3)


def test_a_feature_that_never_changes_and_a_class_in_one_inner_fold_do_no_harm(rows, inner):
    views = [np.concatenate([view, np.full((90, 1), 3.0, np.float32)], axis=1) for view in rows.views]
    alone = np.where(rows.target == 2, 0, inner)
    layer = logistic.fit(logistic.Rows(views, views[0], rows.target, rows.weight), alone, CLASSES)
    assert np.isfinite(layer.weight).all() and np.isfinite([row[1] for row in layer.history]).all()
    assert (np.abs(layer.weight[:, -1]) < 1e-6).all()


def test_a_feature_that_differs_by_roundings_does_no_harm(rows, inner):
    ulp = np.spacing(np.float32(3.3))
    random = np.random.default_rng(1)
    views = [
        np.concatenate([view, 3.3 + ulp * random.integers(-1, 2, (90, 1))], axis=1, dtype=np.float32)
        for view in rows.views
    ]
    with_it = logistic.fit(logistic.Rows(views, views[0], rows.target, rows.weight), inner, CLASSES)
    other = np.concatenate([rows.answered, np.full((90, 1), 3.3001, np.float32)], axis=1)
    without = logistic.fit(rows, inner, CLASSES)
    np.testing.assert_allclose(answers(with_it, other), answers(without, rows.answered), atol=2e-3)


def test_an_inner_fold_with_the_only_group_of_one_of_two_classes_is_left_out(rows, inner):
    two = rows.only(rows.target < 2)
    alone = np.where(two.target == 1, 0, inner[rows.target < 2])
    layer = logistic.fit(two, alone, 2)
    assert layer.tuned["inner_folds"] == 2 and np.isfinite([row[1] for row in layer.history]).all()


def test_the_end_of_the_grid_is_said(rows, inner, caplog, monkeypatch):
    monkeypatch.setattr(logistic, "GRID", (10.0, 30.0, 100.0))
    layer = logistic.fit(rows, inner, CLASSES)
    assert layer.tuned["C"] == 10
    assert "the best C, 10, is at the end of what is tried: 10 to 100" in caplog.text
