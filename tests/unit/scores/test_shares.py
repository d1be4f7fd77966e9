"""Intervals of shares: their known values, and what groups and classes do to them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from manihot.scores import shares as module
from manihot.scores.shares import shares

few = settings(max_examples=60, deadline=None, derandomize=True)


def one(hits, groups=None):
    """The share of hits in one stratum."""
    hits = np.asarray(hits, bool)
    return shares(hits, np.arange(len(hits)) if groups is None else np.asarray(groups), np.zeros(len(hits), int), 1)


@pytest.mark.parametrize(("right", "n"), [(0, 15), (15, 15), (7, 20), (199, 200), (640, 1000)])
def test_without_groups_it_is_wilson_s_with_a_t_quantile(right, n, monkeypatch):
    found = one([1] * right + [0] * (n - right)).intervals()[:, 0]
    z = stats.t.ppf(0.975, n - 1)
    p = right / n
    centre, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    wanted = np.array([centre - half, centre + half]) / (1 + z**2 / n)
    assert found == pytest.approx(wanted, abs=1e-12)
    monkeypatch.setattr(module.special, "stdtrit", lambda freedom, level: stats.norm.ppf(level) + 0 * freedom)
    normal = stats.binomtest(right, n).proportion_ci(method="wilson")
    assert one([1] * right + [0] * (n - right)).intervals()[:, 0] == pytest.approx(normal, abs=1e-12)


def test_nothing_right_is_not_nothing():
    low, high = one([0] * 15).intervals()[:, 0]
    assert low == 0 and 0.2 < high < 0.3
    low, high = one([1] * 15).intervals()[:, 0]
    assert high == 1 and 0.7 < low < 0.8


def test_groups_that_are_all_alike_count_once_each():
    hits, groups = np.repeat([1, 0, 1, 1, 0, 1, 0, 1] * 10, 4), np.repeat(np.arange(80), 4)
    found, wanted = one(hits, groups), one(hits[::4])
    assert found.design_effect[0] == pytest.approx(4, rel=0.02) and found.groups[0] == 80
    assert found.intervals() == pytest.approx(wanted.intervals(), abs=0.01)


def test_groups_that_say_nothing_cost_little():
    generator = np.random.default_rng(0)
    found = one(generator.random(3000) < 0.7, np.repeat(np.arange(1000), 3))
    assert found.design_effect[0] < 1.1


def test_a_single_group_says_nothing():
    assert one([1, 1, 0, 1], [5, 5, 5, 5]).intervals()[:, 0].tolist() == [0, 1]
    assert one([1, 1, 0, 1], [5, 5, 5, 5]).mean() == (0.75, 0, 1)


@few
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=60),
    st.randoms(use_true_random=False),
)
def test_what_holds_for_all_shares(photos, random):
    hits, groups, strata = (np.array(column) for column in zip(*photos, strict=True))
    found = shares(hits, groups, strata, 5)
    low, high = found.intervals()
    for stratum in range(5):
        inside = strata == stratum
        if not inside.any():
            assert np.isnan([found.value[stratum], low[stratum], high[stratum]]).all()
            continue
        sizes = np.bincount(groups[inside])
        assert found.value[stratum] == pytest.approx(hits[inside].mean())
        assert 0 <= low[stratum] <= found.value[stratum] <= high[stratum] <= 1
        assert 1 - 1e-9 <= found.design_effect[stratum] <= (sizes**2).sum() / sizes.sum() + 1e-9
        # The interval of misses is that of hits from the other side.
    other = shares(~hits.astype(bool), groups, strata, 5)
    assert np.nan_to_num(other.intervals()[::-1]) == pytest.approx(np.nan_to_num(1 - found.intervals()), abs=1e-9)
    value, below, above = found.mean()
    assert value == pytest.approx(np.nanmean(found.value)) and 0 <= below <= value <= above <= 1
    order = list(range(len(hits)))
    random.shuffle(order)
    renamed = shares(hits[order], 7 * groups[order] + 3, strata[order], 5)
    assert np.nan_to_num(renamed.intervals()) == pytest.approx(np.nan_to_num(found.intervals()), abs=1e-9)
    assert renamed.mean() == pytest.approx(found.mean(), abs=1e-9)


def test_the_mean_of_certain_shares_still_has_an_interval():
    # A model that always says the first of five classes: its recalls are 1, 0, 0, 0, 0.
    strata = np.repeat(np.arange(5), 15)
    found = shares(strata == 0, np.arange(75), strata, 5)
    value, low, high = found.mean()
    assert value == pytest.approx(0.2) and 0.13 < low < 0.17 and 0.25 < high < 0.32
    assert found.mean(np.array([1.0, 0, 0, 0, 0]))[0] == 1 and found.mean(np.array([0, 1.0, 1, 0, 0]))[0] == 0
    assert np.isnan(found.mean(np.zeros(5))).all()


def test_weights_of_strata_are_those_of_the_mean_and_of_its_interval():
    strata = np.repeat(np.arange(2), 50)
    found = shares(np.arange(100) % 50 < 40 - 20 * strata, np.arange(100), strata, 2)
    assert found.value.tolist() == [0.8, 0.4]
    assert found.mean(np.array([3.0, 1.0]))[0] == pytest.approx(0.7)
    alone, one = found.mean(np.array([1.0, 0.0])), found.intervals()[:, 0]
    assert alone[1:] == pytest.approx(one)
    assert found.mean(np.array([2.0, 2.0])) == pytest.approx(found.mean())


def test_groups_over_several_classes_widen_the_mean():
    generator = np.random.default_rng(0)
    plots = np.repeat(np.arange(20), 10)
    right = generator.random(20)[plots] < 0.5
    classes = np.tile(np.arange(5), 40)
    together = shares(right, plots, classes, 5)
    apart = shares(right, plots + 20 * classes, classes, 5)
    assert apart.joint == 1 and together.joint > 1.8
    assert np.ptp(together.mean()[1:]) > 1.7 * np.ptp(apart.mean()[1:])
