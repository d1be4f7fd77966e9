"""Which model of a split is chosen, how sure the choice is, and how much better the choice itself makes it look.

Everything is decided on out-of-fold predictions. The test scores of the chosen model alone are an estimate.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from manihot.core.tables import KEYS
from manihot.scores import intervals
from manihot.scores.outcomes import Classes, estimate, number, outcomes, weights

Scores: TypeAlias = Mapping[tuple[str, str], Mapping[str, Any]]
Candidate: TypeAlias = dict[str, Any]
Floats: TypeAlias = NDArray[np.float64]

# The first chooses, the last breaks ties.
METRICS = ("balanced_accuracy", "log_loss")
# Values that lie closer than this are tied: sums of the same photos in another order differ by less.
TIE = 1e-9


@dataclass(frozen=True)
class OutOfFold:
    """What K candidates made of the same n photos, out of fold, in the mean over the repeats of each."""

    right: Floats  # [n, K], the share of the repeats that are right
    loss: Floats  # [n, K]
    true: NDArray[np.intp]  # [n]
    groups: NDArray[np.intp]  # [n], counted from 0
    strata: NDArray[np.intp]  # [groups]
    classes: int

    def sums(self) -> sparse.csr_array:
        """Sums over the photos of each group, [groups, classes + K * classes + K]: photos of each class, those of each
        class that each candidate has right, and each candidate's loss."""
        n, candidates = self.right.shape
        each = np.arange(candidates)
        values = np.concatenate([np.ones(n), self.right.ravel(), self.loss.ravel()])
        of_class = (self.classes * (1 + each) + self.true[:, None]).ravel()
        of_loss = np.tile(self.classes * (1 + candidates) + each, n)
        photos = np.concatenate([np.arange(n), *[np.repeat(np.arange(n), candidates)] * 2])
        columns = np.concatenate([self.true, of_class, of_loss])
        shape = (n, self.classes + candidates * (self.classes + 1))
        return intervals.group_sums(sparse.csr_array((values, (photos, columns)), shape=shape), self.groups)

    def metrics(self, totals: Floats) -> dict[str, Floats]:
        """METRICS, [..., K], and recall, [..., K, classes], of totals [..., columns of `sums`]."""
        candidates = self.right.shape[1]
        have, right, loss = np.split(totals, [self.classes, self.classes * (1 + candidates)], axis=-1)
        right = right.reshape(*totals.shape[:-1], candidates, self.classes)
        photos = have.sum(axis=-1)[..., None]
        with np.errstate(invalid="ignore", divide="ignore"):
            recall = right / have[..., None, :]
            there = (have > 0).sum(axis=-1)[..., None]
            return {
                "balanced_accuracy": np.nansum(recall, axis=-1) / there,
                "log_loss": loss / photos,
                "recall": recall,
            }


def choose(
    models: Sequence[Mapping[str, Any]],
    scores: Scores,
    read: Callable[[str], pd.DataFrame],
    catalogs: pd.DataFrame,
    classes: Classes,
    *,
    seed: int,
    resamples: int = 2000,
) -> dict[str, Any]:
    """The choice among the models of one split, as plain content for JSON.

    Chosen is the best out-of-fold balanced accuracy, in the mean over the repeats with other seeds; a tie is broken by
    the smaller log loss. Candidates are all models with out-of-fold predictions, of whatever family, but for repeats.
    Comparable are those that were validated on the same photos as most (models of a part of the folds were not) and
    that were not trained on tested photos (`leak`): the estimate of such a model would be of nothing new.

    Args:
        models: the name, family, repeat_of and leak of the split's models, as the plan has them.
        scores: the record of `scores.score` of each (model, part), for validation, test and test_as_found.
        read: gives the out-of-fold predictions of a model by its name.
        catalogs: the groups of all photos.
        classes: those of the split.
        seed: of the bootstrap.
        resamples: how many.

    Returns:
        chosen: the model's name; None without a comparable candidate.
        candidates: of each model, family, repeats (their names, its own first), n, comparable, why_not (`leak` or
            `photos`; None for comparable ones), METRICS (means over repeats), chosen_share (of the resamples; None
            where nothing is chosen).
        families: the best model of each family: of its comparable ones, or of most of it where it has none.
        out_of_fold: `corrected` of the comparable candidates; None where there are fewer than two.
        estimate: the chosen model's scores on each test that has photos.

    Raises:
        StudyError: see `outcomes.outcomes`.
    """
    validated = [model for model in models if scores[model["name"], "validation"]["n"]]
    candidates = [_candidate(model, validated, scores) for model in validated if not model["repeat_of"]]
    comparable = _alike(candidates)
    families: dict[str, str] = {}
    for family in dict.fromkeys(candidate["family"] for candidate in candidates):
        own = [candidate for candidate in candidates if candidate["family"] == family]
        alike = [candidate for candidate in own if candidate in comparable] or _alike(own)
        if alike:
            families[family] = _best(alike)["model"]
    chosen = _best(comparable)["model"] if comparable else None
    shares, out_of_fold = {}, None
    if len(comparable) > 1:
        names = [candidate["model"] for candidate in comparable]
        photos = _together([candidate["repeats"] for candidate in comparable], read, catalogs, classes)
        winners, out_of_fold = corrected(photos, names.index(chosen), seed=seed, resamples=resamples)
        shares = dict(zip(names, (np.bincount(winners, minlength=len(names)) / resamples).tolist(), strict=True))
    tests = {part: scores[chosen, part] for part in ("test", "test_as_found")} if chosen else {}
    return {
        "chosen": chosen,
        "candidates": [_described(candidate, comparable, shares) for candidate in candidates],
        "families": families,
        "out_of_fold": out_of_fold,
        "estimate": {part: {"n": r["n"], **measured(r)} for part, r in tests.items() if r["n"]},
    }


def measured(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metrics of a score record that a choice and its estimate are made by: those of the calibrated answers."""
    metrics: Mapping[str, Any] = record["answers"]["calibrated"]["metrics"]
    return metrics


def corrected(photos: OutOfFold, chosen: int, *, seed: int, resamples: int) -> tuple[NDArray[np.intp], dict[str, Any]]:
    """The candidate that each resample of the photos chooses, int [resamples], and what is left of its score.

    The bootstrap bias corrected estimate of Tsamardinos, Greasidou and Borboudakis (2018, Machine Learning 107, 1895;
    their BBC-CV): each resample of groups, within classes, chooses a candidate by the photos drawn, and that candidate
    is scored on the photos not drawn, which had no say. Returned are n, groups, resamples, `own` (the chosen
    candidate's METRICS on all photos, which the choice made look good) and `corrected` (METRICS: mean over resamples
    and 95 % percentile interval; wide, as only about 37 % of the groups are not drawn).

    A class with no photo left in a resample counts in the balanced accuracy with its mean over the others. None where
    that cannot be: all photos of a class are of one group, which is never left.
    """
    sums = photos.sums()
    drawn, rest = intervals.bootstrap_and_rest(sums, seed=seed, resamples=resamples, strata=photos.strata)
    inside, outside = photos.metrics(drawn), photos.metrics(rest)
    winners = best(inside["balanced_accuracy"], inside["log_loss"])
    of_winner = {name: values[np.arange(resamples), winners] for name, values in outside.items()}
    recall = of_winner["recall"][:, np.bincount(photos.true, minlength=photos.classes) > 0]
    if not np.isfinite(recall).any(axis=0).all():
        of_winner = {name: np.full(resamples, np.nan) for name in METRICS}
    else:
        of_winner["balanced_accuracy"] = np.where(np.isnan(recall), np.nanmean(recall, axis=0), recall).mean(axis=1)
    own = photos.metrics(np.asarray(sums.sum(axis=0)))
    return winners, {
        "n": len(photos.true),
        "groups": int(photos.groups.max()) + 1,
        "resamples": resamples,
        "own": {name: number(own[name][chosen]) for name in METRICS},
        "corrected": {name: _over_resamples(of_winner[name]) for name in METRICS},
    }


def _over_resamples(values: Floats) -> dict[str, float | None]:
    known = values[np.isfinite(values)]
    return estimate(known.mean() if len(known) else None, *intervals.percentile_interval(values))


def best(balanced: Floats, loss: Floats) -> NDArray[np.intp]:
    """The place of the best candidate along the last axis: by balanced accuracy, of tied ones by the smaller loss."""
    tied = balanced >= balanced.max(axis=-1, keepdims=True) - TIE
    return np.asarray(np.where(tied, loss, np.inf).argmin(axis=-1), dtype=np.intp)


def _best(candidates: Sequence[Candidate]) -> Candidate:
    balanced, loss = (np.array([each[name] for each in candidates]) for name in ("balanced_accuracy", "log_loss"))
    return candidates[int(best(balanced, loss))]


def _alike(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those of the candidates without a leak that were validated on the most photos (of as many: that most were)."""
    fair = [candidate for candidate in candidates if not candidate["leak"]]
    usual = Counter((candidate["photos"], candidate["n"]) for candidate in fair)
    most = max(usual, key=lambda key: (key[1], usual[key]), default=None)
    return [candidate for candidate in fair if (candidate["photos"], candidate["n"]) == most]


def _candidate(model: Mapping[str, Any], validated: Sequence[Mapping[str, Any]], scores: Scores) -> Candidate:
    record = scores[model["name"], "validation"]
    repeats = [
        other["name"]
        for other in validated
        if model["name"] in (other["name"], other["repeat_of"])
        and scores[other["name"], "validation"]["photos"] == record["photos"]
    ]
    values = [measured(scores[name, "validation"]) for name in repeats]
    return {
        **{"model": model["name"], "family": model["family"], "repeats": repeats, "n": record["n"]},
        **{"photos": record["photos"], "leak": model["leak"]},
        **{metric: fmean(value[metric]["value"] for value in values) for metric in METRICS},
    }


def _described(candidate: Candidate, comparable: Sequence[Candidate], shares: Mapping[str, float]) -> Candidate:
    fair = candidate in comparable
    shown = {key: value for key, value in candidate.items() if key not in ("photos", "leak")}
    why_not = None if fair else "leak" if candidate["leak"] else "photos"
    return {**shown, "comparable": fair, "why_not": why_not, "chosen_share": shares.get(candidate["model"])}


def _together(
    candidates: Sequence[Sequence[str]], read: Callable[[str], pd.DataFrame], catalogs: pd.DataFrame, classes: Classes
) -> OutOfFold:
    """The out-of-fold predictions of candidates, each the names of its repeats, all on the same photos."""
    right, loss = [], []
    for repeats in candidates:
        scored = [outcomes(read(name).sort_values(KEYS), catalogs, classes) for name in repeats]
        right.append(np.mean([each.true == each.predicted for each in scored], axis=0))
        loss.append(np.mean([each.loss for each in scored], axis=0))
    first = scored[0]
    # The answers are for classes that are equally common: the loss counts photos as if they were.
    alike = weights(first.true, [1 / first.classes] * first.classes)
    columns = np.column_stack(right), np.column_stack(loss) * alike[:, None]
    return OutOfFold(*columns, first.true, first.groups, first.strata(), first.classes)
