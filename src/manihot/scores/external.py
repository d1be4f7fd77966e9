"""How a model does on other people's photos, beside its own test.

Both get the answers that `make predict` gives where nothing is said of class shares: calibrated, and for equal shares.
Classes that the other photos lack are left out of the own test, too: so both balanced accuracies are means over the
same classes. The photos of the two are independent of each other, and so are their scores: the interval of a difference
has the distances to the ends of both (MOVER: Zou and Donner 2008), as that of a difference of two shares has (Newcombe
1998, method 10).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.core.tables import locate, probabilities
from manihot.predictions.calibration import estimate_shares, shifted
from manihot.predictions.ensembles import mean
from manihot.scores.calibration import calibration
from manihot.scores.coverage import held_sets, score_sets
from manihot.scores.outcomes import Classes, Outcomes, measure, outcomes
from manihot.scores.score import by_site, confusion, per_class
from manihot.scores.strangers import FAR

# What is held against the own test; the others have no class shares in them, or are no better for being larger.
COMPARED = ("accuracy", "balanced_accuracy", "log_loss")
Estimate = Mapping[str, float | None]


@dataclass(frozen=True)
class Answered:
    """What each fold of a model said of the same photos (a table of its own probabilities a fold, in one order), the
    class shares that each took for granted, and the model's temperature."""

    folds: Sequence[pd.DataFrame]
    priors: Sequence[Sequence[float]]
    temperature: float

    @property
    def classes(self) -> int:
        """How many classes the model knows."""
        return len(self.priors[0])

    def only(self, labels: Sequence[str]) -> "Answered":
        """The same of the photos of some classes."""
        kept = [table[table["label"].isin(labels)].reset_index(drop=True) for table in self.folds]
        return replace(self, folds=kept)

    def answers(self, target: Sequence[float] | None = None) -> pd.DataFrame:
        """The calibrated answers for the class shares `target` (None: equal ones), a table of predictions."""
        shares = [1 / self.classes] * self.classes if target is None else target
        return mean(shifted(self.folds, self.priors, shares, [self.temperature] * len(self.folds)))

    def shares(self) -> list[float]:
        """The class shares of the photos, as the answers tell them; no label is looked at."""
        given = [probabilities(table, self.classes) for table in self.folds]
        return estimate_shares(given, self.priors, [self.temperature] * len(given)).tolist()


@dataclass(frozen=True)
class Asked:
    """How scores are made: the coverage of sets, the seed and how many resamples."""

    coverage: float
    seed: int
    resamples: int

    @property
    def drawn(self) -> dict[str, Any]:
        """What is drawn."""
        return {"seed": self.seed, "resamples": self.resamples}


def score_external(
    tried: Answered,
    own: Answered | None,
    sets: Mapping[str, Any] | None,
    catalogs: pd.DataFrame,
    classes: Classes,
    unlike: NDArray[np.float64] | None,
    asked: Asked,
) -> dict[str, Any]:
    """The scores of a model on other people's photos: plain content for JSON.

    Args:
        tried: what its folds said of these photos.
        own: the same of its own test; None where it has none.
        sets: the record of its prediction sets; None where it has none, and then its scores have none.
        catalogs: the group and the site of every photo.
        classes: label and name in the order of p0..pK.
        unlike: how unlike those of the study the photos are, float64 [n]; None where the model does not tell.
        asked: how scores are made.

    Returns:
        `tried` and `own` (None where no photo of these classes was tested), each with n, groups, metrics (with
        intervals), per_class, confusion, calibration, confidence (the mean probability of the answers) and sets;
        `difference`, of each of COMPARED, the first minus the second, with its 95 % interval; `present` and `absent`,
        labels of classes; `sites`, as in `score.score`; `estimated`, the metrics and the calibration of answers for the
        class shares that were estimated without labels, these `shares` and what was `found`; `unlike`: n, median, far
        (the share above `limit`), None where it is not told.
    """
    labels = [entry["label"] for entry in classes]
    there = set(tried.folds[0]["label"])
    present = [label for label in labels if label in there]
    answers = tried.answers()
    scored = outcomes(answers, catalogs, classes)
    found = _part(tried, answers, scored, sets, catalogs, classes, asked)
    beside = None
    if own is not None and len((tested := own.only(present)).folds[0]):
        shown = tested.answers()
        beside = _part(tested, shown, outcomes(shown, catalogs, classes), sets, catalogs, classes, asked)
    counts = np.bincount(scored.true, minlength=len(labels))
    return {
        "tried": found,
        "own": beside,
        "difference": beside
        and {name: difference(found["metrics"][name], beside["metrics"][name]) for name in COMPARED},
        "present": present,
        "absent": [label for label in labels if label not in there],
        "sites": by_site(scored, locate(answers, catalogs, ["site"])["site"], **asked.drawn),
        "estimated": {
            "shares": dict(zip(labels, tried.shares(), strict=True)),
            "found": dict(zip(labels, (counts / counts.sum()).tolist(), strict=True)),
            **_measured(outcomes(tried.answers(tried.shares()), catalogs, classes), asked),
        },
        "unlike": None if unlike is None else _unlike(unlike),
    }


def difference(one: Estimate, other: Estimate) -> dict[str, float | None]:
    """One estimate minus an independent other, with its 95 % interval; all None where one is not defined."""
    a, low_a, high_a = (one[key] for key in ("value", "low", "high"))
    b, low_b, high_b = (other[key] for key in ("value", "low", "high"))
    if a is None or low_a is None or high_a is None or b is None or low_b is None or high_b is None:
        return {"value": None, "low": None, "high": None}
    below, above = np.hypot(a - low_a, high_b - b), np.hypot(high_a - a, b - low_b)
    return {"value": a - b, "low": a - b - float(below), "high": a - b + float(above)}


def _part(
    answered: Answered,
    answers: pd.DataFrame,
    scored: Outcomes,
    sets: Mapping[str, Any] | None,
    catalogs: pd.DataFrame,
    classes: Classes,
    asked: Asked,
) -> dict[str, Any]:
    judged = None
    if sets is not None:
        held = held_sets(sets, answered.folds, answered.priors, answers, asked.coverage)
        judged = score_sets(sets, held, answers, catalogs, classes, asked.coverage)
    return {
        "n": len(answers),
        "groups": int(scored.groups.max()) + 1,
        **_measured(scored, asked),
        "per_class": per_class(scored, classes),
        "confusion": confusion(scored.true, scored.predicted, scored.classes),
        "sets": judged,
    }


def _measured(scored: Outcomes, asked: Asked) -> dict[str, Any]:
    (measured,) = measure(scored, **asked.drawn)
    return {
        "metrics": measured,
        "calibration": calibration(scored.confidence, scored.right, seed=asked.seed),
        "confidence": float(scored.confidence.mean()),
    }


def _unlike(values: NDArray[np.float64]) -> dict[str, Any]:
    return {"n": len(values), "limit": FAR, "median": float(np.median(values)), "far": float((values > FAR).mean())}
