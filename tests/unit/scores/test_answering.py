"""Answering some of the photos: the area is that of brute force, ties have no order, groups widen."""

import json
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manihot.figures.answering import risk_coverage
from manihot.figures.svg import text_alternative
from manihot.scores.answering import COVERAGES, answering, risks

few = settings(max_examples=40, deadline=None, derandomize=True)
# Confidences with many ties, and whether each photo is right.
photos = st.lists(st.tuples(st.sampled_from([0.3, 0.5, 0.7, 0.9]), st.booleans()), min_size=1, max_size=6)


def brute(confidence, right):
    """The mean over all orders of photos that fall in confidence of the mean error of the first i."""
    areas = []
    for order in permutations(range(len(right))):
        if all(confidence[a] >= confidence[b] for a, b in zip(order, order[1:], strict=False)):
            wrong = [not right[place] for place in order]
            areas.append(np.mean([np.mean(wrong[: i + 1]) for i in range(len(wrong))]))
    return np.mean(areas)


@few
@given(photos)
def test_the_area_is_the_mean_over_all_orders_of_ties(given):
    confidence, right = (np.array(column) for column in zip(*given, strict=True))
    assert risks(confidence, right).mean() == pytest.approx(brute(confidence, right))


@few
@given(photos, st.integers(0, 99))
def test_the_order_of_rows_does_not_matter(given, seed):
    confidence, right = (np.array(column) for column in zip(*given, strict=True))
    groups = np.arange(len(right)) // 2
    order = np.random.default_rng(seed).permutation(len(right))
    first, other = answering(confidence, right, groups), answering(confidence[order], right[order], groups[order])
    assert first["area"] == pytest.approx(other["area"]) and first["curve"] == pytest.approx(other["curve"])
    for one, two in zip(first["at"], other["at"], strict=True):
        assert one == pytest.approx(two)
    json.dumps(first, allow_nan=False)


def test_by_hand():
    # The surest wrong one is the fifth: errors among the first i are 0, 0, 0, 0, 1/5, 1/6, ..., then 2/10.
    confidence = np.linspace(0.95, 0.5, 10)
    right = np.array([True] * 4 + [False] + [True] * 4 + [False])
    measured = answering(confidence, right, np.arange(10))
    assert measured["area"] == pytest.approx((1 / 5 + 1 / 6 + 1 / 7 + 1 / 8 + 1 / 9 + 2 / 10) / 10)
    assert [entry["coverage"] for entry in measured["at"]] == list(COVERAGES)
    by_coverage = {entry["coverage"]: entry for entry in measured["at"]}
    assert by_coverage[1.0]["n"] == by_coverage[0.95]["n"] == 10 and by_coverage[1.0]["value"] == 0.8
    eight = by_coverage[0.8]
    assert (eight["n"], eight["answered"], eight["value"]) == (8, 0.8, 0.875)
    assert eight["threshold"] == pytest.approx(confidence[7]) and eight["low"] < 0.875 < eight["high"]
    assert measured["curve"][-1] == pytest.approx(0.8) and measured["curve"][0] == 1.0 and len(measured["curve"]) == 50


def test_photos_of_one_confidence_are_answered_together():
    confidence = np.repeat([0.9, 0.5], [3, 7])
    measured = answering(confidence, np.ones(10, dtype=bool), np.arange(10))
    assert [entry["n"] for entry in measured["at"]] == [10] * 7
    assert all(entry["threshold"] == 0.5 for entry in measured["at"])


def test_groups_widen_the_interval():
    generator = np.random.default_rng(0)
    right = np.repeat(generator.random(60) < 0.7, 5)
    confidence = generator.random(300)
    alone, together = (answering(confidence, right, groups)["at"] for groups in (np.arange(300), np.arange(300) // 5))
    for one, other in zip(alone, together, strict=True):
        assert one["value"] == other["value"] and other["high"] - other["low"] > 1.2 * (one["high"] - one["low"])


def test_the_chart_says_what_is_right_at_80_percent():
    confidence = np.linspace(0.99, 0.3, 100)
    measured = answering(confidence, np.arange(100) < 75, np.arange(100))
    title, said = text_alternative(risk_coverage(measured, "m"))
    assert title == "Answering some of the photos: m"
    assert said.startswith(
        "At 80 % answered (those it is surest of, of probability 0.44 or more), 94 % are right (86 to 97); at 100 %, 75 % ("
    )
    assert "at 50 %, 100 % (93 to 100)." in said
