"""How good a model's predictions are, with intervals: one table of predictions in, one JSON record out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.core import files
from manihot.core.tables import locate, probabilities, probability_columns
from manihot.scores.calibration import calibration
from manihot.scores.costs import Costs, cost_matrix, expected_costs, mean_cost
from manihot.scores.outcomes import METRICS, Classes, Outcomes, measure, metrics, number, outcomes, share_intervals
from manihot.scores.shares import shares

# The share of the user's groups that must have one label each for groups to be taken for single things.
SINGLE = 0.9
# The share of all photos that are answered with a class, and its interval.
ANSWERED = ("answered", "answered_low", "answered_high")


@dataclass(frozen=True)
class Marked:
    """What some labels are to a study: the new class, the one that the baseline always answers, what mistakes cost."""

    new_class: str | None = None
    majority: str | None = None
    costs: Costs = field(default_factory=dict)


UNMARKED = Marked()


def score(
    table: pd.DataFrame,
    catalogs: pd.DataFrame,
    classes: Classes,
    *,
    seed: int,
    resamples: int = 2000,
    marked: Marked = UNMARKED,
    folds: Sequence[pd.DataFrame] = (),
) -> dict[str, Any]:
    """The scores of one part's predictions: plain content for JSON, `{"n": 0}` where the part has no photo.

    `table` has dataset, image_id, label and p0..pK in the order of `classes` (label, name); `catalogs` the
    group of every photo. Intervals are 95 % ones over groups: see `outcomes.measure`. `marked` says what some labels
    are, `folds` has the tables of the single fold models. `photos` identifies
    the photos scored. `sites` has the scores of each site, and `one_answer` those of one answer a group that the
    user gives, where groups are single things (see `_one_answer`). `cost` is as in `expected_costs`.

    Raises:
        StudyError: see `outcomes`.
    """
    if table.empty:
        return {"n": 0}
    labels = [entry["label"] for entry in classes]
    matrix = cost_matrix(marked.costs, classes)
    scored = outcomes(table, catalogs, classes)
    known = locate(table, catalogs, ["given_group", "site"])
    drawn: dict[str, Any] = {"seed": seed, "resamples": resamples}
    (measured,) = measure(scored, **drawn)
    record: dict[str, Any] = {
        "n": len(table),
        "photos": files.content_key(sorted(zip(table["dataset"], table["image_id"], strict=True))),
        "groups": int(scored.groups.max()) + 1,
        "metrics": measured,
        "baseline": None,
        "per_class": per_class(scored, classes),
        "confusion": confusion(scored.true, scored.predicted, len(labels)),
        "calibration": calibration(scored.confidence, scored.right, seed=seed),
        "cost": expected_costs(scored, probabilities(table, len(labels)), matrix, measured["accuracy"], **drawn),
        "sites": by_site(scored, known["site"], **drawn),
        "one_answer": _one_answer(table, known["given_group"], catalogs, classes, **drawn),
        "old_classes": None,
        "new_class": None,
        "folds": [_fold(fold, catalogs, classes, matrix) for fold in folds if not fold.empty],
    }
    if marked.majority is not None:
        always = scored.always(labels.index(marked.majority))
        (baseline,) = measure(always, **drawn)
        del baseline["log_loss"], baseline["brier"]
        cost = mean_cost(always.true, always.predicted, matrix)
        record["baseline"] = {"label": marked.majority, **baseline, "cost": cost}
    if marked.new_class is not None:
        new = labels.index(marked.new_class)
        of_new = record["per_class"][new]
        record["new_class"] = of_new | {"low": of_new["recall_low"], "high": of_new["recall_high"]}
        old = scored.only(scored.true != new)
        among = [index for index in range(len(labels)) if index != new]
        metrics_of_old = measure(old, **drawn, among=among)[0] if len(old.true) else {}
        record["old_classes"] = {"n": len(old.true), **metrics_of_old}
    return record


def majority_class(record: Mapping[str, Any]) -> str:
    """The commonest label of a split's pool; the first of several in the order of the classes."""
    pool = record["counts"]["pool"]
    return max((entry["label"] for entry in record["classes"]), key=lambda label: pool[label])


def by_site(scored: Outcomes, sites: pd.Series, *, seed: int, resamples: int) -> list[dict[str, Any]]:
    """The scores of each site that the photos name, worst accuracy first: site, n, groups, METRICS."""
    rows = []
    for site in sorted(set(sites) - {""}):
        there = scored.only((sites == site).to_numpy())
        (measured,) = measure(there, seed=seed, resamples=resamples)
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
        **measure(outcomes(answers, catalogs, classes), **drawn)[0],
        "each": measure(outcomes(same, catalogs, classes), **drawn)[0],
    }


def confusion(true: NDArray[np.intp], predicted: NDArray[np.intp], classes: int) -> list[list[int]]:
    """Photos of each true class (rows) and predicted class (columns)."""
    counts: list[list[int]] = (
        np.bincount(true * classes + predicted, minlength=classes**2).reshape(classes, -1).tolist()
    )
    return counts


def per_class(scored: Outcomes, classes: Classes) -> list[dict[str, Any]]:
    right = scored.true == scored.predicted
    found = {
        name: shares(right, scored.groups, strata, scored.classes)
        for name, strata in (("precision", scored.predicted), ("recall", scored.true))
    }
    every = np.zeros_like(scored.true)  # one stratum: all photos, whatever their class
    taken = [shares(scored.predicted == index, scored.groups, every, 1) for index in range(scored.classes)]
    answered = [(share.value[0], *share.intervals()[:, 0]) for share in taken]
    ends = {name: share.intervals() for name, share in found.items()}
    return [
        {"label": entry["label"], "name": entry["name"], "n": int(found["recall"].photos[index])}
        | {name: number(share.value[index]) for name, share in found.items()}
        | {
            f"{name}_{end}": number(ends[name][side, index])
            for name in found
            for side, end in enumerate(("low", "high"))
        }
        | {key: number(each) for key, each in zip(ANSWERED, answered[index], strict=True)}
        for index, entry in enumerate(classes)
    ]


def _fold(table: pd.DataFrame, catalogs: pd.DataFrame, classes: Classes, matrix: NDArray[np.float64]) -> dict[str, Any]:
    scored = outcomes(table, catalogs, classes)
    found = metrics(scored.sums().sum(axis=0))
    values = {name: number(found[name]) for name in METRICS}
    low, high = share_intervals(scored)["accuracy"]
    interval = {"accuracy_low": number(low), "accuracy_high": number(high)}
    cost = mean_cost(scored.true, scored.predicted, matrix)
    return {"fold": int(table["fold"].iloc[0]), "n": len(table), **values, **interval, "cost": cost}
