"""Whether strange photos are told from a study's own tested ones by how unlike the reference photos they are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A photo with a larger value is called strange; five in a hundred of a study's own have one.
FAR = 95.0
NORMAL, HALVINGS = 1.959963984540054, 60

Floats = NDArray[np.floating]


def auroc(own: Floats, strange: Floats, groups: int | None = None) -> dict[str, float | None]:
    """How often a strange photo has the larger value, of all pairs with one of the study's own; ties count half.

    That is the area under the ROC curve (Hanley and McNeil 1982). Its 95 % interval is Newcombe's (2006, "Confidence
    intervals for an effect size measure based on the Mann-Whitney statistic", method 5), which is wider than a point
    where no pair is wrong. `groups` is how many groups the own photos are of: as many photos are counted.

    Returns:
        value, low and high; None where a side has no photo.
    """
    if not len(own) or not len(strange):
        return {"value": None, "low": None, "high": None}
    ordered = np.sort(own)
    below, upto = (np.searchsorted(ordered, strange, side=side).mean() / len(own) for side in ("left", "right"))
    value = float(below + upto) / 2
    counts = len(own) if groups is None else groups, len(strange)

    def too_far(limit: float) -> bool:
        """Whether an area of `limit` would seldom give what was found."""
        more = (sum(counts) / 2 - 1) * ((1 - limit) / (2 - limit) + limit / (1 + limit))
        return (value - limit) ** 2 > NORMAL**2 * limit * (1 - limit) * (1 + more) / (counts[0] * counts[1])

    ends = []
    for outer in (0.0, 1.0):
        inner = value
        for _ in range(HALVINGS):
            middle = (outer + inner) / 2
            outer, inner = (middle, inner) if too_far(middle) else (outer, middle)
        ends.append(inner)
    return {"value": value, "low": ends[0], "high": ends[1]}


def weigh(own: Floats, groups: NDArray[Any], kinds: Mapping[str, Floats]) -> dict[str, Any]:
    """What how unlike photos are tells: plain content for JSON.

    `own` [n] has the values of a study's tested photos, of which those of one of `groups` [n] are no independent ones,
    `kinds` those of strange photos by their kind. FAR, what is told of the own photos, and of each kind its name and
    its AUROC as in `auroc`: n, median, far (the share that is above FAR).
    """
    number = len(np.unique(groups))
    told = [{"kind": kind, **_told(values), "auroc": auroc(own, values, number)} for kind, values in kinds.items()]
    return {"limit": FAR, "own": {**_told(own), "groups": number}, "kinds": told}


def _told(values: Floats | Sequence[float]) -> dict[str, Any]:
    if not len(values):
        return {"n": 0, "median": None, "far": None}
    return {"n": len(values), "median": float(np.median(values)), "far": float((np.asarray(values) > FAR).mean())}
