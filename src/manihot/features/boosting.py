"""Gradient-boosted trees (XGBoost) on stored features.

How many rounds are boosted can be chosen by early stopping on an inner fold of the training photos, never on those that
the fold holds out; the trees are then grown anew on all training photos.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost
from numpy.typing import NDArray

from manihot.core import files, gpus
from manihot.core.errors import StudyError
from manihot.core.gpus import Compute
from manihot.core.state import State
from manihot.core.tables import history_columns
from manihot.features.inner import inner_folds, telling
from manihot.features.table import backbones, select
from manihot.networks import bundle
from manihot.networks.bundle import Bundle
from manihot.splits.folds import Fold

# A round of five trees on 1,280 features takes some 0.2 s on two cores: a kill loses a few seconds.
ROUNDS_A_CHECKPOINT = 25
# One of them is what early stopping looks at.
INNER_FOLDS = 5

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """How trees are boosted; all of XGBoost's other settings keep their defaults.

    `n_estimators` is the number of rounds, with `early_stopping` the most: boosting ends after so many rounds without a
    lower log loss on an inner fold. `subsample` is the share of photos that a round sees, `colsample_bynode` that of
    features that a node chooses from.
    """

    n_estimators: int
    max_depth: int
    learning_rate: float
    seed: int
    early_stopping: int | None = None
    subsample: float = 1.0
    colsample_bynode: float = 1.0
    min_child_weight: float = 1.0


def fit(
    state: State,
    features: Sequence[str | PathLike[str]],
    fold: Fold,
    recipe: Recipe,
    compute: Compute,
    progress: Callable[[int, int, str], None],
) -> dict[str, Any]:
    """Fit trees to the classes' softmax; returns what it cost.

    Writes to the state's folder: booster.ubj, history.csv (a round a row) and model.json, where
    `parameters` counts the trees' thresholds and leaf values, and `tuned` has the rounds that early stopping chose.
    Goes on from the rounds that the state holds.

    Raises:
        StudyError: damaged features, cuda is asked for and there is none, or too few groups to tune on.
    """
    training, validation = fold.training, fold.validation
    with _device(compute) as device:
        growth = _Growth(state, parameters(len(fold.classes), recipe, device, compute.threads), recipe, progress)
        rounds, tuned = recipe.n_estimators, {}
        if recipe.early_stopping is not None:
            out, told = _inner(fold, recipe.seed)
            known = _matrix(features, fold, training[~out], compute.threads)
            asked = _matrix(features, fold, training[told], compute.threads, known)
            _, history = growth.grow("inner", known, [(asked, "validation")], recipe.n_estimators)
            losses = [row[3] for row in history]
            rounds = best_round(losses, recipe.early_stopping)
            lowest = round(losses[rounds - 1], 6)
            tuned = {"rounds": rounds, "most_rounds": recipe.n_estimators, "inner_log_loss": lowest}
            if rounds == recipe.n_estimators:
                log.warning("the lowest log loss is that of the last round, %d: set n_estimators higher", rounds)
        train = _matrix(features, fold, training, compute.threads)
        watched: list[tuple[xgboost.DMatrix, str]] = [(train, "train")]
        if len(validation):
            watched.append((_matrix(features, fold, validation, compute.threads, train), "validation"))
        booster, history = growth.grow("rounds", train, watched, rounds)
    assert booster is not None
    files.write_table(state.folder / "history.csv", pd.DataFrame(history, columns=history_columns("round")))
    _save(state.folder, booster, fold, backbones(features), tuned)
    return {"photos": len(training), "device": device, "precision": "float32"}


def _inner(fold: Fold, seed: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The first inner fold that tells anything, and those of its photos that do, both bool [n]."""
    inner, target = inner_folds(fold, INNER_FOLDS, seed), fold.targets(fold.training)
    parts = ((out, telling(target, out)) for number in np.unique(inner) for out in [inner == number])
    return next((out, told) for out, told in parts if told.any())


def best_round(losses: Sequence[float], patience: int) -> int:
    """The round (from 1 on) of the lowest loss before `patience` rounds in a row that brought none lower."""
    best = 0
    for place, loss in enumerate(losses):
        if loss < losses[best]:
            best = place
        elif place - best >= patience:
            break
    return best + 1


@dataclass(frozen=True)
class _Growth:
    """Trees that grow, and what is kept of them after every few rounds."""

    state: State
    settings: dict[str, Any]
    recipe: Recipe
    progress: Callable[[int, int, str], None]

    def grow(
        self, name: str, train: xgboost.DMatrix, watched: Sequence[tuple[xgboost.DMatrix, str]], most: int
    ) -> tuple[xgboost.Booster | None, list[list[Any]]]:
        """The trees of `most` rounds, kept as `name`, and a row of history a round.

        The trees called inner end where early stopping has seen enough.
        """
        booster, history = self._kept(name)
        while len(history) < most and not (name == "inner" and self._stopped(history)):
            rounds = min(ROUNDS_A_CHECKPOINT, most - len(history))
            measured: dict[str, dict[str, list[float]]] = {}
            booster = xgboost.train(
                self._settings(len(history)),
                train,
                rounds,
                evals=list(watched),
                evals_result=measured,
                verbose_eval=False,
                xgb_model=booster,
            )
            history += _rows(measured, rounds, len(history), self.recipe.learning_rate)
            self.state.save(f"{name}.ubj", bytes(booster.save_raw("ubj")))
            self.state.save_json(f"{name}.json", history)
            accuracy, part = (history[-1][4], "inner") if name == "inner" else (history[-1][2], "train")
            self.progress(len(history), most, f"{part} accuracy {accuracy:.3f}")
        return booster, history

    def _stopped(self, history: list[list[Any]]) -> bool:
        patience = self.recipe.early_stopping
        assert patience is not None
        return len(history) - best_round([row[3] for row in history], patience) >= patience

    def _settings(self, done: int) -> dict[str, Any]:
        """Random numbers start again at every saving, so that a fit that was killed draws those of one that was not."""
        drawn = min(self.recipe.subsample, self.recipe.colsample_bynode) < 1
        return self.settings | ({"seed": self.recipe.seed + done} if drawn else {})

    def _kept(self, name: str) -> tuple[xgboost.Booster | None, list[list[Any]]]:
        """The rounds that an interrupted fit kept, if any."""
        content, history = self.state.load(f"{name}.ubj"), self.state.load_json(f"{name}.json")
        if content is None or history is None:
            return None, []
        booster = xgboost.Booster(self.settings, model_file=bytearray(content))
        # A kill between the two writes leaves the history a checkpoint behind: those rounds are made again.
        return booster[: len(history)] if history else None, history


@contextmanager
def _device(compute: Compute) -> Iterator[str]:
    """XGBoost's name of the device to fit on; `auto` is a GPU where there is one that it can use."""
    found = gpus.count() if xgboost.build_info()["USE_CUDA"] else 0
    if compute.device == "cuda" and not found:
        raise StudyError("device is cuda, but no CUDA device is visible here: set device to auto or cpu")
    if compute.device == "cpu" or not found:
        yield "cpu"
        return
    with gpus.leased(found, compute.gpu_slots) as index:
        yield f"cuda:{index}"


def parameters(classes: int, recipe: Recipe, device: str, threads: int) -> dict[str, Any]:
    """XGBoost's parameters of a recipe; all others keep XGBoost's defaults."""
    return {
        "objective": "multi:softprob",
        "num_class": classes,
        "eval_metric": ["mlogloss", "merror"],
        "tree_method": "hist",
        "max_depth": recipe.max_depth,
        "learning_rate": recipe.learning_rate,
        "subsample": recipe.subsample,
        "colsample_bynode": recipe.colsample_bynode,
        "min_child_weight": recipe.min_child_weight,
        "seed": recipe.seed,
        "device": device,
        "nthread": threads,
    }


def _matrix(
    features: Sequence[str | PathLike[str]],
    fold: Fold,
    photos: pd.DataFrame,
    threads: int,
    reference: xgboost.DMatrix | None = None,
) -> xgboost.QuantileDMatrix:
    """The features and class indices of `photos`, binned as those of `reference` where there is one."""
    rows, target = select(features, photos), fold.targets(photos)
    return xgboost.QuantileDMatrix(rows, label=target, nthread=threads, ref=reference)


def _rows(measured: dict[str, dict[str, list[float]]], rounds: int, done: int, rate: float) -> list[list[Any]]:
    """Rows of history from what XGBoost measured in `rounds` rounds after the first `done`."""
    columns: list[list[Any]] = []
    for part in ("train", "validation"):
        scores = measured.get(part, {"mlogloss": [None] * rounds, "merror": [None] * rounds})
        columns += [scores["mlogloss"], [None if wrong is None else 1 - wrong for wrong in scores["merror"]]]
    return [[done + row + 1, *(column[row] for column in columns), rate] for row in range(rounds)]


def _save(
    folder: Path, booster: xgboost.Booster, fold: Fold, frozen: list[dict[str, Any]], tuned: dict[str, Any]
) -> None:
    trees = booster.get_dump()
    nodes = sum(tree.count("\n") for tree in trees)
    counts = {"parameters": nodes, "trainable": nodes, "trees": len(trees)}
    record = bundle.describe("boosting", fold, {"backbones": frozen}, counts, "float32")
    bundle.save(folder, record | ({"tuned": tuned} if tuned else {}), bytes(booster.save_raw("ubj")))


def predict(
    trees: Bundle, features: Sequence[str | PathLike[str]], photos: pd.DataFrame, threads: int
) -> NDArray[np.float32]:
    """Probabilities of the classes for `photos`, float32 [n, K].

    Raises:
        StudyError: a damaged file.
    """
    return load(trees, threads).inplace_predict(select(features, photos))


def load(trees: Bundle, threads: int) -> xgboost.Booster:
    """The trees of a fitted fold: `inplace_predict` gives probabilities float32 [n, K] for features [n, D].

    Raises:
        StudyError: a damaged file.
    """
    return xgboost.Booster({"nthread": threads}, model_file=bytearray(trees.weights()))
