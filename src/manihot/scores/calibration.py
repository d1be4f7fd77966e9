"""Whether a model is right as often as it says: expected calibration error, and what chance alone would make of it.

A small test has an error also where calibration is perfect: ten bins of seven photos each are never right on the very
share that they say. So the error stands beside the one that perfect calibration would have on the same photos.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 10
# Drawn outcomes of a perfectly calibrated model.
DRAWS = 1000


def calibration(
    confidence: NDArray[np.float64],
    right: NDArray[np.bool_],
    weight: NDArray[np.float64] | None = None,
    *,
    seed: int,
) -> dict[str, Any]:
    """The calibration of answers that were given `confidence` [n] and were `right` [n] or not.

    Photos count by `weight` [n], 1 on average; without it all count alike.

    Returns `ece` (Guo et al. 2017, equation 3), `perfect` (the mean and the 95 % quantile, `high`, of the ece that
    perfect calibration would have on photos of these confidences), and `bins`, equally wide in confidence: low,
    high, n, confidence and accuracy (means; None in an empty bin), and band_low and band_high, between which the
    accuracy of a perfectly calibrated model lies 95 times of 100 (Bröcker and Smith 2007, consistency bars).
    """
    edges = np.arange(BINS + 1) / BINS
    place = np.digitize(confidence, edges[1:-1], right=True)
    weight = np.ones(len(right)) if weight is None else weight
    photos = np.bincount(place, minlength=BINS)
    sizes = np.bincount(place, weights=weight, minlength=BINS)
    sure = np.bincount(place, weights=weight * confidence, minlength=BINS)
    generator = np.random.default_rng(seed)
    drawn = np.empty((DRAWS, BINS))
    for row in drawn:
        row[:] = np.bincount(place, weights=weight * (generator.random(len(confidence)) < confidence), minlength=BINS)
    hits = np.bincount(place, weights=weight * right, minlength=BINS)
    errors = np.abs(np.vstack([hits, drawn]) - sure).sum(axis=1) / len(right)
    with np.errstate(invalid="ignore", divide="ignore"):
        band = np.percentile(drawn, [2.5, 97.5], axis=0) / sizes
        means = {"confidence": sure / sizes, "accuracy": hits / sizes, "band_low": band[0], "band_high": band[1]}
    bins: list[dict[str, Any]] = []
    for index, size in enumerate(photos):
        entry = {"low": float(edges[index]), "high": float(edges[index + 1]), "n": int(size)}
        bins.append(entry | {name: float(values[index]) if size else None for name, values in means.items()})
    perfect = {"mean": float(errors[1:].mean()), "high": float(np.percentile(errors[1:], 95))}
    return {"ece": float(errors[0]), "perfect": perfect, "bins": bins}
