"""The scores of a model's answers for other class shares than those of its training, beside its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from manihot.scores.calibration import calibration
from manihot.scores.outcomes import Classes, estimate, measure, outcomes
from manihot.scores.score import confusion, per_class


def score_answers(
    tables: Mapping[str, pd.DataFrame],
    catalogs: pd.DataFrame,
    classes: Classes,
    *,
    as_found: Sequence[float],
    seed: int,
    resamples: int,
) -> dict[str, Any]:
    """The scores of each kind of answers to one part's photos; {} where the part has no photo.

    Args:
        tables: predictions of the same photos in the same order by kind: `raw` (its own) and core.names.ANSWERS.
        catalogs: the group of every photo.
        classes: label and name in the order of p0..pK.
        as_found: the shares of the classes among all photos of the study.
        seed: that of the resamples.
        resamples: of the bootstrap.

    Each kind has metrics (with intervals: see `outcomes.measure`), per_class, confusion and calibration as in
    `score.score`, confidence (the mean probability of the answers), and as_found: the accuracy that these recalls would
    give on photos of the shares `as_found`, with its interval.
    """
    if tables["raw"].empty:
        return {}
    scored = {kind: outcomes(table, catalogs, classes) for kind, table in tables.items()}
    measured = dict(zip(scored, measure(*scored.values(), seed=seed, resamples=resamples), strict=True))
    return {
        kind: {
            "metrics": measured[kind],
            "per_class": per_class(each, classes),
            "confusion": confusion(each.true, each.predicted, each.classes),
            "calibration": calibration(each.confidence, each.right, seed=seed),
            "confidence": float(each.confidence.mean()),
            "as_found": estimate(*each.recalls().mean(np.asarray(as_found))),
        }
        for kind, each in scored.items()
    }
