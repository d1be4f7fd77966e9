"""Calibration beside what chance makes of perfect calibration."""

import numpy as np
import pytest

from manihot.scores.calibration import calibration


def perfect(n, seed):
    generator = np.random.default_rng(seed)
    confidence = generator.uniform(0.3, 1, n)
    return confidence, generator.random(n) < confidence


def test_a_model_that_is_right_as_often_as_it_says():
    found = calibration(*perfect(20_000, 0), seed=1)
    filled = [entry for entry in found["bins"] if entry["n"]]
    assert len(filled) == 7 and all(entry["low"] < entry["confidence"] <= entry["high"] for entry in filled)
    assert found["ece"] < 0.02 and sum(entry["n"] for entry in found["bins"]) == 20_000
    assert all(entry["accuracy"] is None and entry["band_low"] is None for entry in found["bins"] if not entry["n"])


def test_the_error_is_that_of_guo():
    found = calibration(np.array([0.55] * 30 + [0.95] * 10), np.array([True] * 21 + [False] * 9 + [True] * 10), seed=1)
    assert found["ece"] == pytest.approx((30 * 0.15 + 10 * 0.05) / 40)
    sure = calibration(np.ones(50), np.arange(50) < 30, seed=1)
    assert sure["ece"] == pytest.approx(0.4) and sure["perfect"] == {"mean": 0, "high": 0}


def test_small_tests_have_an_error_by_chance_and_the_record_says_which():
    errors = [calibration(*perfect(75, seed), seed=1) for seed in range(200)]
    own = np.array([found["ece"] for found in errors])
    assert own.mean() == pytest.approx(np.mean([found["perfect"]["mean"] for found in errors]), rel=0.1)
    assert own.mean() > 0.08
    # Of 200 perfectly calibrated models about 10 are beyond the 95 % quantile.
    assert 2 <= sum(found["ece"] > found["perfect"]["high"] for found in errors) <= 20


def test_the_band_holds_a_perfect_model_and_not_a_boasting_one():
    inside = total = 0
    for seed in range(100):
        confidence, right = perfect(150, seed)
        for entry in calibration(confidence, right, seed=1)["bins"]:
            if entry["n"]:
                total += 1
                inside += entry["band_low"] <= entry["accuracy"] <= entry["band_high"]
    assert 0.93 <= inside / total <= 0.99
    confidence, right = perfect(3000, 0)
    boasting = calibration(np.minimum(1, confidence + 0.15), right, seed=1)
    assert boasting["ece"] > boasting["perfect"]["high"]
    assert calibration(confidence, right, seed=1) == calibration(confidence, right, seed=1)
