"""The scores of a model's answers for other class shares than those of its training, beside its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from manihot.core.tables import locate, probabilities
from manihot.scores.answering import answering
from manihot.scores.calibration import calibration
from manihot.scores.costs import Costs, cost_matrix, expected_costs
from manihot.scores.outcomes import Classes, estimate, measure, outcomes
from manihot.scores.score import by_site, confusion, per_class


def score_answers(
    tables: Mapping[str, pd.DataFrame],
    catalogs: pd.DataFrame,
    classes: Classes,
    *,
    as_found: Sequence[float],
    target: Sequence[float] | None,
    costs: Costs,
    seed: int,
    resamples: int,
) -> dict[str, Any]:
    """The scores of each kind of answers to one part's photos; {} where the part has no photo.

    Args:
        tables: predictions of the same photos in the same order by kind: `raw` (its own) and core.names.ANSWERS.
        catalogs: the group of every photo.
        classes: label and name in the order of p0..pK.
        as_found: the shares of the classes among all photos of the study.
        target: the class shares that the answers but for `raw` are for, where those of the photos are others: they are
            scored as if the photos had them. None where the photos have them.
        costs: what a wrong answer costs, as in the study.
        seed: that of the resamples.
        resamples: of the bootstrap.

    Each kind has metrics (with intervals: see `outcomes.measure`), per_class, confusion and calibration as in
    `score.score`, confidence (the mean probability of the answers), as_found: the accuracy that these recalls would
    give on photos of the shares `as_found`, with its interval (None with `target`: such answers are for other shares);
    sites as in `score.score`; cost as in `costs.expected_costs`, and answering as in
    `answering.answering`.
    """
    if tables["raw"].empty:
        return {}
    scored = {kind: outcomes(table, catalogs, classes) for kind, table in tables.items()}
    if target is not None:
        scored = {kind: each if kind == "raw" else each.for_shares(target) for kind, each in scored.items()}
    sites = locate(tables["raw"], catalogs, ["site"])["site"]
    drawn: dict[str, Any] = {"seed": seed, "resamples": resamples}
    measured = dict(zip(scored, measure(*scored.values(), **drawn), strict=True))
    surest = {kind: answering(each.confidence, each.right, each.groups) for kind, each in scored.items()}
    for kind, found in surest.items():
        # Where all photos are answered, the share right is the accuracy, and has its interval.
        for entry in found["at"]:
            if entry["answered"] == 1 and scored[kind].weight is None:
                entry |= {end: measured[kind]["accuracy"][end] for end in ("low", "high")}
    given = {kind: probabilities(table, len(classes)) for kind, table in tables.items()}
    matrix = cost_matrix(costs, classes)
    return {
        kind: {
            "metrics": measured[kind],
            "per_class": per_class(each, classes),
            "confusion": confusion(each.true, each.predicted, each.classes),
            "calibration": calibration(each.confidence, each.right, each.weight, seed=seed),
            "confidence": float(np.average(each.confidence, weights=each.weight)),
            "sites": by_site(each, sites, **drawn),
            "cost": expected_costs(each, given[kind], matrix, measured[kind]["accuracy"], **drawn),
            "answering": surest[kind],
            "as_found": None if each.weight is not None else estimate(*each.recalls().mean(np.asarray(as_found))),
        }
        for kind, each in scored.items()
    }
