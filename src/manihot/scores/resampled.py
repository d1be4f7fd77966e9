"""The mean of differences that were measured once a fold: how sure it is, though the folds' training photos overlap."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special


def corrected_mean(differences: NDArray[np.float64], held_out_share: float) -> tuple[float, float, float, float]:
    """The mean (value) of differences, float64 [k], one a fold, its 95 % interval (low, high) and two-sided p.

    `held_out_share` is the number of held-out photos over that of training photos: 1 / (k - 1) for a whole k-fold.
    Models of different folds share training photos, so their differences are not independent, and s²/k is too small.
    The corrected variance is (1/k + held_out_share) s², with t of k - 1 degrees of freedom: Nadeau and Bengio,
    Inference for the Generalization Error, Machine Learning 52 (2003), section 4.

    low, high and p are NaN for one fold, and all four for none. Folds that do not differ have low = high = value.
    """
    k = len(differences)
    value = float(np.mean(differences)) if k else math.nan
    if k < 2:
        return value, math.nan, math.nan, math.nan
    error = math.sqrt((1 / k + held_out_share) * float(np.var(differences, ddof=1)))
    if error < 1e-10:
        return value, value, value, float(abs(value) < 1e-10)
    half = float(special.stdtrit(k - 1, 0.975)) * error
    return value, value - half, value + half, float(2 * special.stdtr(k - 1, -abs(value) / error))
