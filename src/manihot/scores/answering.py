"""Answering only the photos that a model is surest of: how many of those are right (selective classification).

El-Yaniv and Wiener, On the Foundations of Noise-free Selective Classification, JMLR 11 (2010); Geifman and El-Yaniv,
Selective Classification for Deep Neural Networks, NeurIPS 2017. The risk is the share of wrong answers among the photos
that are answered, the coverage the share that is answered.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manihot.scores.shares import shares

COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
# Points of the curve that the record keeps.
POINTS = 50


def risks(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The share of wrong answers among the 1, 2, …, n photos of highest confidence, float64 [n].

    Photos of one confidence have no order: the value is the mean over all orders of them.
    """
    _, level, sizes = np.unique(-confidence, return_inverse=True, return_counts=True)
    wrong = np.bincount(level, weights=~right) / sizes
    return np.cumsum(np.repeat(wrong, sizes)) / np.arange(1, len(right) + 1)


def answering(confidence: NDArray[np.float64], right: NDArray[np.bool_], groups: NDArray[np.intp]) -> dict[str, Any]:
    """How right the answers are that a model is surest of, from each photo's confidence, being right and group, [n].

    Returns `area`, under the curve of risk against coverage: the mean of `risks`; `curve`, the share right of the i/50
    most confident photos for i of 1 to 50; and `at`, for each of COVERAGES the confidence `threshold` from which at
    least so many photos are answered, the share that then is `answered` (more where photos have one confidence), n, and
    the share right of these with its 95 % interval (value, low, high; `shares`).
    """
    n = len(right)
    risk = risks(confidence, right)
    falling = -np.sort(-confidence)
    at = []
    for coverage in COVERAGES:
        threshold = falling[_photos(coverage, n) - 1]
        chosen = confidence >= threshold
        found = shares(right[chosen], groups[chosen], np.zeros(int(chosen.sum()), dtype=np.intp), 1)
        (low,), (high,) = found.intervals()
        answered = {"coverage": coverage, "answered": float(chosen.mean()), "n": int(chosen.sum())}
        measured = {"value": float(found.value[0]), "low": float(low), "high": float(high)}
        at.append({**answered, "threshold": float(threshold), **measured})
    curve = [float(1 - risk[_photos(point / POINTS, n) - 1]) for point in range(1, POINTS + 1)]
    return {"area": float(risk.mean()), "curve": curve, "at": at}


def _photos(coverage: float, n: int) -> int:
    """How many of n photos a share is, rounded up."""
    return max(1, math.ceil(coverage * n - 1e-9))
