"""How often a model's prediction sets hold the true class, and how large they are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.applied import sets
from manihot.core.errors import StudyError
from manihot.core.tables import KEYS, probabilities
from manihot.predictions.calibration import shift
from manihot.scores.intervals import group_codes
from manihot.scores.outcomes import Classes, estimate, number
from manihot.scores.shares import shares


def held_sets(
    record: Mapping[str, Any],
    folds: Sequence[pd.DataFrame],
    priors: Sequence[Sequence[float]],
    answers: pd.DataFrame,
    coverage: float,
) -> NDArray[np.bool_]:
    """The sets of photos that each fold has predicted, bool [n, K], in the order of `answers`.

    Args:
        record: of the model's sets, as `sets.read` gives it.
        folds: each fold's own predictions of the photos, in one order.
        priors: what each fold was fitted with.
        answers: the answers that stand beside the sets: each set holds its own.
        coverage: that is asked for.

    Raises:
        StudyError: the tables are of other photos.
    """
    classes = len(priors[0])
    if any(not table[KEYS].reset_index(drop=True).equals(answers[KEYS].reset_index(drop=True)) for table in folds):
        raise StudyError("the predictions of the folds are not of the same photos: run the study again")
    equal = [1 / classes] * classes
    told = zip(folds, priors, strict=True)
    fair = np.stack([shift(probabilities(table, classes), prior, equal) for table, prior in told])
    return sets.sets(record, fair, probabilities(answers, classes).argmax(axis=1), coverage)


def score_sets(
    record: Mapping[str, Any],
    held: NDArray[np.bool_],
    photos: pd.DataFrame,
    catalogs: pd.DataFrame,
    classes: Classes,
    coverage: float,
) -> dict[str, Any]:
    """What sets are worth on photos of known class: plain content for JSON, {} where there is no photo.

    Args:
        record: of the model's sets.
        held: the sets, bool [n, K].
        photos: dataset, image_id and label of each.
        catalogs: the group of every photo.
        classes: label and name in their order.
        coverage: that was asked for.

    Returns:
        coverage, method, n; `covered`, the share of photos whose set holds their class, with its interval; `size`, the
        mean number of classes in a set; `single`, the share of sets with one class; `classes`: of each its label and
        name, n, covered, size, how many photos' scores judge it (`scores`; 0 where those of all classes do), and the
        share that is `guaranteed` (None where nothing is).
    """
    if photos.empty:
        return {}
    true = pd.Index([entry["label"] for entry in classes]).get_indexer(pd.Index(photos["label"]))
    groups, right = group_codes(photos, catalogs), held[np.arange(len(true)), true]
    every = shares(right, groups, np.zeros_like(true), 1)
    each, size = shares(right, groups, true, len(classes)), held.sum(axis=1)
    ends = each.intervals()
    rows = []
    for place, entry in enumerate(classes):
        known = sum(map(len, record["scores"][entry["label"]]))
        own = known if known >= sets.LEAST else 0
        sure = sets.guaranteed(own, len(record["folds"]), coverage) if own and record["method"] != sets.REFIT else None
        there = true == place
        rows.append(
            {
                **{key: entry[key] for key in ("label", "name")},
                "n": int(there.sum()),
                "covered": estimate(each.value[place], *ends[:, place]),
                "size": number(size[there].mean() if there.any() else None),
                "scores": own,
                "guaranteed": sure,
            }
        )
    return {
        "coverage": coverage,
        "method": record["method"],
        "n": len(true),
        "covered": estimate(every.value[0], *every.intervals()[:, 0]),
        "size": float(size.mean()),
        "single": float((size == 1).mean()),
        "classes": rows,
    }
