"""What the class shares of the training photos do to a model, and what a correction takes back: a simulation."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from manihot.networks.losses import prior
from manihot.predictions.calibration import estimate_shares, fit_temperature, shift

CLASSES, FEATURES, PHOTOS, TESTED = 5, 10, 2000, 20_000
FOUND = np.array([0.08, 0.11, 0.12, 0.57, 0.12])
EQUAL = np.full(CLASSES, 1 / CLASSES)


def simulated():
    """Recalls' mean on a balanced test: fitted on photos as found and on balanced ones, and the first corrected."""
    generator = np.random.default_rng(7)
    centres = generator.normal(0, 0.9, (CLASSES, FEATURES))

    def photos(n, shares):
        true = generator.choice(CLASSES, n, p=shares)
        return centres[true] + generator.normal(size=(n, FEATURES)), true

    x, true = photos(TESTED, EQUAL)

    def balanced(given):
        right = given.argmax(axis=1) == true
        return np.mean([right[true == index].mean() for index in range(CLASSES)])

    given = {}
    for name, shares in (("as found", FOUND), ("balanced", EQUAL)):
        rows, labels = photos(PHOTOS, shares)
        given[name] = LogisticRegression(C=1.0, max_iter=500).fit(rows, labels).predict_proba(x)
    prior = np.bincount(labels, minlength=CLASSES) / PHOTOS
    assert prior == pytest.approx(EQUAL, abs=0.03)
    return balanced(given["as found"]), balanced(shift(given["as found"], FOUND, EQUAL)), balanced(given["balanced"])


def test_what_balancing_seems_to_give_is_mostly_a_missing_correction():
    as_found, corrected, balanced = simulated()
    # Four standard errors of a share of so many photos.
    error = 4 * np.sqrt(0.14 * 0.86 / TESTED)
    assert balanced - as_found > 0.02
    assert abs(balanced - corrected) < error


@pytest.mark.parametrize("elsewhere", [EQUAL, np.array([0.5, 0.02, 0.2, 0.08, 0.2])])
def test_shares_of_photos_without_labels_are_estimated_from_the_answers(elsewhere):
    """Two models of photos as found and of balanced ones, each with its own prior, see photos from elsewhere."""
    generator = np.random.default_rng(11)
    centres = generator.normal(0, 0.9, (CLASSES, FEATURES))

    def photos(n, shares):
        true = generator.choice(CLASSES, n, p=shares)
        return centres[true] + generator.normal(size=(n, FEATURES)), true

    x, true = photos(4000, elsewhere)
    fits = [LogisticRegression(C=1.0, max_iter=500).fit(*photos(PHOTOS, shares)) for shares in (FOUND, EQUAL)]
    given = [fit.predict_proba(x) for fit in fits]
    shares = estimate_shares(given, [FOUND, EQUAL], [1.0, 1.0])
    assert shares.sum() == pytest.approx(1)
    # Counted answers are off by more than the estimate, which is off by little.
    counted = np.bincount(given[0].argmax(axis=1), minlength=CLASSES) / len(x)
    assert np.abs(shares - elsewhere).max() < 0.03 < np.abs(counted - elsewhere).max()

    def right(target):
        answers = np.mean([shift(p, prior, target) for p, prior in zip(given, (FOUND, EQUAL), strict=True)], axis=0)
        return np.mean(answers.argmax(axis=1) == true)

    assert right(shares) > right(FOUND)
    assert right(shares) == pytest.approx(right(elsewhere), abs=0.01)


def test_shares_of_photos_that_a_model_is_certain_of_are_counted():
    sure = np.eye(3)[[0, 0, 0, 1]]
    found = estimate_shares([sure], [[0.2, 0.2, 0.6]], [1.0])
    assert found == pytest.approx([0.75, 0.25, 0], abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.1, 0.2])
def test_under_label_smoothing_the_prior_alone_is_not_enough_and_a_temperature_mends_it(smoothing):
    """Six draws of where classes lie: means of balanced accuracy."""
    rows = np.array([smoothed(seed, smoothing) for seed in range(6)])
    own, _, by_prior, tempered, balanced = rows.mean(axis=0)
    assert (rows[:, 2] > rows[:, 1]).all()  # in every draw: much of the smoothing is in the prior
    assert own < tempered < balanced and by_prior < tempered
    assert tempered - own > 0.8 * (balanced - own)


def smoothed(seed, smoothing):
    """Own answers, corrected by the photos' shares and by the prior, calibrated, and those of balanced training."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(0, 0.9, (CLASSES, FEATURES))

    def photos(n, shares):
        true = generator.choice(CLASSES, n, p=shares)
        return (centres[true] + generator.normal(size=(n, FEATURES))).astype(np.float32), true

    x, true = photos(TESTED, EQUAL)
    held_out, labels_held_out = photos(PHOTOS, FOUND)

    def balanced(given):
        right = given.argmax(axis=1) == true
        return np.mean([right[true == index].mean() for index in range(CLASSES)])

    def fit(rows, labels):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            layer = torch.nn.Linear(FEATURES, CLASSES)
        loss = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)
        optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=100, line_search_fn="strong_wolfe")

        def closure():
            optimizer.zero_grad()
            value = loss(layer(torch.from_numpy(rows)), torch.from_numpy(labels))
            value.backward()
            return value

        optimizer.step(closure)
        return lambda z: layer(torch.from_numpy(z)).softmax(1).detach().numpy().astype(np.float64)

    model, even = fit(*photos(2 * PHOTOS, FOUND)), fit(*photos(2 * PHOTOS, EQUAL))
    takes = prior("cross_entropy", FOUND.tolist(), [1.0] * CLASSES, smoothing)
    table = pd.DataFrame(model(held_out), columns=[f"p{k}" for k in range(CLASSES)])
    names = [str(k) for k in range(CLASSES)]
    temperature = fit_temperature([table.assign(label=labels_held_out.astype(str))], [takes], names, FOUND.tolist())
    own = model(x)
    corrected = shift(own, FOUND, EQUAL), shift(own, takes, EQUAL), shift(own, takes, EQUAL, temperature)
    return [balanced(each) for each in (own, *corrected, even(x))]
