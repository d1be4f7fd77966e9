"""What choosing does to scores, in small seeded simulations (the large ones: benchmarks/coverage.py)."""

import numpy as np
import pytest
from scipy import stats

from manihot.scores import choice

CLASSES, POOL, TESTED = 5, 30, 15
TRUE = 0.8
DRAWS = 300


@pytest.fixture(scope="module")
def found() -> dict[str, np.ndarray]:
    """Four families of one model each, all equally good: what each way of choosing makes of the score, [draws].

    150 photos are predicted out of fold, 75 are in a test that is balanced over five classes. A photo that is hard
    for one model is so for the others, too.
    """
    generator = np.random.default_rng(7)
    true, rows = np.repeat(np.arange(CLASSES), POOL), []
    for draw in range(DRAWS):
        right = []
        for photos in (len(true), CLASSES * TESTED):
            drawn = np.sqrt(0.2) * generator.normal(size=(photos, 1)) + np.sqrt(0.8) * generator.normal(
                size=(photos, 4)
            )
            right.append((drawn < stats.norm.ppf(TRUE)).astype(float))
        pool, test = right
        photos = choice.OutOfFold(pool, np.where(pool > 0, 0.2, 1.8), true, np.arange(len(true)), true, CLASSES)
        chosen = int(choice.best(pool.mean(axis=0), photos.loss.mean(axis=0)))
        winners, found = choice.corrected(photos, chosen, seed=draw, resamples=200)
        corrected = found["corrected"]["balanced_accuracy"]
        scores = test.mean(axis=0)
        rows.append([found["own"]["balanced_accuracy"], corrected["value"], scores[chosen], scores.max(),
                     corrected["low"] <= TRUE <= corrected["high"], np.mean(winners == chosen)])  # fmt: skip
    names = ("own", "corrected", "test", "best_test", "covered", "again")
    return dict(zip(names, np.transpose(rows).astype(float), strict=True))


def error(values: np.ndarray) -> float:
    """Three standard errors of the mean."""
    return float(3 * values.std(ddof=1) / np.sqrt(len(values)))


def test_the_score_that_a_model_was_chosen_by_is_too_high(found):
    assert found["own"].mean() - TRUE > 0.02 + error(found["own"])


def test_the_correction_takes_off_what_the_choice_added(found):
    assert found["corrected"].mean() - TRUE < error(found["corrected"])
    assert found["corrected"].mean() - TRUE > -0.01, "a correction by far too much is none"
    assert found["covered"].mean() > 0.95 - 3 * np.sqrt(0.95 * 0.05 / DRAWS)


def test_the_best_test_score_of_the_families_is_too_high_and_that_of_the_chosen_model_is_not(found):
    assert found["best_test"].mean() - TRUE > 0.03 + error(found["best_test"])
    assert abs(found["test"].mean() - TRUE) < error(found["test"])


def test_among_equals_the_choice_is_not_sure(found):
    assert 0.3 < found["again"].mean() < 0.75
