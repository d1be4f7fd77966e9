"""Two models on the same photos: what is the difference, could it be chance, and is it too small to matter?"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse, special

from manihot.scores import intervals
from manihot.scores.outcomes import Classes, Outcomes, metrics, outcomes
from manihot.scores.resampled import corrected_mean

METRICS = ("accuracy", "balanced_accuracy", "log_loss")
COLUMNS = [
    "family", "model", "based_on", "part", "metric", "n", "groups", "model_value", "based_on_value",
    "difference", "low", "high", "p", "p_holm", "only_model_right", "only_based_on_right", "seeds", "folds",
    "equivalent",
]  # fmt: skip
KEYS = ["dataset", "image_id"]
# In 3/n of n photos a thing may happen, and be seen in none, once in 20 times (the rule of three: Hanley and
# Lippman-Hand 1983).
UNSEEN = 3.0
# What lies below the upper end of a 95 % and of a 90 % interval.
LEVEL, LEVEL_90 = 0.975, 0.95


class Ends(NamedTuple):
    """The 95 % and the 90 % interval of a difference, and its two-sided p."""

    low: float
    high: float
    low_90: float
    high_90: float
    p: float


def compare(
    a: Sequence[pd.DataFrame],
    b: Sequence[pd.DataFrame],
    catalogs: pd.DataFrame,
    classes: Classes,
    *,
    seed: int,
    resamples: int = 2000,
    permutations: int = 10_000,
    fixed: bool = False,
) -> dict[str, Any]:
    """Setting a minus setting b on the photos that all their tables have; `{"n": 0}` where there is none.

    A side is the predictions of one setting, a table a repeat with another seed. Values are means over
    repeats. Returns n, groups, seeds (repeats of the side with fewer), folds, for each of METRICS both values,
    difference, the fields of `Ends` and effective (see `equivalent`; none for log loss), and how many photos
    only one side has right (means over pairs of repeats).

    Where `fold` of all tables says the same of each photo and names at least two, each photo was predicted out of
    fold: it is the settings that are compared, fold by fold (`_over_folds`), and `folds` is their number. Else it is
    0. Then, where a side has one table, these very models are compared, not their settings: the 95 % interval
    is the percentiles of a bootstrap over groups of photos, the same groups for both sides, and p swaps the sides'
    outcomes a group at a time. With several repeats it is the settings: see `_over_seeds`. With `fixed` it is always
    these very models.

    Raises:
        StudyError: see `outcomes.outcomes`.
    """
    tables = _on_common_photos([*a, *b])
    if tables[0].empty:
        return {"n": 0}
    scored = [outcomes(table, catalogs, classes) for table in tables]
    folds = None if fixed else _common_folds(tables)
    values = metrics(np.stack([each.sums().sum(axis=0) for each in scored]))
    first, seeds = scored[0], min(len(a), len(b))
    sides = scored[: len(a)], scored[len(a) :]
    right = [np.mean([each.true == each.predicted for each in side], axis=0) for side in sides]
    loss = [np.mean([each.loss for each in side], axis=0) for side in sides]
    apart = _group_differences(first, right[0] - right[1], loss[0] - loss[1])
    if folds is not None:
        ends = _over_folds(scored, len(a), folds, apart.std(axis=0) * np.sqrt(len(apart)))
    else:
        drawn = _resampled(scored, seed, resamples)
        p_values = intervals.swap_p_values(apart, seed=seed, permutations=permutations)
        groups = None if fixed or seeds == 1 else int(first.groups.max())
        ends = {
            metric: _over_photos(values[metric], drawn[metric], len(a), groups, p)
            for metric, p in zip(METRICS, p_values, strict=True)
        }
    effective = _effective(first)
    compared = {}
    for metric in METRICS:
        value_a, value_b = (float(side.mean()) for side in np.split(values[metric], [len(a)]))
        compared[metric] = {
            "model_value": value_a,
            "based_on_value": value_b,
            "difference": value_a - value_b,
            **(ends[metric] if metric == "log_loss" else _of_shares(ends[metric]))._asdict(),
            "effective": effective.get(metric),
        }
    return {
        "n": len(first.true),
        "groups": int(first.groups.max()) + 1,
        "seeds": seeds,
        "folds": 0 if folds is None else len(np.unique(folds)),
        "metrics": compared,
        "only_model_right": float((right[0] * (1 - right[1])).sum()),
        "only_based_on_right": float(((1 - right[0]) * right[1]).sum()),
    }


def equivalent(found: Mapping[str, Any], margin: float) -> bool | None:
    """Whether a difference of shares is too small to matter: its 90 % interval lies inside (-margin, margin).

    These are two one-sided tests at 0.05 each (Schuirmann 1987). `found` is a metric of `compare`, `margin` in points.
    An interval knows nothing of what it saw in no photo: two models that are right on the same 50 photos have one of
    no width. So UNSEEN / effective, the largest share of photos that may hide so, is added in squares. `effective` is
    the number of photos, less where they come in groups or weigh unlike. None where it is, as for log loss.
    """
    if found["effective"] is None:
        return None
    unseen = UNSEEN / found["effective"]
    below = math.hypot(found["difference"] - found["low_90"], unseen)
    above = math.hypot(found["high_90"] - found["difference"], unseen)
    return bool(-margin / 100 < found["difference"] - below and found["difference"] + above < margin / 100)


def compare_pairs(
    pairs: Sequence[Mapping[str, Any]],
    tables: Mapping[tuple[str, str], pd.DataFrame],
    catalogs: pd.DataFrame,
    classes: Mapping[str, Classes],
    *,
    fixed: Callable[[Mapping[str, Any]], bool],
    seed: int,
    resamples: int,
) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    """Each pair whose sides have photos in common, with its result of `compare`.

    A pair has split, part, and names of predictions as models and based_on_models; `tables` has these by (name, part),
    `classes` those of each split. `fixed` says of a pair whether its very models are compared.
    """
    for pair in pairs:
        a, b = ([tables[name, pair["part"]] for name in pair[key]] for key in ("models", "based_on_models"))
        of_split, very = classes[pair["split"]], fixed(pair)
        result = compare(a, b, catalogs, of_split, seed=seed, resamples=resamples, fixed=very)
        if result["n"]:
            yield pair, result


def holm(p: Sequence[float]) -> NDArray[np.float64]:
    """Holm's adjusted p values (1979), float64 [n], in the order given."""
    values = np.asarray(p, dtype=np.float64)
    order = values.argsort()
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return adjusted


def tabulate(compared: Sequence[tuple[Mapping[str, str], Mapping[str, Any]]], margin: float) -> pd.DataFrame:
    """A row (COLUMNS) a metric of each pair (family, model, based_on, part) and its result of `compare`.

    Holm's adjustment is over all pairs of a family on one part and metric. `equivalent` is 1 or 0 for the `margin` in
    points of accuracy, and empty for log loss.
    """
    rows = [
        {
            **pair,
            **{key: result[key] for key in COLUMNS if key in result},
            "metric": metric,
            **{key: value for key, value in result["metrics"][metric].items() if key in COLUMNS},
            "equivalent": equivalent(result["metrics"][metric], margin),
        }
        for pair, result in compared
        if result["n"]
        for metric in METRICS
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    for _, p in table.groupby(["family", "part", "metric"])["p"]:
        table.loc[p.index, "p_holm"] = holm(p.to_list())
    return table.astype({"equivalent": "boolean"}).astype({"equivalent": "Int64"})


def _on_common_photos(tables: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """The rows of the photos that all tables have, in one order."""
    indexed = [table.set_index(KEYS) for table in tables]
    common = indexed[0].index
    for table in indexed[1:]:
        common = common.intersection(table.index)
    common = common.sort_values()
    return [table.loc[common].reset_index() for table in indexed]


def _common_folds(tables: Sequence[pd.DataFrame]) -> NDArray[np.intp] | None:
    """The fold that each photo was held out in, int [n]; None where tables differ in it, or it is one or not known."""
    if any("fold" not in table or table["fold"].isna().any() for table in tables):
        return None
    folds = np.stack([table["fold"].to_numpy(dtype=np.intp) for table in tables])
    return folds[0] if (folds == folds[0]).all() and len(np.unique(folds[0])) > 1 else None


def _resampled(scored: Sequence[Outcomes], seed: int, resamples: int) -> dict[str, NDArray[np.float64]]:
    """METRICS of each of the outcomes on the same resampled groups, [resamples, outcomes]."""
    sums = sparse.hstack([each.sums() for each in scored], format="csr")
    totals = intervals.bootstrap(sums, seed=seed, resamples=resamples, strata=scored[0].strata())
    return metrics(totals.reshape(resamples, len(scored), -1))


def _over_photos(
    values: NDArray[np.float64], drawn: NDArray[np.float64], of_a: int, groups: int | None, p: float
) -> Ends:
    """The ends from resampled photos, `drawn` [resamples, tables]; the first `of_a` of the tables are of side a.

    With `groups`, the degrees of freedom of the photos, the seeds count too (`_over_seeds`), and `p` does not.
    """
    resampled = [side.mean(axis=1) for side in np.split(drawn, [of_a], axis=1)]
    apart = resampled[0] - resampled[1]
    if groups is not None:
        a, b = np.split(values, [of_a])
        return _over_seeds(a, b, float(np.nanvar(apart, ddof=1)), groups)
    low, high = map(float, intervals.percentile_interval(apart))
    low_90, high_90 = map(float, intervals.percentile_interval(apart, (5, 95)))
    return Ends(low, high, low_90, high_90, float(p))


def _over_folds(
    scored: Sequence[Outcomes], of_a: int, folds: NDArray[np.intp], of_photos: NDArray[np.float64]
) -> dict[str, Ends]:
    """The ends of the difference of two settings on photos that each were held out in one of `folds`, int [n].

    In each fold the difference of the two sides' means over their repeats is taken. Folds are no repeats: their
    models share training photos. So the variance is that of Nadeau and Bengio (2003), see `corrected_mean`, with one
    degree of freedom less than there are folds. The interval is centred on the difference of all photos together.
    Few folds of few photos may by chance differ by exactly the same, which says nothing of how sure that is: then
    `of_photos`, each metric's standard error among the photos, takes the place of that among folds.
    """
    numbers = np.unique(folds)
    held_out_share = 1 / (len(numbers) - 1)
    sums = [[each.only(folds == number).sums().sum(axis=0) for each in scored] for number in numbers]
    by_fold = metrics(np.array(sums))
    whole = metrics(np.stack([each.sums().sum(axis=0) for each in scored]))
    degrees = len(numbers) - 1
    ends = {}
    for metric, otherwise in zip(METRICS, of_photos, strict=True):
        of_folds, of_all = (
            table[..., :of_a].mean(axis=-1) - table[..., of_a:].mean(axis=-1)
            for table in (by_fold[metric], whole[metric])
        )
        value, low, _, _ = corrected_mean(of_folds, held_out_share)
        error = (value - low) / float(special.stdtrit(degrees, LEVEL)) or float(otherwise)
        ends[metric] = _by_t(float(of_all), error, degrees)
    return ends


def _over_seeds(a: NDArray[np.float64], b: NDArray[np.float64], photos: float, groups: int) -> Ends:
    """The ends of the difference of two settings' means over their repeats.

    Two variances are added: that of `photos`, with `groups` degrees of freedom, and that of the seeds, from how
    far the values of the repeats, `a` and `b`, lie apart. Sides of as many repeats are paired: the i-th of both have
    one seed, and so the same initial weights and order of photos. The quantile is that of t with the degrees of
    freedom of Satterthwaite (1946): with two or three seeds it is large, as it should be.
    """
    sides = [a - b] if len(a) == len(b) else [a, b]
    parts = [(float(photos), groups), *((float(side.var(ddof=1)) / len(side), len(side) - 1) for side in sides)]
    variance = sum(part for part, _ in parts)
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts if degrees) if variance > 1e-20 else 1.0
    return _by_t(float(a.mean() - b.mean()), math.sqrt(variance), freedom)


def _by_t(difference: float, error: float, freedom: float) -> Ends:
    """The ends of a difference with a standard error, by t."""
    if error < 1e-10:
        return Ends(difference, difference, difference, difference, p=float(abs(difference) < 1e-10))
    half, half_90 = (float(special.stdtrit(freedom, level)) * error for level in (LEVEL, LEVEL_90))
    p = float(2 * special.stdtr(freedom, -abs(difference) / error))
    return Ends(difference - half, difference + half, difference - half_90, difference + half_90, p)


def _of_shares(ends: Ends) -> Ends:
    """The ends of a difference of shares: none lies beyond −1 and 1, where few degrees of freedom would put an end."""
    low, high, low_90, high_90 = (min(max(end, -1.0), 1.0) for end in ends[:4])
    return Ends(low, high, low_90, high_90, ends.p)


def _weights(scored: Outcomes) -> NDArray[np.float64]:
    """What a photo counts in balanced accuracy, float [n]; their sum is 1."""
    have = np.bincount(scored.true, minlength=scored.classes)
    return 1 / (have[scored.true] * np.count_nonzero(have))


def _effective(scored: Outcomes) -> dict[str, float]:
    """How many single photos of one weight the groups are worth (Kish 1965), for accuracy and balanced accuracy."""
    weights = {"accuracy": np.full(len(scored.true), 1 / len(scored.true)), "balanced_accuracy": _weights(scored)}
    return {
        name: float(1 / np.square(np.bincount(scored.groups, weights=each)).sum()) for name, each in weights.items()
    }


def _group_differences(first: Outcomes, right: NDArray[np.float64], loss: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each group adds to the differences in METRICS, [groups, 3], from each photo's in being right and in loss."""
    each = np.column_stack([right / len(right), right * _weights(first), loss / len(loss)])
    return intervals.group_sums(sparse.csr_array(each), first.groups).toarray()
