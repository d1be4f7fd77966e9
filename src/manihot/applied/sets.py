"""Prediction sets: the classes that a photo may have, so that the true one is among them as often as is asked.

Conformal prediction by cross-validation (CV+: Romano, Sesia and Candès 2020, "Classification with valid and adaptive
coverage"; Barber, Candès, Ramdas and Tibshirani 2021, "Predictive inference with the jackknife+"). Each photo of the
pool is scored by the model of its own fold, which never saw it, and a new photo by each fold's model: a class is in the
photo's set unless the photo would be too strange in it, which is to say that nearly all photos of that class have a
smaller score from the model that scored them. The score is 1 less the class's probability (Sadinle, Lei and Wasserman
2019), in answers that are corrected for equal class shares. It has no temperature: that was fitted on these photos.

Classes are judged one by one: each is covered as asked, whatever the class shares of the new photos. A class with
fewer than LEAST photos is judged by the scores of all classes. Photos of one group are no independent witnesses: one of
each group and class counts, drawn by a seed (Dunn, Wasserman and Ramdas 2023).
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.applied.independent import one_a_group
from manihot.core import files
from manihot.core.errors import StudyError
from manihot.core.tables import KEYS, locate, probabilities
from manihot.predictions.calibration import shift

FILE, SCHEMA_VERSION = "conformal.json", 1
SCORE = "1 - probability, corrected for equal class shares"
# Scores that a class needs to be judged by its own; at a coverage of 0.9 the quantile is then not yet the largest.
LEAST = 20

Floats = NDArray[np.float64]


def scores(answers: Floats) -> Floats:
    """How strange a photo is in each class, of its probabilities [..., K]; the same shape."""
    return 1 - answers


def calibrate(
    tables: Sequence[pd.DataFrame],
    priors: Sequence[Sequence[float]],
    labels: Sequence[str],
    catalogs: pd.DataFrame,
    seed: int,
) -> dict[str, Any]:
    """The record of a model's prediction sets, as conformal.json has it: `sets` needs no more.

    Args:
        tables: the folds' own predictions on the photos that each was not fitted on, a fold a table.
        priors: what each fold was fitted with.
        labels: the classes in their order.
        catalogs: the groups of all photos.
        seed: that which draws one photo of each group.

    Returns:
        schema_version, score, `method` (`cv+`; `split` for a single fold), folds (their numbers), seed, and `scores`:
        for each label a list a fold of its photos' scores, ascending.
    """
    equal = [1 / len(labels)] * len(labels)
    parts = []
    for number, (table, prior) in enumerate(zip(tables, priors, strict=True)):
        classes = pd.Index(labels).get_indexer(table["label"])
        strange = scores(shift(probabilities(table, len(labels)), prior, equal))
        own = strange[np.arange(len(table)), classes].round(9)
        parts.append(table[[*KEYS, "label"]].assign(part=number, score=own))
    photos = pd.concat(parts, ignore_index=True)
    photos["group"] = locate(photos, catalogs, ["group"])["group"]
    drawn = photos.iloc[one_a_group(photos, seed, "sets")].sort_values("score")
    found = {key: rows["score"].tolist() for key, rows in drawn.groupby(["label", "part"])}
    by_class = {label: [found.get((label, part), []) for part in range(len(tables))] for label in labels}
    # A table without a photo has no fold's number: no score is of it.
    folds = [int(table["fold"].iloc[0]) if len(table) else 0 for table in tables]
    told = {"schema_version": SCHEMA_VERSION, "score": SCORE, "method": "cv+" if len(tables) > 1 else "split"}
    return {**told, "folds": folds, "seed": seed, "scores": by_class}


def of_refit(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record of the sets of a refit, from that of the folds that it is a refit of.

    Nothing was held out from a refit: its new photos are judged by the scores that the folds gave. Nothing is
    guaranteed of that; how often such sets hold the true class can only be measured on a test (`measured`).
    """
    merged = {label: [sorted(np.concatenate(parts).tolist())] for label, parts in record["scores"].items()}
    return {**record, "method": "of the folds", "folds": [0], "scores": merged}


def plausible(record: Mapping[str, Any], answers: Floats, coverage: float) -> NDArray[np.bool_]:
    """Which classes each photo may have, bool [n, K]; none where it is too strange in all of them.

    It may have class y unless (1 + n) `coverage` or more of the n scores of y lie below the photo's own, each compared
    with what the model of its own fold says of the photo. A larger coverage gives the same classes or more.

    Args:
        record: as `calibrate` or `of_refit` made it.
        answers: probabilities corrected for equal class shares, [folds, n, K], the folds as in the record.
        coverage: the share of photos that should be found plausible in their true class, above 0 and below 1.

    Raises:
        StudyError: a coverage that is none.
    """
    if not 0 < coverage < 1:
        raise StudyError(f"coverage: {coverage} must lie between 0 and 1")
    strange, known = scores(answers), record["scores"]
    everything = [np.sort(np.concatenate(parts)) for parts in zip(*known.values(), strict=True)]
    found = np.zeros(strange.shape[1:], bool)
    for place, own in enumerate(known.values()):
        parts = own if sum(map(len, own)) >= LEAST else everything
        below = sum(np.searchsorted(part, strange[fold, :, place], side="left") for fold, part in enumerate(parts))
        found[:, place] = below < round(coverage * (1 + sum(map(len, parts))), 9)
    return found


def sets(record: Mapping[str, Any], answers: Floats, best: NDArray[np.intp], coverage: float) -> NDArray[np.bool_]:
    """The set of each photo, bool [n, K]: the classes that are `plausible`, and its answer, class `best` (int [n]).

    So no set is empty, and none lacks the answer that stands beside it; that only adds to what is covered.

    Raises:
        StudyError: a coverage that is none.
    """
    found = plausible(record, answers, coverage)
    found[np.arange(len(best)), best] = True
    return found


def guaranteed(photos: int, folds: int, coverage: float) -> float:
    """The least share of photos of a class whose sets hold it, in the mean over studies: of `photos` scores in `folds`.

    With one fold it is `coverage` (split conformal prediction). With several it is 2 coverage - 1, less a little for
    few photos (Barber et al. 2021, theorem 4, for folds of one size); what is measured is about `coverage`.
    """
    if folds == 1:
        return coverage
    lost = min(2 * (1 - 1 / folds) / (photos / folds + 1), (1 - folds / photos) / (folds + 1)) if photos else 1.0
    return max(0.0, 1 - 2 * (1 - coverage) - lost)


def measured(held: NDArray[np.bool_], true: NDArray[np.int64]) -> dict[str, Any]:
    """What sets [n, K] are worth on photos of known class, int [n].

    `n`, `covered` (how many hold the true class), `classes` (for each class [covered, photos]), `size` (the mean number
    of classes in a set; None without a photo), `single` (how many hold one class).
    """
    right = held[np.arange(len(true)), true]
    count = held.shape[1]
    classes = [np.bincount(index, minlength=count) for index in (true[right], true)]
    return {
        "n": len(true),
        "covered": int(right.sum()),
        "classes": np.stack(classes, axis=1).tolist(),
        "size": float(held.sum(axis=1).mean()) if len(true) else None,
        "single": int((held.sum(axis=1) == 1).sum()),
    }


def read(path: str | PathLike[str], labels: Sequence[str], folds: Sequence[int]) -> dict[str, Any]:
    """The record of the sets of a model with these classes and folds, in their order.

    Raises:
        StudyError: it is damaged, of a later version or of another model.
    """
    try:
        record = files.read_json(path)
        version = record["schema_version"]
        parts = {label: [np.asarray(part, np.float64) for part in record["scores"][label]] for label in labels}
        right = record["folds"] == list(folds) and set(record["scores"]) == set(labels) and record["score"] == SCORE
        right = right and {len(part) for part in parts.values()} == {len(folds)}
        right = right and all((np.diff(part) >= 0).all() for own in parts.values() for part in own)
    except (OSError, ValueError, KeyError, TypeError):
        right, version = False, SCHEMA_VERSION
    if version != SCHEMA_VERSION:
        raise StudyError(f"{path} has the schema version {version}, and this version of Manihot reads {SCHEMA_VERSION}")
    if not right:
        raise StudyError(f"{path} is damaged or of another model: copy it from the study's results, or run it again")
    return {**record, "scores": parts}
