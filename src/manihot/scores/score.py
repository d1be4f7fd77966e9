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

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")
CALIBRATION_BINS = 10
# The share of the user's groups that must have one label each for groups to be taken for single things.
SINGLE = 0.9
Classes: TypeAlias = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Outcomes:
    """What a model made of n photos; classes are numbered 0..classes-1."""

    true: NDArray[np.intp]
    predicted: NDArray[np.intp]
    loss: NDArray[np.float64]
    confidence: NDArray[np.float64]
    groups: NDArray[np.intp]
    classes: int

    def only(self, chosen: NDArray[np.bool_]) -> "Outcomes":
        """The outcomes of some of the photos, chosen by a bool [n]."""
        return Outcomes(
            true=self.true[chosen],
            predicted=self.predicted[chosen],
            loss=self.loss[chosen],
            confidence=self.confidence[chosen],
            groups=np.unique(self.groups[chosen], return_inverse=True)[1],
            classes=self.classes,
        )

    def always(self, answer: int) -> "Outcomes":
        """The same photos with one answer to all of them; its loss is not defined."""
        return replace(self, predicted=np.full_like(self.true, answer), loss=np.full(len(self.true), np.nan))

    def sums(self) -> sparse.csr_array:
        """What `metrics` needs, summed a group, [groups, 3 * classes + 1].

        For each class the photos rightly given to it, those it has and those given to it; then the loss.
        """
        n, k = len(self.true), self.classes
        right = self.true == self.predicted
        values = np.concatenate([right, np.ones(2 * n), self.loss])
        columns = np.concatenate([self.true, k + self.true, 2 * k + self.predicted, np.full(n, 3 * k)])
        each = sparse.csr_array((values, (np.tile(np.arange(n), 4), columns)), shape=(n, 3 * k + 1))
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
    return Outcomes(true, given.argmax(axis=1), loss, given.max(axis=1), groups, len(labels))


def metrics(sums: NDArray[np.float64], among: Sequence[int] | None = None) -> dict[str, NDArray[np.float64]]:
    """METRICS and `recall` (last axis: classes) from totals [..., 3 * classes + 1] of `Outcomes.sums`.

    As in scikit-learn, balanced accuracy is the mean recall of the classes that have photos, and macro F1 the
    mean over the classes that have photos or are predicted; `among` restricts both to some classes.
    """
    right, have, given = np.moveaxis(sums[..., :-1].reshape(*sums.shape[:-1], 3, -1), -2, 0)
    photos = have.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = right / have
        f1 = 2 * right / (have + given)
    chosen = slice(None) if among is None else list(among)
    return {
        "accuracy": right.sum(axis=-1) / photos,
        "balanced_accuracy": np.nanmean(recall[..., chosen], axis=-1),
        "macro_f1": np.nanmean(f1[..., chosen], axis=-1),
        "log_loss": sums[..., -1] / photos,
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
    group of every photo. Intervals are 95 % percentile bootstrap intervals over groups. `majority` is the
    class that the baseline always answers, `folds` the tables of the single fold models. `photos` identifies
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
    measured, recall = _with_intervals(scored, **drawn)
    record: dict[str, Any] = {
        "n": len(table),
        "photos": files.content_key(sorted(zip(table["dataset"], table["image_id"], strict=True))),
        "groups": int(scored.groups.max()) + 1,
        "metrics": measured,
        "baseline": None,
        "per_class": _per_class(scored, classes, recall),
        "confusion": _confusion(scored.true, scored.predicted, len(labels)),
        "calibration": calibration(scored),
        "sites": _by_site(scored, known["site"], **drawn),
        "one_answer": _one_answer(table, known["given_group"], catalogs, classes, **drawn),
        "old_classes": None,
        "new_class": None,
        "folds": [_fold(fold, catalogs, classes, **drawn) for fold in folds if not fold.empty],
    }
    if majority is not None:
        baseline, _ = _with_intervals(scored.always(labels.index(majority)), **drawn)
        del baseline["log_loss"]
        record["baseline"] = {"label": majority, **baseline}
    if new_class is not None:
        new = labels.index(new_class)
        record["new_class"] = record["per_class"][new] | {
            "low": recall["low"][new],
            "high": recall["high"][new],
        }
        old = scored.only(scored.true != new)
        among = [index for index in range(len(labels)) if index != new]
        metrics_of_old = _with_intervals(old, **drawn, among=among)[0] if len(old.true) else {}
        record["old_classes"] = {"n": len(old.true), **metrics_of_old}
    return record


def calibration(scored: Outcomes) -> dict[str, Any]:
    """Expected calibration error (Guo et al. 2017, equation 3), and its equally wide bins of confidence."""
    edges = np.arange(CALIBRATION_BINS + 1) / CALIBRATION_BINS
    place = np.digitize(scored.confidence, edges[1:-1], right=True)
    right = scored.true == scored.predicted
    bins: list[dict[str, Any]] = []
    gaps = 0.0
    for index, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        inside = place == index
        entry: dict[str, Any] = {"low": float(low), "high": float(high), "n": int(inside.sum())}
        entry |= {"confidence": None, "accuracy": None}
        if inside.any():
            confidence, accuracy = float(scored.confidence[inside].mean()), float(right[inside].mean())
            gaps += entry["n"] * abs(confidence - accuracy)
            entry |= {"confidence": confidence, "accuracy": accuracy}
        bins.append(entry)
    return {"ece": gaps / len(right), "bins": bins}


def majority_class(record: Mapping[str, Any]) -> str:
    """The commonest label of a split's pool; the first of several in the order of the classes."""
    pool = record["counts"]["pool"]
    return max((entry["label"] for entry in record["classes"]), key=lambda label: pool[label])


def _with_intervals(
    scored: Outcomes, *, seed: int, resamples: int, among: Sequence[int] | None = None
) -> tuple[dict[str, dict[str, float | None]], dict[str, list[float | None]]]:
    """({metric: {value, low, high}}, recall a class {value, low, high}); None where nothing is defined."""
    sums = scored.sums()
    value = metrics(sums.sum(axis=0), among)
    drawn = metrics(intervals.bootstrap(sums, seed=seed, resamples=resamples), among)
    recall = value.pop("recall")
    low, high = intervals.percentile_interval(drawn.pop("recall"))
    ends = {name: intervals.percentile_interval(drawn[name]) for name in METRICS}
    measured = {
        name: {"value": _number(value[name]), "low": _number(interval[0]), "high": _number(interval[1])}
        for name, interval in ends.items()
    }
    each = {"value": recall, "low": low, "high": high}
    return measured, {name: [_number(number) for number in numbers] for name, numbers in each.items()}


def _by_site(scored: Outcomes, sites: pd.Series, *, seed: int, resamples: int) -> list[dict[str, Any]]:
    """The scores of each site that the photos name, worst accuracy first: site, n, groups, METRICS but log loss."""
    rows = []
    for site in sorted(set(sites) - {""}):
        there = scored.only((sites == site).to_numpy())
        measured, _ = _with_intervals(there, seed=seed, resamples=resamples)
        del measured["log_loss"]
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
        **_with_intervals(outcomes(answers, catalogs, classes), **drawn)[0],
        "each": _with_intervals(outcomes(same, catalogs, classes), **drawn)[0],
    }


def _confusion(true: NDArray[np.intp], predicted: NDArray[np.intp], classes: int) -> list[list[int]]:
    """Photos of each true class (rows) and predicted class (columns)."""
    counts: list[list[int]] = (
        np.bincount(true * classes + predicted, minlength=classes**2).reshape(classes, -1).tolist()
    )
    return counts


def _per_class(scored: Outcomes, classes: Classes, recall: Mapping[str, list[float | None]]) -> list[dict[str, Any]]:
    rows = []
    for index, entry in enumerate(classes):
        given = scored.predicted == index
        rows.append(
            {
                "label": entry["label"],
                "name": entry["name"],
                "n": int((scored.true == index).sum()),
                "precision": _number((scored.true[given] == index).mean()) if given.any() else None,
                "recall": recall["value"][index],
                "recall_low": recall["low"][index],
                "recall_high": recall["high"][index],
            }
        )
    return rows


def _fold(
    table: pd.DataFrame, catalogs: pd.DataFrame, classes: Classes, *, seed: int, resamples: int
) -> dict[str, Any]:
    measured, _ = _with_intervals(outcomes(table, catalogs, classes), seed=seed, resamples=resamples)
    interval = {f"accuracy_{end}": measured["accuracy"][end] for end in ("low", "high")}
    values = {name: measured[name]["value"] for name in METRICS}
    return {"fold": int(table["fold"].iloc[0]), "n": len(table), **values, **interval}


def _number(value: Any) -> float | None:
    return None if value is None or np.isnan(value) else float(value)
