"""Two models on the same photos: what is the difference, and could it be chance?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse, special

from manihot.scores import intervals
from manihot.scores.outcomes import Classes, Outcomes, metrics, outcomes

METRICS = ("accuracy", "balanced_accuracy", "log_loss")
COLUMNS = [
    "family", "model", "based_on", "part", "metric", "n", "groups", "model_value", "based_on_value",
    "difference", "low", "high", "p", "p_holm", "only_model_right", "only_based_on_right", "seeds",
]  # fmt: skip
KEYS = ["dataset", "image_id"]


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
    repeats. Returns n, groups, seeds (repeats of the side with fewer), for each of METRICS both values,
    difference, low, high and p, and the counts of McNemar's table (means over pairs of repeats).

    Where a side has one table, or with `fixed`, these very models are compared, not their settings: the 95 % interval
    is the percentiles of a bootstrap over groups of photos, the same groups for both sides, and p swaps the sides'
    outcomes a group at a time. With several repeats it is the settings: see `_over_seeds`.

    Raises:
        StudyError: see `outcomes.outcomes`.
    """
    sides = [
        _on_common_photos([*a, *b], catalogs, classes)[start:stop] for start, stop in ((0, len(a)), (len(a), None))
    ]
    first = sides[0][0]
    n = len(first.true)
    if n == 0:
        return {"n": 0}
    sums = [scored.sums() for side in sides for scored in side]
    totals = intervals.bootstrap(sparse.hstack(sums, format="csr"), seed=seed, resamples=resamples)
    drawn = metrics(totals.reshape(resamples, len(sums), -1))
    values = metrics(np.stack([each.sum(axis=0) for each in sums]))
    by_setting = min(len(a), len(b)) > 1 and not fixed
    right = [np.mean([scored.true == scored.predicted for scored in side], axis=0) for side in sides]
    loss = [np.mean([scored.loss for scored in side], axis=0) for side in sides]
    p_values = _swap_p_values(first, right[0] - right[1], loss[0] - loss[1], seed, permutations)
    compared = {}
    for metric, p in zip(METRICS, p_values, strict=True):
        each = np.split(values[metric], [len(a)])
        value_a, value_b = (side.mean() for side in each)
        resampled = [side.mean(axis=1) for side in np.split(drawn[metric], [len(a)], axis=1)]
        apart = resampled[0] - resampled[1]
        low, high = intervals.percentile_interval(apart)
        if by_setting:
            photos = float(np.nanvar(apart, ddof=1))
            low, high, p = _over_seeds(each[0], each[1], photos, int(first.groups.max()))
        compared[metric] = {
            "model_value": float(value_a),
            "based_on_value": float(value_b),
            "difference": float(value_a - value_b),
            "low": float(low),
            "high": float(high),
            "p": float(p),
        }
    return {
        "n": n,
        "groups": int(first.groups.max()) + 1,
        "seeds": min(len(a), len(b)),
        "metrics": compared,
        "both_right": float((right[0] * right[1]).sum()),
        "only_model_right": float((right[0] * (1 - right[1])).sum()),
        "only_based_on_right": float(((1 - right[0]) * right[1]).sum()),
        "both_wrong": float(((1 - right[0]) * (1 - right[1])).sum()),
    }


def holm(p: Sequence[float]) -> NDArray[np.float64]:
    """Holm's adjusted p values (1979), float64 [n], in the order given."""
    values = np.asarray(p, dtype=np.float64)
    order = values.argsort()
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return adjusted


def tabulate(compared: Sequence[tuple[Mapping[str, str], Mapping[str, Any]]]) -> pd.DataFrame:
    """A row (COLUMNS) a metric of each pair (family, model, based_on, part) and its result of `compare`.

    Holm's adjustment is over all pairs of a family on one part and metric.
    """
    rows = [
        {
            **pair,
            **{key: result[key] for key in COLUMNS if key in result},
            "metric": metric,
            **result["metrics"][metric],
        }
        for pair, result in compared
        if result["n"]
        for metric in METRICS
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    for _, p in table.groupby(["family", "part", "metric"])["p"]:
        table.loc[p.index, "p_holm"] = holm(p.to_list())
    return table


def _on_common_photos(tables: Sequence[pd.DataFrame], catalogs: pd.DataFrame, classes: Classes) -> list[Outcomes]:
    indexed = [table.set_index(KEYS) for table in tables]
    common = indexed[0].index
    for table in indexed[1:]:
        common = common.intersection(table.index)
    common = common.sort_values()
    return [outcomes(table.loc[common].reset_index(), catalogs, classes) for table in indexed]


def _over_seeds(
    a: NDArray[np.float64], b: NDArray[np.float64], photos: float, groups: int
) -> tuple[float, float, float]:
    """The 95 % interval (low, high) and p of the difference of two settings' means over their repeats.

    Two variances are added: that of `photos`, with `groups` degrees of freedom, and that of the seeds, from how
    far the values of the repeats, `a` and `b`, lie apart. Sides of as many repeats are paired: the i-th of both have
    one seed, and so the same initial weights and order of photos. The quantile is that of t with the degrees of
    freedom of Satterthwaite (1946): with two or three seeds it is large, as it should be.
    """
    difference = float(a.mean() - b.mean())
    sides = [a - b] if len(a) == len(b) else [a, b]
    parts = [(float(photos), groups), *((float(side.var(ddof=1)) / len(side), len(side) - 1) for side in sides)]
    variance = sum(part for part, _ in parts)
    if variance < 1e-20:
        return difference, difference, float(abs(difference) < 1e-10)
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts if degrees)
    error = np.sqrt(variance)
    half = special.stdtrit(freedom, 0.975) * error
    return difference - half, difference + half, float(2 * special.stdtr(freedom, -abs(difference) / error))


def _swap_p_values(
    first: Outcomes, right: NDArray[np.float64], loss: NDArray[np.float64], seed: int, permutations: int
) -> NDArray[np.float64]:
    """p of the differences in METRICS, from each photo's difference in being right and in loss."""
    have = np.bincount(first.true, minlength=first.classes)
    share = 1 / (have[first.true] * np.count_nonzero(have))
    each = sparse.csr_array(np.column_stack([right, right * share, loss]))
    return intervals.swap_p_values(
        intervals.group_sums(each, first.groups).toarray(), seed=seed, permutations=permutations
    )
