"""What the paper's conclusions are weighed on, and how much more one model overfits than another.

How far a model overfits is its gap: balanced accuracy on the photos that it is fitted on minus that on those held out,
both of the fitted model as it predicts (in eval mode). A network's photos may be balanced and those held out as found:
balanced accuracy counts each class alike in both.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from manihot.published.numbers import Estimate
from manihot.scores.resampled import corrected_mean
from manihot.scores.switches import differing

Settings: TypeAlias = Mapping[str, Any]
Weighed: TypeAlias = tuple[str, str, list[dict[str, Any]]]  # verdict, evidence, values
FOR, AGAINST, CANNOT_TELL = "for", "against", "cannot tell"
NOT_MEASURED = "Not in this study: it needs {}."
# Two networks are trained equally long if their numbers of steps differ by no more than this share of the larger.
EQUALLY_LONG = 0.05


@dataclass(frozen=True)
class GapDifference:
    """How much larger the gap of model `a` is than that of model `b`, over their common folds.

    `apart` is the mean difference; `gaps` are the mean gaps of both, `steps` how long a fold of each was trained, None
    for one that takes no steps. `shares_photos` says whether both are fitted on the same photos.
    """

    a: str
    b: str
    apart: Estimate
    gaps: tuple[float, float]
    steps: tuple[float | None, float | None]
    folds: int
    shares_photos: bool

    @property
    def equally_long(self) -> bool:
        """Whether both were trained equally long."""
        a, b = self.steps
        return a is not None and b is not None and abs(a - b) <= EQUALLY_LONG * max(a, b)

    @property
    def verdict(self) -> str:
        """For: the gap of `a` is larger. Models that were not trained equally long cannot tell."""
        return verdict_of(self.apart) if self.equally_long else CANNOT_TELL

    def turned(self) -> "GapDifference":
        """The same pair seen from the other side."""
        steps, gaps = (self.steps[1], self.steps[0]), (self.gaps[1], self.gaps[0])
        return GapDifference(self.b, self.a, self.apart.turned(), gaps, steps, self.folds, self.shares_photos)

    def words(self) -> str:
        """Both gaps and their difference, and what stands in the way of a verdict."""
        if not self.folds:
            return f"{self.a} and {self.b} have no fold in common"
        one, other = (f"{100 * gap:.1f}".replace("-", "−") for gap in self.gaps)
        said = (
            f"the gap of {self.a} is {one} points, that of {self.b} {other}: a difference of {points(self.apart)} over "
        )
        said += f"{count(self.folds, 'fold')}{', so without an interval' if self.folds == 1 else ''}"
        if not self.shares_photos:
            said += ", fitted on other photos"
        if not self.equally_long:
            said += f"; cannot tell: {self._unlike()}"
            if None not in self.steps:
                a, b = (f"{steps:,.0f} steps" for steps in self.steps)
                said += f" ({self.a} {a}, {self.b} {b})"
        return said

    def value(self) -> dict[str, Any]:
        """The difference as an entry of a conclusion's values."""
        what = f"gap of {self.a} minus gap of {self.b}"
        return value(what if self.equally_long else f"{what} ({self._unlike()})", self.apart)

    def _unlike(self) -> str:
        """Why how long both were trained cannot be compared."""
        converged = [name for name, steps in zip((self.a, self.b), self.steps, strict=True) if steps is None]
        if not converged:
            return "trained unequally long"
        each = "is fitted to convergence and takes" if len(converged) == 1 else "are fitted to convergence and take"
        return f"{' and '.join(converged)} {each} no steps to compare"


@dataclass(frozen=True)
class Evidence:
    """What was measured and asked for: `scores` by (model, part), the rest by name.

    `compared` is comparisons.csv, `paired` the rows of `conclusions.paired`, `overfit` the histories of the overfit
    `checks`.
    """

    models: Mapping[str, Settings]
    experiments: Mapping[str, Settings]
    backbones: Mapping[str, Settings]
    boosting: Mapping[str, Settings]
    splits: Mapping[str, Settings]
    checks: Mapping[str, Settings]
    scores: Mapping[tuple[str, str], Settings]
    overfit: Mapping[str, pd.DataFrame]
    compared: pd.DataFrame
    paired: pd.DataFrame

    def gap(self, model: str) -> pd.Series:
        """How far each fold overfits, by fold; empty for a model without held-out photos."""
        train, held_out = self._folds(model, "train"), self._folds(model, "validation")
        gaps = {
            fold: train[fold]["balanced_accuracy"] - held_out[fold]["balanced_accuracy"]
            for fold in train
            if fold in held_out
        }
        return pd.Series(gaps, dtype=float)

    def steps(self, model: str) -> pd.Series:
        """How many batches each fold of a network or head was trained on, by fold; empty for another kind of model."""
        entry = self.models[model]
        if entry["kind"] == "network":
            recipe = self.experiments[entry["experiment"]]
        elif entry["kind"] == "head":
            recipe = self.backbones[entry["backbone"]]["head"]
        else:
            recipe = {}
        if "epochs" not in recipe:  # trees, and heads that are not trained in batches
            return pd.Series(dtype=float)
        each = {
            fold: recipe["epochs"] * math.ceil(record["n"] / recipe["batch_size"])
            for fold, record in self._folds(model, "train").items()
        }
        return pd.Series(each, dtype=float)

    def gap_difference(self, a: str, b: str) -> GapDifference:
        """How much more `a` overfits than `b`: over their common folds, with the interval of `corrected_mean`."""
        gaps, steps = ({name: of(name) for name in (a, b)} for of in (self.gap, self.steps))
        common = gaps[a].index.intersection(gaps[b].index)
        differences = (gaps[a] - gaps[b])[common].to_numpy(np.float64)
        # Of each fold's photos 1 in k is held out: more of those fitted on are the same where k is larger.
        folds = min(int(self.splits[self.models[name]["split"]]["folds"]) for name in (a, b))
        mean, low, high, _ = corrected_mean(differences, 1 / (folds - 1) if folds > 1 else math.inf)
        return GapDifference(
            a,
            b,
            Estimate(mean, low, high),
            (float(gaps[a][common].mean()), float(gaps[b][common].mean())),
            (_mean(steps[a], common), _mean(steps[b], common)),
            len(common),
            self._same_training(a, b, list(common)),
        )

    def changed(self, name: str) -> dict[str, tuple[Any, Any]]:
        """The settings in which an experiment differs from the one it is based on: key -> (based on's, its)."""
        based_on = self.models[name]["based_on"]
        # A refit differs from its experiment in no setting.
        if self.models[name]["kind"] != "network" or not {name, based_on} <= set(self.experiments):
            return {}
        return differing(self.experiments[name], self.experiments[based_on], self.splits)

    def test_pairs(self) -> pd.DataFrame:
        """The paired differences of test accuracy: model, based_on, difference, low, high, p_holm, seeds."""
        return self.compared[(self.compared["part"] == "test") & (self.compared["metric"] == "accuracy")]

    def _folds(self, model: str, part: str) -> dict[int, Settings]:
        """The n and balanced accuracy of each fold model on a part that has photos."""
        record, folds = self.scores[model, part], self.models[model]["folds"]
        if record.get("folds"):
            return {entry["fold"]: entry for entry in record["folds"]}
        if len(folds) > 1 or not record["n"]:
            return {}
        whole = record["metrics"]["balanced_accuracy"]["value"]
        return {folds[0]: {"n": record["n"], "balanced_accuracy": whole}}

    def _same_training(self, a: str, b: str, folds: Sequence[int]) -> bool:
        """Whether both were fitted on the same photos: on as many a fold, where one of them ran more folds."""
        one, other = (self._folds(name, "train") for name in (a, b))
        if set(one) == set(other):
            return self.scores[a, "train"].get("photos") == self.scores[b, "train"].get("photos")
        return all(one[fold]["n"] == other[fold]["n"] for fold in folds)


def _mean(steps: pd.Series, folds: pd.Index) -> float | None:
    return None if steps.empty else float(steps[folds].mean())


def verdict_of(estimate: Estimate) -> str:
    """For where the interval is above zero, against where it is below."""
    if estimate.low > 0:
        return FOR
    return AGAINST if estimate.high < 0 else CANNOT_TELL


def together(verdicts: Sequence[str]) -> str:
    """One verdict of several: a clear one, if none is clearly the other."""
    clear = set(verdicts) - {CANNOT_TELL}
    return clear.pop() if len(clear) == 1 else CANNOT_TELL


def value(what: str, estimate: Estimate) -> dict[str, Any]:
    """An entry of a conclusion's values: ends that are not known are None."""
    ends = {key: None if math.isnan(end) else float(end) for key, end in estimate._asdict().items()}
    return {"what": what, **ends}


def points(estimate: Estimate) -> str:
    """A difference of shares in points with its interval where it has one, in words."""
    if math.isnan(estimate.low):
        return f"{100 * estimate.value:+.1f} points".replace("-", "−")
    mean, low, high = (f"{100 * end:+.1f}".replace("-", "−") for end in estimate)
    return f"{mean} points ({low} to {high})"


def percent(estimate: Estimate) -> str:
    """A share in percent with its interval, in words."""
    mean, low, high = (f"{100 * end:.1f}" for end in estimate)
    return f"{mean} % ({low} to {high})"


def count(n: int, what: str) -> str:
    """A number of things, such as `1 fold`."""
    return f"{n} {what}{'s' if n != 1 else ''}"


def trained(seeds: Sequence[int]) -> str:
    """Whom a comparison is about, in words: these trained models, unless each setting has several seeds."""
    return "of these settings" if len(seeds) and min(seeds) > 1 else "of these trained models"


def missing(needed: str) -> Weighed:
    """The verdict where what it needs was not run."""
    return CANNOT_TELL, NOT_MEASURED.format(needed), []
