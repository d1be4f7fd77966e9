"""Probabilities for other class shares than those of the training photos, and as sure as they should be.

A model learns the class shares of the photos that it is fitted on, its prior: a network of balanced photos takes a rare
class to be as common as any. Where the shares are known, its answers can be told so (Saerens, Latinne and Decaestecker
2002; Menon et al. 2021): each class's probability counts target / prior times as much. One temperature a model (Guo et
al. 2017), fitted on predictions out of fold with that shift in place, makes it neither too sure nor too unsure.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.core.tables import probabilities, probability_columns
from manihot.predictions.ensembles import ensemble

Array = NDArray[np.float64]
# Probabilities of 0 have no logarithm: the least that is taken for one, as in the log loss.
LEAST = float(np.finfo(np.float64).eps)
# The inverse temperatures among which the best is looked for, and how often the range is halved: to 1e-12. Where all of
# a few photos are right the best would be without end, and the next wrong answer would cost without measure.
RANGE, HALVINGS = (0.2, 5.0), 60
# When shares estimated step by step stand still, and after how many steps they are taken as they are.
STILL, STEPS = 1e-8, 2000


def shift(given: Array, prior: Sequence[float], target: Sequence[float], temperature: float = 1.0) -> Array:
    """Probabilities [n, K] of a model fitted with the class shares `prior`, for photos with the shares `target`.

    They are softmax(log p / T + log target - log prior). A class that the model was not fitted on (prior 0) keeps its
    place: nothing is known to shift it by.
    """
    logs = np.log(np.clip(given, LEAST, 1)) / temperature + log_ratio(prior, target)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def fit_temperature(
    tables: Sequence[pd.DataFrame], priors: Sequence[Sequence[float]], labels: Sequence[str], target: Sequence[float]
) -> float | None:
    """The temperature with the least log loss out of fold; None where there is no photo.

    `tables` are the predictions of each fold's model on photos that it was not fitted on, `priors` the class shares
    that each was fitted with, `labels` the classes in their order. Photos are weighted so that classes have the shares
    `target`. The loss is convex in 1 / T: its slope is followed to 0, or to an end of RANGE.
    """
    logs, offsets, classes = [], [], []
    for table, prior in zip(tables, priors, strict=True):
        logs.append(np.log(np.clip(probabilities(table, len(labels)), LEAST, 1)))
        offsets.append(np.tile(log_ratio(prior, target), (len(table), 1)))
        classes.append(pd.Index(labels).get_indexer(table["label"]))
    log, offset, true = np.concatenate(logs), np.concatenate(offsets), np.concatenate(classes)
    if not len(true):
        return None
    counts = np.bincount(true, minlength=len(labels))
    weight = (np.asarray(target) / np.maximum(counts, 1))[true]
    told = log[np.arange(len(true)), true]

    def slope(inverse: float) -> float:
        """The derivative of the log loss: mean log p under the tempered model minus that of the true classes."""
        tempered = log * inverse + offset
        share = np.exp(tempered - tempered.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        return float(weight @ ((share * log).sum(axis=1) - told))

    low, high = RANGE
    for _ in range(HALVINGS):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1 / float(np.sqrt(low * high))


def estimate_shares(given: Sequence[Array], priors: Sequence[Sequence[float]], temperatures: Sequence[float]) -> Array:
    """The class shares [K] of photos without labels, as a model's answers tell (EM of Saerens et al. 2002).

    `given` are the probabilities [n, K] of each fold's model, `priors` the class shares that each was fitted with. From
    equal shares on, the shares become the mean of the answers that are for them, until they stand still. It holds only
    where the classes look as they did in training, and no class is new.
    """
    shares = np.full(given[0].shape[1], 1 / given[0].shape[1])
    for _ in range(STEPS):
        answers = [shift(p, prior, shares.tolist(), t) for p, prior, t in zip(given, priors, temperatures, strict=True)]
        found = np.mean([answer.mean(axis=0) for answer in answers], axis=0)
        if np.abs(found - shares).max() < STILL:
            break
        shares = found
    return shares


def shifted(
    tables: Sequence[pd.DataFrame],
    priors: Sequence[Sequence[float]],
    target: Sequence[float],
    temperatures: Sequence[float],
) -> list[pd.DataFrame]:
    """Each fold's table of predictions, its probabilities shifted from its own prior to `target` and tempered."""
    columns = probability_columns(len(target))
    moved = []
    for table, prior, temperature in zip(tables, priors, temperatures, strict=True):
        values = shift(probabilities(table, len(target)), prior, target, temperature)
        moved.append(table.drop(columns=columns, errors="ignore").join(pd.DataFrame(values, columns=columns)))
    return moved


def as_found(record: Mapping[str, Any]) -> list[float]:
    """The class shares of all photos, in the order of the classes, from the record of a split."""
    return [record["shares"][entry["label"]] for entry in record["classes"]]


def targets(record: Mapping[str, Any]) -> dict[str, list[float]]:
    """The class shares that the answers to each part are for, from the record of a split.

    Out of fold they are equal, since models are chosen by balanced accuracy. A test that is drawn has the shares that
    it was drawn with (equal ones, but for a new class with fewer photos). The test as found, and tests that the user
    gives, have those of all photos.
    """
    shares = as_found(record)
    equal = [1 / len(shares)] * len(shares)
    test = shares
    if record["asked"].get("test"):
        # No class is ruled out because it could not be drawn.
        drawn = [max(record["counts"]["test"].get(entry["label"], 0), 0.5) for entry in record["classes"]]
        test = [count / sum(drawn) for count in drawn]
    return {"validation": equal, "test": test, "test_as_found": shares}


def answer(
    folds: Mapping[str, Sequence[pd.DataFrame]],
    priors: Sequence[Sequence[float]],
    record: Mapping[str, Any],
    of_folds: float | None = None,
) -> tuple[dict[str, dict[str, pd.DataFrame]], float | None]:
    """The answers of a model for the class shares of each part, by kind and part, and its temperature.

    `folds` has the tables of each part, one a fold, `priors` what each fold was fitted with, `record` is the split's.
    Each fold's answers are shifted before they are averaged: `corrected` as they are, `calibrated` tempered too. The
    temperature of the tests is that of all photos out of fold; out of fold, each fold has that of the other folds, and
    a single fold has none. A refit has no photo out of fold: its temperature is `of_folds`, that of the folds that it
    is a refit of.
    """
    labels, shares = [entry["label"] for entry in record["classes"]], as_found(record)
    held_out = folds["validation"]
    temperature = fit_temperature(held_out, priors, labels, shares)
    temperature = of_folds if temperature is None else temperature
    one = [1.0 if temperature is None else temperature] * len(priors)
    others = [1.0]
    if len(priors) > 1:
        kept = [[other for other in range(len(priors)) if other != fold] for fold in range(len(priors))]
        fits = [
            fit_temperature([held_out[i] for i in rest], [priors[i] for i in rest], labels, shares) for rest in kept
        ]
        others = [1.0 if fit is None else fit for fit in fits]
    temperatures = {
        "corrected": dict.fromkeys(targets(record), [1.0] * len(priors)),
        "calibrated": {"validation": others, "test": one, "test_as_found": one},
    }
    answers = {
        kind: ensemble(
            {part: shifted(folds[part], priors, targets(record)[part], tempers) for part, tempers in parts.items()}
        )
        for kind, parts in temperatures.items()
    }
    return answers, temperature


def log_ratio(prior: Sequence[float], target: Sequence[float]) -> Array:
    """What `shift` adds to the logarithm of each class's probability: log target - log prior, float64 [K]; 0 where
    the prior is 0."""
    known = np.asarray(prior, dtype=np.float64) > 0
    ratio = np.divide(target, prior, out=np.ones(len(known)), where=known)
    offsets: Array = np.log(np.maximum(ratio, LEAST))
    return offsets
