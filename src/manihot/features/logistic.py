"""Multinomial logistic regression on features, its L2 penalty chosen within the photos that it is fitted on.

scikit-learn's solver (L-BFGS) on standardised features; weight and bias are returned for the features as they are.
One thread: how a sum is dealt out to threads would change its last bit, and with it the bytes of a fit.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from manihot.features.inner import telling

log = logging.getLogger(__name__)
HISTORY = ["C", "inner_loss", "inner_accuracy", "iterations"]
# Values of C, the inverse of the penalty, that are tried: from the strongest penalty on, half a decade apart.
GRID = tuple(float(f"{10 ** (half / 2):.3g}") for half in range(-12, 5))
# The search ends after so many values in a row whose loss is above the best one's by this share of it. Under strong
# penalties losses differ by chance alone, and by less.
PATIENCE, WORSE = 2, 0.01
INNER_FOLDS = 3
# Of the gradient: the search takes the coarser one, which changes a loss in the fourth digit.
COARSE, FINE = 1e-3, 1e-4
MOST_ITERATIONS = 1000
# The share of a feature's mean below which its deviation is that of float32's roundings, a few ulps.
ROUNDING = 1e-6
# The logit of a class that has no photo, below the lowest bias of the others: its probability is about nothing.
ABSENT = -30.0


@dataclass(frozen=True)
class Recipe:
    """How a head is fitted: on every photo in each of `views`, which together count as one photo.

    `class_weights` `balanced` makes every class count as much as any other. Where `known` says a C, nothing is tuned.
    """

    views: Sequence[str]
    class_weights: Literal["none", "balanced"]
    seed: int
    known: float | None = None


@dataclass(frozen=True)
class Rows:
    """Photos to fit on: features [n, D] of each view that is fitted on, and of the one that answers are given for.

    `target` has the class indices int64 [n], `weight` what each photo counts, float64 [n].
    """

    views: Sequence[NDArray[np.float32]]
    answered: NDArray[np.float32]
    target: NDArray[np.int64]
    weight: NDArray[np.float64]

    def only(self, chosen: NDArray[np.bool_]) -> "Rows":
        """The photos for which `chosen` [n] is true."""
        views = [rows[chosen] for rows in self.views]
        return Rows(views, self.answered[chosen], self.target[chosen], self.weight[chosen])


@dataclass(frozen=True)
class Layer:
    """A fitted layer: float32 `weight` [K, D] and `bias` [K]; a row of HISTORY a tried C; what was `tuned`."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    history: list[list[float]]
    tuned: dict[str, Any]


def fit(rows: Rows, inner: NDArray[np.intp], classes: int) -> Layer:
    """Choose C by the log loss on `inner` folds (int64 [n]) of the photos that tell, and fit with it on all of them.

    The inner folds' models go along the grid together, each value starting where the one before ended.
    """
    with threadpool_limits(1):
        asked = [(out, telling(rows.target, out)) for number in np.unique(inner) for out in [inner == number]]
        searches = [_Search(rows.only(~out), rows.only(some)) for out, some in asked if some.any()]
        history: list[list[float]] = []
        for tried in GRID:
            sums = np.sum([search.measure(tried) for search in searches], axis=0)
            history.append([tried, sums[0] / sums[1], sums[2] / sums[3], sums[4]])
            losses = [row[1] for row in history]
            best = int(np.argmin(losses))
            if min(losses[best:][-PATIENCE:]) > (1 + WORSE) * losses[best]:
                break
        chosen = history[best][0]
        if chosen in (GRID[0], GRID[-1]):
            log.warning("the best C, %g, is at the end of what is tried: %g to %g", chosen, GRID[0], GRID[-1])
    made = fit_at(rows, chosen, classes)
    facts = {
        "C": chosen, "tried": [row[0] for row in history], "inner_folds": len(searches),
        "inner_log_loss": round(losses[best], 6), "iterations": made.tuned["iterations"],
    }  # fmt: skip
    return replace(made, history=history, tuned=facts)


def fit_at(rows: Rows, penalty: float, classes: int) -> Layer:
    """Fit with a known C on all photos; the layer has no history."""
    with threadpool_limits(1):
        standard = _Standard(rows)
        model = _regression(penalty, FINE).fit(*standard.stacked(rows))
    facts = {"C": penalty, "iterations": int(model.n_iter_[0])}
    return Layer(*standard.unfolded(model, classes), [], facts)


class _Standard:
    """Features less the mean and over the deviation of the photos that a model is fitted on, all views together."""

    def __init__(self, rows: Rows):
        count = len(rows.views) * len(rows.target)
        self.mean = np.sum([view.sum(axis=0, dtype=np.float64) for view in rows.views], axis=0) / count
        squares = np.sum([((view - self.mean) ** 2).sum(axis=0) for view in rows.views], axis=0)
        self.deviation = np.sqrt(squares / count)
        # A feature that differs by a rounding says nothing: made as large as others, it would drown them in any photo
        # whose rounding is another one.
        self.deviation[self.deviation <= ROUNDING * np.abs(self.mean)] = 1.0

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        return ((features - self.mean) / self.deviation).astype(np.float32)

    def stacked(self, rows: Rows) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float64]]:
        """Features, class indices and weights of every view of the photos; the views of a photo share its weight."""
        count = len(rows.views)
        shown = np.concatenate([self(view) for view in rows.views])
        return shown, np.tile(rows.target, count), np.tile(rows.weight / count, count)

    def unfolded(self, model: LogisticRegression, classes: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weight [K, D] and bias [K] for features as they are, of a model of standardised ones."""
        fitted, intercept = model.coef_.astype(np.float64), model.intercept_.astype(np.float64)
        if len(model.classes_) == 2:  # of two classes scikit-learn fits the difference of their logits
            fitted, intercept = (np.concatenate([-half / 2, half / 2]) for half in (fitted, intercept))
        weight = np.zeros((classes, fitted.shape[1]))
        weight[model.classes_] = fitted / self.deviation
        bias = np.full(classes, intercept.min() + ABSENT)
        bias[model.classes_] = intercept
        return weight.astype(np.float32), (bias - weight @ self.mean).astype(np.float32)


class _Search:
    """The models of one inner fold: each C starts where the one before ended.

    `held` are photos of classes that `known` has.
    """

    def __init__(self, known: Rows, held: Rows):
        standard = _Standard(known)
        self.fitted_on = standard.stacked(known)
        self.held = held
        self.shown = standard(held.answered)
        self.model = _regression(GRID[0], COARSE)

    def measure(self, tried: float) -> NDArray[np.float64]:
        """Sums over the held out photos: their weighted loss, weights, right answers, photos; and iterations."""
        self.model.set_params(C=tried).fit(*self.fitted_on)
        target, weight = self.held.target, self.held.weight
        probabilities = self.model.predict_proba(self.shown)
        said = probabilities[np.arange(len(target)), np.searchsorted(self.model.classes_, target)]
        loss = -np.log(np.maximum(said.astype(np.float64), np.finfo(np.float32).tiny))
        right = self.model.classes_[probabilities.argmax(axis=1)] == target
        return np.array([weight @ loss, weight.sum(), right.sum(), len(target), self.model.n_iter_[0]])


def _regression(penalty: float, tolerance: float) -> LogisticRegression:
    return LogisticRegression(C=penalty, tol=tolerance, max_iter=MOST_ITERATIONS, warm_start=True)
