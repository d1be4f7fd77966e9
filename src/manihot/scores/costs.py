"""What wrong answers cost: the mean cost of a photo, by the most probable answer and by that of least expected cost."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from manihot.scores import intervals
from manihot.scores.outcomes import Classes, Outcomes, estimate

# What an answer costs: true label -> answered label -> cost.
Costs: TypeAlias = Mapping[str, Mapping[str, float]]


def cost_matrix(costs: Costs, classes: Classes) -> NDArray[np.float64]:
    """The cost of each answer (columns) to each true class (rows), float64 [K, K].

    What `costs` does not name costs 1, and a right answer 0. Labels that are not among the classes are of other splits.
    """
    labels = [entry["label"] for entry in classes]
    named = [[costs.get(true, {}).get(answer, float(true != answer)) for answer in labels] for true in labels]
    return np.array(named, dtype=np.float64)


def mean_cost(true: NDArray[np.intp], answers: NDArray[np.intp], matrix: NDArray[np.float64]) -> float:
    """The mean cost of a photo, from its true class and its answer, int [n]."""
    return float(matrix[true, answers].mean())


def expected_costs(
    scored: Outcomes,
    probabilities: NDArray[np.float64],
    matrix: NDArray[np.float64],
    accuracy: Mapping[str, float | None],
    *,
    seed: int,
    resamples: int,
) -> dict[str, Any]:
    """The mean cost of a photo with its 95 % interval, {value, low, high}: `answer` and `least`.

    Args:
        scored: the photos; `answer` is what their predicted class costs.
        probabilities: float64 [n, K]; `least` is what the class costs whose expected cost by them is least. It has
            `changed` too, the share of photos that are answered otherwise.
        matrix: as `cost_matrix` gives it.
        accuracy: the accuracy with its interval. Where all wrong answers cost 1, both costs are 1 - accuracy.
        seed: of the bootstrap; groups are drawn within classes.
        resamples: how many.
    """
    if np.array_equal(matrix, 1 - np.eye(len(matrix))):
        value, low, high = (accuracy[key] for key in ("value", "low", "high"))
        turned = {
            name: None if end is None else 1 - end for name, end in (("value", value), ("low", high), ("high", low))
        }
        return {"answer": turned, "least": {**turned, "changed": 0.0}}
    least = (probabilities @ matrix).argmin(axis=1)
    paid = [matrix[scored.true, answers] for answers in (scored.predicted, least)]
    weight = np.ones(len(least)) if scored.weight is None else scored.weight
    each = sparse.csr_array(np.column_stack([*(weight * cost for cost in paid), weight]))
    sums = intervals.group_sums(each, scored.groups)
    drawn = intervals.bootstrap(sums, seed=seed, resamples=resamples, strata=scored.strata())
    ends = intervals.percentile_interval(drawn[:, :2] / drawn[:, 2:])
    found = [estimate(np.average(cost, weights=weight), *ends[:, place]) for place, cost in enumerate(paid)]
    return {"answer": found[0], "least": {**found[1], "changed": float(np.mean(least != scored.predicted))}}
