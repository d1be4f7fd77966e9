"""How often 95 % intervals hold the true value, in small seeded simulations (the large ones: benchmarks/coverage.py)."""

import importlib.util
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))
# By its path: another package is called coverage, too.
spec = importlib.util.spec_from_file_location("coverage_benchmark", BENCHMARKS / "coverage.py")
coverage = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = coverage
spec.loader.exec_module(coverage)

DRAWS = 500
# Three standard errors of a coverage that is simulated: of one number, and of the mean of several.
ERROR = 3 * np.sqrt(0.95 * 0.05 / DRAWS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", coverage.KINDS, ids=lambda kind: kind.name)
def test_intervals_of_shares_hold_the_true_share(kind):
    cells = list(product((15, 75, 300), (0.02, 0.5, 0.95)))
    found = [coverage.covered(kind, n, true, DRAWS)["covered"] for n, true in cells]
    assert np.mean(found) >= 0.945 - ERROR / np.sqrt(len(cells)), dict(zip(cells, found, strict=True))
    assert min(found) >= 0.90 - ERROR, dict(zip(cells, found, strict=True))


def test_a_percentile_bootstrap_does_not():
    assert coverage.covered_by_percentiles(15, 0.98) == pytest.approx(0.26, abs=0.01)
    assert coverage.covered_by_percentiles(50, 0.98) == pytest.approx(0.64, abs=0.01)
    assert coverage.covered_by_percentiles(75, 0.98) == pytest.approx(0.78, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("recalls", coverage.RECALLS)
def test_intervals_of_balanced_accuracy_hold_the_true_one(recalls):
    kinds = [coverage.KINDS[0], coverage.KINDS[3]]
    found = [coverage.covered_means(kind, n, recalls, 200)["covered"] for kind, n in product(kinds, (15, 60))]
    assert min(found) >= 0.90 - 3 * np.sqrt(0.95 * 0.05 / 200)


def test_intervals_are_not_wider_than_they_need_be():
    """Beside the exact interval that knows the true share: at most a tenth wider where there are many photos."""
    found = coverage.covered(coverage.KINDS[0], 300, 0.8, DRAWS)
    assert found["width"] <= 1.1 * 2 * 1.96 * np.sqrt(0.8 * 0.2 / 300)


@pytest.mark.full
@pytest.mark.parametrize("seeds", [2, 3])
def test_intervals_over_few_seeds_hold_the_difference(seeds):
    assert coverage.covered_seeds(1200, seeds, 150)["covered"] >= 0.88 - 3 * np.sqrt(0.9 * 0.1 / 150)


@pytest.mark.slow
def test_out_of_fold_differences_are_those_of_settings_and_not_of_photos():
    """Two settings that are equally good: a bootstrap of photos sees a difference far too often, folds do not."""
    found = coverage.covered_folds(300, 5, 150)
    assert found["covered_by_photos"] < 0.95 - np.sqrt(0.95 * 0.05 / 150)
    assert found["covered_by_folds"] > 0.95 - 2 * np.sqrt(0.95 * 0.05 / 150)


@pytest.mark.parametrize(("photos", "apart"), [(200, 4), (500, 10), (2000, 40)])
def test_a_difference_of_the_margin_is_rarely_said_not_to_matter(photos, apart):
    """Two one-sided tests at 0.05, of models that truly differ by 2 points: one is right where the other is."""
    generator = np.random.default_rng(photos)
    said = 0
    for draw in range(200):
        better = generator.binomial(photos, apart / photos)
        ends = np.percentile(np.random.default_rng(draw).binomial(photos, better / photos, 2000), (5, 95)) / photos
        low, high = map(float, ends)
        found = {"difference": better / photos, "low_90": low, "high_90": high, "effective": float(photos)}
        said += coverage.comparisons.equivalent(found, 2.0)
    assert said / 200 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)
