"""Two models on the same photos: what is the difference, and could it be chance?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from manihot.scores import intervals
from manihot.scores.score import Classes, Outcomes, metrics, outcomes

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
) -> dict[str, Any]:
    """Setting a minus setting b on the photos that all their tables have; `{"n": 0}` where there is none.

    A side is the predictions of one setting, a table a repeat with another seed. Values are means over
    repeats. Returns n, groups, seeds (repeats of the side with fewer), for each of METRICS both values,
    difference, low, high and p, and the counts of McNemar's table (means over pairs of repeats).

    The 95 % interval resamples groups of photos, the same for both sides, and repeats: one fewer than there
    are, with replacement, because as many as there are would understate their variance by (S - 1) / S (Rao
    and Wu 1988). Sides of as many repeats are paired: the i-th tables of both have one seed, and so the same
    initial weights and order of photos. With one repeat it holds for these two trained models, not for the
    settings. p swaps the sides' outcomes a group of photos at a time; it asks whether these trained models
    differ on other photos, however many repeats there are.

    Raises:
        StudyError: see `scores.outcomes`.
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
    generator = np.random.default_rng([seed, len(a), len(b)])
    weights = [_repeat_weights(generator, resamples, len(side)) for side in sides]
    if len(a) == len(b):
        weights[1] = weights[0]

    right = [np.mean([scored.true == scored.predicted for scored in side], axis=0) for side in sides]
    loss = [np.mean([scored.loss for scored in side], axis=0) for side in sides]
    p_values = _swap_p_values(first, right[0] - right[1], loss[0] - loss[1], seed, permutations)
    compared = {}
    for metric, p in zip(METRICS, p_values, strict=True):
        value_a, value_b = values[metric][: len(a)].mean(), values[metric][len(a) :].mean()
        resampled = [
            np.sum(w * d, axis=1) for w, d in zip(weights, np.split(drawn[metric], [len(a)], axis=1), strict=True)
        ]
        low, high = intervals.percentile_interval(resampled[0] - resampled[1])
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


def _repeat_weights(generator: np.random.Generator, resamples: int, repeats: int) -> NDArray[np.float64]:
    """What each repeat counts in each resample, [resamples, repeats]; rows sum to 1."""
    drawn = max(1, repeats - 1)
    return generator.multinomial(drawn, np.full(repeats, 1 / repeats), size=resamples) / drawn


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
