"""Intervals of shares: accuracy, recall, precision, and balanced accuracy, which is a mean of shares.

A percentile bootstrap of a share near 0 or 1 is far too narrow: 0 right of 15 would be 0 to 0. These are Wilson's
(1927), with two changes for photos that come in groups. In place of n stands the effective n of Kish (1965): n over
the design effect, how much larger the variance is than that of independent photos. In place of the normal quantile
stands that of t with one degree of freedom less than there are groups, as in Korn and Graubard (1998). What coverage
this has is measured in docs/statistics.md.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[Any]

# Quantiles are taken from scipy.special: to import scipy.stats takes half a second of every job.
LEVEL = 0.975
# The design effect that is measured on few groups is itself uncertain: it is averaged with the largest that groups of
# such sizes can have, which counts as much as so many groups.
PRIOR_GROUPS = 1.0


@dataclass(frozen=True)
class Shares:
    """The share of hits in each of S strata, such as the recall of each class.

    Arrays have a value a stratum [S]: `value` (NaN without photos), `photos`, `groups`, `design_effect`. `joint` is how
    much larger the standard error of `mean` is than if strata had no group in common.
    """

    value: Array
    photos: Array
    groups: Array
    design_effect: Array
    joint: float

    def intervals(self) -> Array:
        """The 95 % interval (low, high) of each share, [2, S]; 0 to 1 for a single group, NaN without photos."""
        with np.errstate(invalid="ignore"):
            low, high = self._wilson(special.stdtrit(self.groups - 1.0, LEVEL))
        alone = self.groups == 1
        return np.stack([np.where(alone, 0.0, low), np.where(alone, 1.0, high)])

    def mean(self, weights: Array | None = None) -> tuple[float, float, float]:
        """The mean share over the strata that have photos, and its 95 % interval: (value, low, high).

        `weights` [S] say how much each stratum counts; without them all count alike. Those of strata without photos are
        left out, and the others scaled up to a sum of 1. NaN where none has photos.

        The distances to the ends of the shares' own intervals are added in squares (MOVER: Zou and Donner 2008), with
        the degrees of freedom of all strata together.
        """
        weight = np.where(self.photos > 0, 1.0 if weights is None else weights, 0.0)
        there = weight > 0
        if not there.any():
            return np.nan, np.nan, np.nan
        weight = weight[there] / weight.sum()
        value = float(weight @ self.value[there])
        freedom = (self.groups[there] - 1).sum()
        if freedom == 0:
            return value, 0.0, 1.0
        low, high = self._wilson(special.stdtrit(float(freedom), LEVEL))
        below, above = (self.joint * np.linalg.norm(weight * (end - self.value)[there]) for end in (low, high))
        return value, max(0.0, value - float(below)), min(1.0, value + float(above))

    def _wilson(self, quantile: Array | float) -> tuple[Array, Array]:
        with np.errstate(invalid="ignore", divide="ignore"):
            n = self.photos / self.design_effect
            square = np.square(quantile) / n
            centre = (self.value + square / 2) / (1 + square)
            half = np.sqrt(square * self.value * (1 - self.value) + square**2 / 4) / (1 + square)
        # At 0 and 1 the ends are exact: rounding must not move them past the value.
        return np.minimum(np.maximum(centre - half, 0.0), self.value), np.maximum(
            np.minimum(centre + half, 1.0), self.value
        )


def shares(hits: Array, groups: Array, strata: Array, count: int) -> Shares:
    """The share of `hits` (bool [n]) in each of `count` strata.

    `groups` int [n] numbers the groups, whose photos are not independent; `strata` int [n] says of which stratum a
    photo is.

    The design effect is that of the ratio estimator's variance over groups (Cochran 1977, section 11.12), not less than
    1 and not more than the sum of squared group sizes over their sum, which photos that are all alike within their
    groups have. The more groups hold a hit and a miss between them, the more the measured one counts.
    """
    n = len(hits)
    parts, part = np.unique(np.stack([strata, groups]), axis=1, return_inverse=True)
    stratum = parts[0].astype(np.intp)
    size = np.bincount(part, minlength=parts.shape[1]).astype(np.float64)
    right = np.bincount(part, weights=hits.astype(np.float64), minlength=parts.shape[1])

    def over(values: Array) -> Array:
        """Sums a stratum."""
        return np.bincount(stratum, weights=values, minlength=count)

    photos, number = over(size), over(np.ones_like(size))
    with np.errstate(invalid="ignore", divide="ignore"):
        value = over(right) / photos
        residual = right - value[stratum] * size
        variance = number / (number - 1) * over(residual**2) / photos**2
        simple = value * (1 - value) / photos
        largest = over(size**2) / photos
        measured = np.where((simple > 0) & (number > 1), np.clip(variance / simple, 1, largest), largest)
        told = np.minimum(over(right > 0), over(right < size))
        effect = (told * measured + PRIOR_GROUPS * largest) / (told + PRIOR_GROUPS)
        # Groups that are in several strata, as plots are in several classes, make these shares dependent.
        each = residual / photos[stratum]
    joint = np.square(np.bincount(np.unique(parts[1], return_inverse=True)[1], weights=each)).sum() if n else 0.0
    apart = np.square(each).sum()
    return Shares(value, photos, number, effect, float(np.sqrt(max(1.0, joint / apart))) if apart > 0 else 1.0)
