"""How good a model's predictions are, with intervals: one table of predictions in, one JSON record out.

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

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.core.tables import locate, probabilities, probability_columns
from manihot.scores import intervals
from manihot.scores.calibration import calibration
from manihot.scores.shares import shares

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "brier")
# The share of the user's groups that must have one label each for groups to be taken for single things.
SINGLE = 0.9
Classes: TypeAlias = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Outcomes:
    """What a model made of n photos; classes are numbered 0..classes-1."""

    true: NDArray[np.intp]
    predicted: NDArray[np.intp]
    loss: NDArray[np.float64]
    brier: NDArray[np.float64]
    confidence: NDArray[np.float64]
    groups: NDArray[np.intp]
    classes: int

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
        """
        n, k = len(self.true), self.classes
        right = self.true == self.predicted
        values = np.concatenate([right, np.ones(2 * n), self.loss, self.brier])
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


def score(
    table: pd.DataFrame,
    catalogs: pd.DataFrame,
    classes: Classes,
    *,
    seed: int,
    resamples: int = 2000,
    new_class: str | None = None,
    majority: str | None = None,
    folds: Sequence[pd.DataFrame] = (),
) -> dict[str, Any]:
    """The scores of one part's predictions: plain content for JSON, `{"n": 0}` where the part has no photo.

    `table` has dataset, image_id, label and p0..pK in the order of `classes` (label, name); `catalogs` the
    group of every photo. Intervals are 95 % ones over groups: see `_with_intervals`. `majority` is the class that the
    baseline always answers, `folds` the tables of the single fold models. `photos` identifies
    the photos scored. `sites` has the scores of each site, and `one_answer` those of one answer a group that the
    user gives, where groups are single things (see `_one_answer`).

    Raises:
        StudyError: see `outcomes`.
    """
    if table.empty:
        return {"n": 0}
    labels = [entry["label"] for entry in classes]
    scored = outcomes(table, catalogs, classes)
    known = locate(table, catalogs, ["given_group", "site"])
    drawn: dict[str, Any] = {"seed": seed, "resamples": resamples}
    measured = _with_intervals(scored, **drawn)
    record: dict[str, Any] = {
        "n": len(table),
        "photos": files.content_key(sorted(zip(table["dataset"], table["image_id"], strict=True))),
        "groups": int(scored.groups.max()) + 1,
        "metrics": measured,
        "baseline": None,
        "per_class": _per_class(scored, classes),
        "confusion": _confusion(scored.true, scored.predicted, len(labels)),
        "calibration": calibration(scored.confidence, scored.true == scored.predicted, seed=seed),
        "sites": _by_site(scored, known["site"], **drawn),
        "one_answer": _one_answer(table, known["given_group"], catalogs, classes, **drawn),
        "old_classes": None,
        "new_class": None,
        "folds": [_fold(fold, catalogs, classes, **drawn) for fold in folds if not fold.empty],
    }
    if majority is not None:
        baseline = _with_intervals(scored.always(labels.index(majority)), **drawn)
        del baseline["log_loss"], baseline["brier"]
        record["baseline"] = {"label": majority, **baseline}
    if new_class is not None:
        new = labels.index(new_class)
        of_new = record["per_class"][new]
        record["new_class"] = of_new | {"low": of_new["recall_low"], "high": of_new["recall_high"]}
        old = scored.only(scored.true != new)
        among = [index for index in range(len(labels)) if index != new]
        metrics_of_old = _with_intervals(old, **drawn, among=among) if len(old.true) else {}
        record["old_classes"] = {"n": len(old.true), **metrics_of_old}
    return record


def majority_class(record: Mapping[str, Any]) -> str:
    """The commonest label of a split's pool; the first of several in the order of the classes."""
    pool = record["counts"]["pool"]
    return max((entry["label"] for entry in record["classes"]), key=lambda label: pool[label])


def _with_intervals(
    scored: Outcomes, *, seed: int, resamples: int, among: Sequence[int] | None = None
) -> dict[str, dict[str, float | None]]:
    """{metric: {value, low, high}}; None where nothing is defined. `among` restricts means over classes.

    Accuracy and balanced accuracy have the intervals of `shares.py`; where all classes have as many photos the two are
    one number, and have one interval. The others have percentile intervals of a bootstrap that resamples groups
    within classes.
    """
    sums = scored.sums()
    value = metrics(sums.sum(axis=0), among)
    drawn = metrics(intervals.bootstrap(sums, seed=seed, resamples=resamples, strata=scored.strata()), among)
    ends = {name: intervals.percentile_interval(drawn[name]) for name in METRICS[2:]}
    right = scored.true == scored.predicted
    recall = shares(right, scored.groups, scored.true, scored.classes)
    ends["balanced_accuracy"] = np.array(recall.mean(among)[1:])
    ends["accuracy"] = shares(right, scored.groups, np.zeros_like(scored.true), 1).intervals()[:, 0]
    if among is None and len(set(recall.photos[recall.photos > 0])) == 1:
        ends["accuracy"] = ends["balanced_accuracy"]
    return {name: _estimate(value[name], *ends[name]) for name in METRICS}


def _estimate(value: Any, low: float, high: float) -> dict[str, float | None]:
    return {"value": _number(value), "low": _number(low), "high": _number(high)}


def _by_site(scored: Outcomes, sites: pd.Series, *, seed: int, resamples: int) -> list[dict[str, Any]]:
    """The scores of each site that the photos name, worst accuracy first: site, n, groups, METRICS."""
    rows = []
    for site in sorted(set(sites) - {""}):
        there = scored.only((sites == site).to_numpy())
        measured = _with_intervals(there, seed=seed, resamples=resamples)
        rows.append({"site": site, "n": len(there.true), "groups": int(there.groups.max()) + 1, **measured})
    return sorted(rows, key=lambda row: row["accuracy"]["value"])


def _one_answer(
    table: pd.DataFrame, groups: pd.Series, catalogs: pd.DataFrame, classes: Classes, *, seed: int, resamples: int
) -> dict[str, Any] | None:
    """The scores of one answer a group: the class of the largest mean of log p over its photos.

    `groups` is the user's group of each photo, empty where there is none. Groups are taken for single things (plants)
    where some have several photos and at least SINGLE of them one label; those with several labels are left
    out. None where groups are something else. Else n and photos (groups and photos scored), left_out (groups),
    METRICS with intervals, and those of the same photos one by one as `each`.
    """
    named = table.assign(group=groups.to_numpy())[groups.to_numpy() != ""]
    keys = [named["dataset"], named["group"]]
    single = named["label"].groupby(keys).transform("nunique") == 1
    things = named[~named.duplicated(["dataset", "group"])]
    if len(things) == len(named) or single[things.index].mean() < SINGLE:
        return None
    same = named[single]
    shares = probabilities(same, len(classes))
    logs = pd.DataFrame(np.log(np.clip(shares, np.finfo(np.float64).eps, 1)), index=same.index)
    means = logs.groupby([same["dataset"], same["group"]], sort=False).mean().to_numpy()
    means = np.exp(means - means.max(axis=1, keepdims=True))
    answers = same.drop_duplicates(["dataset", "group"])[["dataset", "image_id", "label"]].reset_index(drop=True)
    answers[probability_columns(len(classes))] = means / means.sum(axis=1, keepdims=True)
    drawn: dict[str, Any] = {"seed": seed, "resamples": resamples}
    return {
        "n": len(answers),
        "photos": len(same),
        "left_out": len(things) - len(answers),
        **_with_intervals(outcomes(answers, catalogs, classes), **drawn),
        "each": _with_intervals(outcomes(same, catalogs, classes), **drawn),
    }


def _confusion(true: NDArray[np.intp], predicted: NDArray[np.intp], classes: int) -> list[list[int]]:
    """Photos of each true class (rows) and predicted class (columns)."""
    counts: list[list[int]] = (
        np.bincount(true * classes + predicted, minlength=classes**2).reshape(classes, -1).tolist()
    )
    return counts


def _per_class(scored: Outcomes, classes: Classes) -> list[dict[str, Any]]:
    right = scored.true == scored.predicted
    found = {
        name: shares(right, scored.groups, strata, scored.classes)
        for name, strata in (("precision", scored.predicted), ("recall", scored.true))
    }
    ends = {name: share.intervals() for name, share in found.items()}
    return [
        {"label": entry["label"], "name": entry["name"], "n": int(found["recall"].photos[index])}
        | {name: _number(share.value[index]) for name, share in found.items()}
        | {
            f"{name}_{end}": _number(ends[name][side, index])
            for name in found
            for side, end in enumerate(("low", "high"))
        }
        for index, entry in enumerate(classes)
    ]


def _fold(
    table: pd.DataFrame, catalogs: pd.DataFrame, classes: Classes, *, seed: int, resamples: int
) -> dict[str, Any]:
    measured = _with_intervals(outcomes(table, catalogs, classes), seed=seed, resamples=resamples)
    interval = {f"accuracy_{end}": measured["accuracy"][end] for end in ("low", "high")}
    values = {name: measured[name]["value"] for name in METRICS}
    return {"fold": int(table["fold"].iloc[0]), "n": len(table), **values, **interval}


def _number(value: Any) -> float | None:
    return None if value is None or np.isnan(value) else float(value)
