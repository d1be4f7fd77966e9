"""What more photos may give: a power law through a head's scores on fewer photos, continued, with an interval.

The errors of a model follow error = a + b n^-c of the n photos that it is fitted on, in many fields (Hestness et al.
2017, Deep learning scaling is predictable, empirically, arXiv:1712.00409). Not always, and what lies beyond the points
is a guess: Viering and Loog (2021), The shape of learning curves, arXiv:2103.10948.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from manihot.core.tables import KEYS
from manihot.scores import intervals
from manihot.scores.outcomes import Classes, Outcomes, estimate, metrics, outcomes

Floats: TypeAlias = NDArray[np.float64]
# Which answers each metric is of: models are chosen by the first.
METRICS = {"balanced_accuracy": "calibrated", "accuracy": "raw"}
# The exponents that are tried. Below the first a curve is hardly to be told from one that falls with log n; errors that
# fall faster than 1/n are none of a model on noisy labels.
EXPONENTS = np.linspace(0.05, 1.0, 39)
# How many times as many photos the law is asked for.
TIMES = (2, 4)
# Fewer fits (sizes times folds) or sizes have no law.
LEAST_FITS, LEAST_SIZES = 5, 4
# A gain that reads as 0.0 points is none.
NOTHING = 0.0005
# Where the law is drawn, from the smallest part on.
DRAWN = 25


@dataclass(frozen=True)
class Law:
    """error = a + b x^-c of x, the photos over those of the largest part; a, b and c float64 [fits].

    Neither a nor c is below 0. b is where errors rise with the photos, as they do by chance: without such laws the
    interval of a gain could not hold 0.
    """

    a: Floats
    b: Floats
    c: Floats

    def errors(self, x: Floats) -> Floats:
        """The errors [fits, len(x)] at x [x]."""
        return self.a[:, None] + self.b[:, None] * x ** -self.c[:, None]


def fit_law(x: Floats, errors: Floats) -> Law:
    """The laws with the least squared errors through errors [fits, sizes] at x [sizes], 0 <= a.

    For each of EXPONENTS the best a and b are known in closed form; the best exponent is taken.
    """
    best = np.full(len(errors), np.inf)
    found = np.zeros((3, len(errors)))
    for exponent in EXPONENTS:
        risen = x**-exponent
        centred = risen - risen.mean()
        b = errors @ centred / (centred @ centred)
        a = errors.mean(axis=1) - b * risen.mean()
        below = a < 0
        a, b = np.where(below, 0, a), np.where(below, errors @ risen / (risen @ risen), b)
        squares = np.square(errors - a[:, None] - b[:, None] * risen).sum(axis=1)
        # A flat curve fits every exponent alike: rounding does not choose.
        better = squares < best - 1e-15
        best[better] = squares[better]
        found[:, better] = np.stack([a, b, np.full_like(a, exponent)])[:, better]
    return Law(*found)


def weigh(
    tables: Mapping[str, pd.DataFrame],
    catalogs: pd.DataFrame,
    classes: Classes,
    *,
    margin: float,
    seed: int,
    resamples: int,
) -> dict[str, Any]:
    """The scores of a head on more and more photos, and what the law through them says of more than there are.

    Args:
        tables: the predictions of `predictions.fewer_photos.out_of_fold`, by kind of answers.
        catalogs: the groups of all photos.
        classes: those of the split.
        margin: the points of a score below which a gain does not matter.
        seed: of the resamples.
        resamples: of each curve.

    Returns:
        folds, n (photos out of fold), groups; points: for each share its photos (trained on, the mean over folds)
        and METRICS with 95 % intervals; laws: of each metric what `extrapolate` says, none where there are too few
        fits; margin.

    Raises:
        StudyError: see `outcomes.outcomes`.
    """
    first = tables["calibrated"]
    shares = sorted(first["share"].unique())
    trained = first.drop_duplicates(["share", "fold"]).groupby("share")["photos"].mean()[shares].to_numpy(np.float64)
    folds = sorted(int(fold) for fold in first["fold"].unique())
    points: list[dict[str, Any]] = [
        {"share": float(share), "photos": float(count)} for share, count in zip(shares, trained, strict=True)
    ]
    laws: dict[str, Any] = {}
    enough = len(set(trained)) >= LEAST_SIZES and len(shares) * len(folds) >= LEAST_FITS
    for metric, kind in METRICS.items():
        by_share = dict(iter(tables[kind].sort_values(["share", *KEYS]).groupby("share")))
        scored = [outcomes(by_share[share], catalogs, classes) for share in shares]
        values, drawn = resampled(metric, scored, by_share[shares[0]]["fold"].to_numpy(int), seed, resamples)
        for point, value, low, high in zip(points, values, *intervals.percentile_interval(drawn), strict=True):
            point[metric] = estimate(value, max(low, 0.0), min(high, 1.0))
        if enough:
            laws[metric] = extrapolate(trained, values, drawn, margin)
    groups = int(scored[0].groups.max()) + 1
    return {
        "folds": folds, "n": len(scored[0].true), "groups": groups, "points": points, "laws": laws, "margin": margin
    }  # fmt: skip


def resampled(
    metric: str, scored: list[Outcomes], fold: NDArray[np.int_], seed: int, resamples: int
) -> tuple[Floats, Floats]:
    """A metric of the same photos at each size, [sizes], and curves that could have come out, [resamples, sizes].

    Two variances are added. That of the photos: groups are drawn with replacement within classes, the same ones for
    all sizes. And that of the folds, whose fits and parts are others: a multiple of each fold's own curve less their
    mean, drawn from a normal distribution with the variance 1/k + 1/(k - 1) times that among k folds (Nadeau and
    Bengio 2003, as in `resampled.corrected_mean`). One fold has only the first.
    """
    sums = [each.sums() for each in scored]
    together = sparse.hstack(sums, format="csr")
    totals = intervals.bootstrap(together, seed=seed, resamples=resamples, strata=scored[0].strata())
    drawn = np.stack([metrics(part)[metric] for part in np.split(totals, len(scored), axis=1)], axis=1)
    values = np.array([metrics(np.asarray(each.sum(axis=0)))[metric] for each in sums])
    numbers = np.unique(fold)
    k = len(numbers)
    if k > 1:
        own = np.array([[_of(metric, each.only(fold == number)) for each in scored] for number in numbers])
        times = np.random.default_rng([seed, k]).normal(size=(resamples, k)) * np.sqrt((1 / k + 1 / (k - 1)) / (k - 1))
        drawn = drawn + times @ (own - own.mean(axis=0))
    return values, drawn


def _of(metric: str, scored: Outcomes) -> float:
    return float(metrics(np.asarray(scored.sums().sum(axis=0)))[metric])


def extrapolate(photos: Floats, values: Floats, drawn: Floats, margin: float) -> dict[str, Any]:
    """What the law through scores [sizes] at so many photos says of more, with the intervals of `drawn` curves.

    Returns a, b and c of error = a + b (n / most)^-c; curve: photos, value, low and high along the law; more: for each
    of TIMES times, photos, the score (value, low, high) and its gain over the law at the largest size (value, low,
    high); and the verdict:

    - `little`: four times as many photos change the score by less than `margin` points, by both ends of the interval;
    - `gain`: the intervals of all TIMES leave out a gain of 0.0 points;
    - `cannot tell`: all else.
    """
    x = photos / photos[-1]
    law, laws = fit_law(x, 1 - values[None]), fit_law(x, 1 - drawn[np.isfinite(drawn).all(axis=1)])
    along = np.geomspace(x[0], TIMES[-1], DRAWN)
    ends = np.clip(intervals.percentile_interval(1 - laws.errors(along)), 0, 1)
    curve = [
        {"photos": float(at * photos[-1]), "value": float(value), "low": float(low), "high": float(high)}
        for at, value, low, high in zip(along, 1 - law.errors(along)[0], *ends, strict=True)
    ]
    asked = np.array([1.0, *TIMES])
    own, others = 1 - law.errors(asked)[0], 1 - laws.errors(asked)
    reached = np.clip(intervals.percentile_interval(others), 0, 1)
    gained = intervals.percentile_interval(others - others[:, :1])
    more = [
        {
            "times": times,
            "photos": float(times * photos[-1]),
            **estimate(own[place], *reached[:, place]),
            "gain": estimate(own[place] - own[0], *gained[:, place]),
        }
        for place, times in enumerate(TIMES, start=1)
    ]
    verdict = "cannot tell"
    if np.abs(gained[:, -1]).max() < margin / 100:
        verdict = "little"
    elif (gained[0, 1:] >= NOTHING).all():
        verdict = "gain"
    found = {name: float(values[0]) for name, values in vars(law).items()}
    return {**found, "curve": curve, "more": more, "verdict": verdict}
