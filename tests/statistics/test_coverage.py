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
