"""What the class shares of the training photos do to a model, and what a correction takes back: a simulation."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from manihot.predictions.calibration import shift

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
