"""Prediction sets are scored: how often they hold the true class, class by class, and what is guaranteed."""

import numpy as np
import pandas as pd
import pytest

from manihot.applied import sets
from manihot.core.errors import StudyError
from manihot.core.tables import read_photos
from manihot.predictions.calibration import shift
from manihot.scores.coverage import held_sets, score_sets

CLASSES = [{"label": label, "name": f"{label} leaf"} for label in "ab"]
LIMITS = np.linspace(0.02, 0.6, 30)
RECORD = {
    "method": "cv+", "folds": [1, 2],
    "scores": {"a": [list(LIMITS[::2]), list(LIMITS[1::2])], "b": [[0.1], [0.2]]},
}  # fmt: skip
PRIORS = [[0.8, 0.2], [0.7, 0.3]]


def table(values, labels="aabb"):
    keys = {"dataset": "d", "image_id": [f"{n}.jpg" for n in range(len(labels))], "label": list(labels)}
    return pd.DataFrame(keys).join(pd.DataFrame(values, columns=["p0", "p1"]))


FOLDS = [table([[p, 1 - p] for p in (0.9, 0.5, 0.4, 0.05)]), table([[p, 1 - p] for p in (0.8, 0.6, 0.3, 0.1)])]
ANSWERS = table([[0.9, 0.1], [0.3, 0.7], [0.3, 0.7], [0.1, 0.9]])
CATALOG = ANSWERS[["dataset", "image_id"]].assign(group=[0, 1, 2, 2])


def test_each_fold_is_corrected_for_its_own_prior_and_the_answer_is_in_the_set():
    held = held_sets(RECORD, FOLDS, PRIORS, ANSWERS, 0.9)
    columns = ["p0", "p1"]
    fair = np.stack([shift(t[columns].to_numpy(), p, [0.5, 0.5]) for t, p in zip(FOLDS, PRIORS, strict=True)])
    best = ANSWERS[columns].to_numpy().argmax(axis=1)
    assert (held == sets.sets(RECORD, fair, best, 0.9)).all() and held[np.arange(4), best].all()
    alike = held_sets(RECORD, FOLDS, [[0.5, 0.5]] * 2, ANSWERS, 0.9)
    assert (held != alike).any()


def test_tables_of_other_photos_are_refused():
    with pytest.raises(StudyError, match="not of the same photos"):
        held_sets(RECORD, [FOLDS[0], FOLDS[1][::-1]], PRIORS, ANSWERS, 0.9)


def test_a_part_without_photos_has_no_sets(tmp_path):
    """As the tables of such a part are read from their files."""
    FOLDS[0][:0].to_csv(tmp_path / "none.csv", index=False)
    none = read_photos(tmp_path / "none.csv")
    held = held_sets(RECORD, [none, none], PRIORS, none, 0.9)
    assert held.shape == (0, 2) and score_sets(RECORD, held, none, CATALOG, CLASSES, 0.9) == {}


def test_coverage_and_size_are_told_class_by_class():
    held = np.array([[True, False], [False, True], [True, True], [True, True]])
    told = score_sets(RECORD, held, ANSWERS, CATALOG, CLASSES, 0.9)
    assert (told["n"], told["covered"]["value"], told["size"], told["single"]) == (4, 0.75, 1.5, 0.5)
    a, b = told["classes"]
    assert (a["n"], a["covered"]["value"], a["size"], a["scores"]) == (2, 0.5, 1.0, 30)
    assert a["guaranteed"] == sets.guaranteed(30, 2, 0.9)
    # Two photos of one group are one witness: nothing is known. Two scores are too few to judge a class.
    assert b["covered"] == {"value": 1.0, "low": 0.0, "high": 1.0} and b["size"] == 2
    assert b["scores"] == 0 and b["guaranteed"] is None
    assert told["covered"]["low"] < 0.75 < told["covered"]["high"]


def test_of_a_refit_nothing_is_guaranteed():
    record = sets.of_refit(RECORD)
    told = score_sets(record, np.ones((4, 2), bool), ANSWERS, CATALOG, CLASSES, 0.9)
    assert [entry["guaranteed"] for entry in told["classes"]] == [None, None] and told["method"] == sets.REFIT
    assert score_sets(record, np.ones((0, 2), bool), ANSWERS[:0], CATALOG, CLASSES, 0.9) == {}
