import math

import numpy as np
import pytest
from scipy import stats

from manihot.scores.resampled import corrected_mean


def test_by_hand_for_five_folds():
    differences = np.array([0.01, 0.03, 0.02, 0.05, 0.04])
    value, low, high, p = corrected_mean(differences, 1 / 4)
    # s² = 0.00025, times 1/5 + 1/4: the error is sqrt(0.0001125) = 0.010607; t of 4 degrees of freedom is 2.7764.
    assert value == pytest.approx(0.03)
    assert (low, high) == pytest.approx((0.03 - 0.029449, 0.03 + 0.029449), abs=1e-6)
    assert p == pytest.approx(2 * stats.t.sf(0.03 / math.sqrt(0.0001125), 4))


def test_without_overlap_it_is_the_t_test_of_one_sample():
    differences = np.array([0.2, -0.1, 0.4, 0.3])
    value, low, high, p = corrected_mean(differences, 0.0)
    expected = stats.ttest_1samp(differences, 0)
    assert p == pytest.approx(expected.pvalue)
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert value == pytest.approx(0.2)


def test_p_is_below_5_percent_exactly_where_the_interval_leaves_zero():
    for shift in np.linspace(-0.1, 0.1, 41):
        _, low, high, p = corrected_mean(np.array([0.01, -0.02, 0.015, 0.0]) + shift, 1 / 3)
        assert (p < 0.05) == (low > 0 or high < 0)


def test_one_fold_has_no_interval_and_none_no_value():
    value, *rest = corrected_mean(np.array([0.25]), math.inf)
    assert value == 0.25
    assert all(math.isnan(end) for end in rest)
    assert all(math.isnan(end) for end in corrected_mean(np.array([]), 0.25))


def test_folds_that_do_not_differ():
    assert corrected_mean(np.full(3, 0.1), 0.5) == pytest.approx((0.1, 0.1, 0.1, 0))
    assert corrected_mean(np.zeros(3), 0.5) == (0, 0, 0, 1)


def test_it_covers_what_folds_that_share_half_their_variance_leave_of_it():
    # Differences of 5 folds with correlation 1/5, which Nadeau and Bengio take for a share of 1/4.
    generator = np.random.default_rng(0)
    draws = generator.normal(size=(2000, 1)) * math.sqrt(0.2) + generator.normal(size=(2000, 5)) * math.sqrt(0.8)
    covered = np.mean([low < 0 < high for _, low, high, _ in (corrected_mean(draw, 1 / 4) for draw in draws)])
    assert 0.93 < covered < 0.97
