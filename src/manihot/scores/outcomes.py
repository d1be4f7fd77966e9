"""What a model made of photos, and what is counted of it: each metric with its interval.

Log loss is the mean of -log(p of the true class), with p no smaller than float64's epsilon, 2.2e-16, which is
scikit-learn's clipping: a model that gives the true class nothing pays 36 for the photo, not infinity.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from manihot.core.errors import StudyError
from manihot.core.tables import probabilities
from manihot.scores import intervals
from manihot.scores.shares import Shares, shares

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "brier")
Classes: TypeAlias = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Outcomes:
    """What a model made of n photos; classes are numbered 0..classes-1.

    `weight` says how much each photo counts where answers are for other class shares than those of the photos; it is 1
    on average.
    """

    true: NDArray[np.intp]
    predicted: NDArray[np.intp]
    loss: NDArray[np.float64]
    brier: NDArray[np.float64]
    confidence: NDArray[np.float64]
    groups: NDArray[np.intp]
    classes: int
    weight: NDArray[np.float64] | None = None

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which photos are answered with their class, bool [n]."""
        return self.true == self.predicted

    def recalls(self) -> Shares:
        """The share of each class that is answered with it."""
        return shares(self.right, self.groups, self.true, self.classes)

    def for_shares(self, target: Sequence[float]) -> "Outcomes":
        """The same outcomes, photos weighted by `weights` so that classes count as if they had the shares `target`."""
        return replace(self, weight=weights(self.true, target))

    def only(self, chosen: NDArray[np.bool_]) -> "Outcomes":
        """The outcomes of some of the photos, chosen by a bool [n]."""
        return Outcomes(
            true=self.true[chosen],
            predicted=self.predicted[chosen],
            loss=self.loss[chosen],
            brier=self.brier[chosen],
            confidence=self.confidence[chosen],
            groups=np.unique(self.groups[chosen], return_inverse=True)[1],
            classes=self.classes,
            weight=None if self.weight is None else self.weight[chosen],
        )

    def always(self, answer: int) -> "Outcomes":
        """The same photos with one answer to all of them; its log loss and Brier score are not defined."""
        nothing = np.full(len(self.true), np.nan)
        return replace(self, predicted=np.full_like(self.true, answer), loss=nothing, brier=nothing)

    def strata(self) -> NDArray[np.intp]:
        """The stratum of each group, int [groups]: the class of its photos, or `classes` where it has several."""
        lowest = np.full(self.groups.max() + 1, self.classes)
        highest = np.full(self.groups.max() + 1, -1)
        np.minimum.at(lowest, self.groups, self.true)
        np.maximum.at(highest, self.groups, self.true)
        return np.where(lowest == highest, lowest, self.classes)

    def sums(self) -> sparse.csr_array:
        """What `metrics` needs, summed a group, [groups, 3 * classes + 2].

        For each class the photos rightly given to it, those it has and those given to it; then log loss and Brier.
        Photos count by their weight.
        """
        n, k = len(self.true), self.classes
        weight = np.ones(n) if self.weight is None else self.weight
        values = np.concatenate([self.right, np.ones(2 * n), self.loss, self.brier]) * np.tile(weight, 5)
        last = np.repeat([3 * k, 3 * k + 1], n)
        columns = np.concatenate([self.true, k + self.true, 2 * k + self.predicted, last])
        each = sparse.csr_array((values, (np.tile(np.arange(n), 5), columns)), shape=(n, 3 * k + 2))
        return intervals.group_sums(each, self.groups)


def outcomes(predictions: pd.DataFrame, catalogs: pd.DataFrame, classes: Classes) -> Outcomes:
    """The outcomes of a table of predictions (dataset, image_id, label, p0..pK in the order of `classes`).

    The last classes may have no column: a model that never heard of them gives them nothing.

    Raises:
        StudyError: a label is not among the classes, a photo is in no catalog, a probability is not a number.
    """
    labels = [entry["label"] for entry in classes]
    given = probabilities(predictions, len(labels))
    true = pd.Index(labels).get_indexer(pd.Index(predictions["label"]))
    diverged = ~np.isfinite(given).all(axis=1)
    for wrong, what in (
        (true < 0, "has a label that is not a class of its split: run the split again"),
        (diverged, "has a prediction that is not a number: the training diverged; lower learning_rate"),
    ):
        if wrong.any():
            raise StudyError(f"photo {predictions['image_id'].to_numpy()[wrong][0]} {what}")
    loss = -np.log(np.clip(given[np.arange(len(true)), true], np.finfo(np.float64).eps, 1))
    groups = intervals.group_codes(predictions, catalogs)
    # Brier (1950): the sum over classes of squared differences to 0 and 1; 0 to 2.
    brier = np.square(given).sum(axis=1) - 2 * given[np.arange(len(true)), true] + 1
    return Outcomes(true, given.argmax(axis=1), loss, brier, given.max(axis=1), groups, len(labels))


def weights(true: NDArray[np.intp], target: Sequence[float]) -> NDArray[np.float64]:
    """How much each photo counts where classes are to have the shares `target`, float64 [n], 1 on average.

    `true` int [n] has the classes. Those without a photo are left out, the others keep their proportions.
    """
    counts = np.bincount(true, minlength=len(target))
    there = np.where(counts > 0, np.asarray(target, dtype=np.float64), 0.0)
    each: NDArray[np.float64] = (there / there.sum() * len(true) / np.maximum(counts, 1))[true]
    return each


def metrics(sums: NDArray[np.float64], among: Sequence[int] | None = None) -> dict[str, NDArray[np.float64]]:
    """METRICS and `recall` (last axis: classes) from totals [..., 3 * classes + 2] of `Outcomes.sums`.

    As in scikit-learn, balanced accuracy is the mean recall of the classes that have photos, and macro F1 the
    mean over the classes that have photos or are predicted; `among` restricts both to some classes.
    """
    right, have, given = np.moveaxis(sums[..., :-2].reshape(*sums.shape[:-1], 3, -1), -2, 0)
    photos = have.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = right / have
        f1 = 2 * right / (have + given)
    chosen = slice(None) if among is None else list(among)
    return {
        "accuracy": right.sum(axis=-1) / photos,
        "balanced_accuracy": np.nanmean(recall[..., chosen], axis=-1),
        "macro_f1": np.nanmean(f1[..., chosen], axis=-1),
        "log_loss": sums[..., -2] / photos,
        "brier": sums[..., -1] / photos,
        "recall": recall,
    }


def measure(
    *several: Outcomes, seed: int, resamples: int, among: Sequence[int] | None = None
) -> list[dict[str, dict[str, float | None]]]:
    """{metric: {value, low, high}} of each of `several` outcomes, which are of the same photos.

    A number is None where nothing is defined. `among` restricts means over classes.

    Accuracy and balanced accuracy have the intervals of `shares.py`; where all classes have as many photos the two are
    one number, and have one interval. Where photos are weighted, accuracy is the weighted mean of the recalls. The
    others have percentile intervals of a bootstrap that resamples groups within classes.
    """
    sums = [scored.sums() for scored in several]
    together = sparse.hstack(sums, format="csr")
    drawn = intervals.bootstrap(together, seed=seed, resamples=resamples, strata=several[0].strata())
    totals = np.split(drawn, len(several), axis=1)
    return [_measured(*each, among) for each in zip(several, sums, totals, strict=True)]


def _measured(
    scored: Outcomes, sums: sparse.csr_array, totals: NDArray[np.float64], among: Sequence[int] | None
) -> dict[str, dict[str, float | None]]:
    value, drawn = metrics(sums.sum(axis=0), among), metrics(totals, among)
    ends = {name: intervals.percentile_interval(drawn[name]) for name in METRICS[2:]} | share_intervals(scored, among)
    return {name: estimate(value[name], *ends[name]) for name in METRICS}


def share_intervals(scored: Outcomes, among: Sequence[int] | None = None) -> dict[str, tuple[float, float]]:
    """The 95 % intervals (low, high) of accuracy and balanced accuracy; see `measure`."""
    recalls = scored.recalls()
    weights = None if among is None else np.isin(np.arange(scored.classes), among).astype(np.float64)
    balanced = recalls.mean(weights)[1:]
    if scored.weight is not None:
        counted = np.bincount(scored.true, weights=scored.weight, minlength=scored.classes)
        return {"accuracy": recalls.mean(counted)[1:], "balanced_accuracy": balanced}
    if among is None and len(set(recalls.photos[recalls.photos > 0])) == 1:
        return {"accuracy": balanced, "balanced_accuracy": balanced}
    low, high = shares(scored.right, scored.groups, np.zeros_like(scored.true), 1).intervals()[:, 0]
    return {"accuracy": (low, high), "balanced_accuracy": balanced}


def estimate(value: Any, low: float, high: float) -> dict[str, float | None]:
    """A number and its interval as they stand in a record: None for what is not defined."""
    return {"value": number(value), "low": number(low), "high": number(high)}


def number(value: Any) -> float | None:
    """A number as it stands in a record: None for one that is not defined."""
    return None if value is None or np.isnan(value) else float(value)
