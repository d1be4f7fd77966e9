"""Gradient-boosted trees (XGBoost) on stored features."""

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

from manihot.core import arrays, files, gpus
from manihot.core.errors import StudyError
from manihot.core.gpus import Compute
from manihot.core.state import State
from manihot.core.tables import history_columns
from manihot.features.table import select
from manihot.networks import bundle
from manihot.networks.bundle import Bundle
from manihot.splits.folds import Fold

# A round of five trees on 1,280 features takes some 0.2 s on two cores: a kill loses a few seconds.
ROUNDS_A_CHECKPOINT = 25


@dataclass(frozen=True)
class Recipe:
    """How trees are boosted; all of XGBoost's other settings keep their defaults."""

    n_estimators: int
    max_depth: int
    learning_rate: float
    seed: int


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
    `parameters` counts the trees' thresholds and leaf values. Goes on from the rounds that the state holds.

    Raises:
        StudyError: damaged features, or cuda is asked for and there is none.
    """
    training, validation = fold.training, fold.validation
    with _device(compute) as device:
        settings = parameters(len(fold.classes), recipe, device, compute.threads)
        train = _matrix(features, fold, training, compute.threads)
        watched = [(train, "train")]
        if len(validation):
            watched.append((_matrix(features, fold, validation, compute.threads, train), "validation"))
        booster, history = _kept(state, settings)
        while len(history) < recipe.n_estimators:
            rounds = min(ROUNDS_A_CHECKPOINT, recipe.n_estimators - len(history))
            measured: dict[str, dict[str, list[float]]] = {}
            booster = xgboost.train(
                settings,
                train,
                rounds,
                evals=watched,
                evals_result=measured,
                verbose_eval=False,
                xgb_model=booster,
            )
            history += _rows(measured, rounds, len(history), recipe.learning_rate)
            state.save("rounds.ubj", bytes(booster.save_raw("ubj")))
            state.save_json("history.json", history)
            progress(len(history), recipe.n_estimators, f"train accuracy {history[-1][2]:.3f}")
    assert booster is not None
    files.write_table(state.folder / "history.csv", pd.DataFrame(history, columns=history_columns("round")))
    _save(state.folder, booster, fold, arrays.read_manifest(features[0])["backbone"])
    return {"photos": len(training), "device": device, "precision": "float32"}


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


def _kept(state: State, settings: dict[str, Any]) -> tuple[xgboost.Booster | None, list[list[Any]]]:
    """The rounds that an interrupted fit kept, if any."""
    content, history = state.load("rounds.ubj"), state.load_json("history.json")
    if content is None or history is None:
        return None, []
    booster = xgboost.Booster(settings, model_file=bytearray(content))
    # A kill between the two writes leaves the history a checkpoint behind: those rounds are made again.
    return booster[: len(history)] if history else None, history


def _save(folder: Path, booster: xgboost.Booster, fold: Fold, backbone: dict[str, Any]) -> None:
    trees = booster.get_dump()
    nodes = sum(tree.count("\n") for tree in trees)
    counts = {"parameters": nodes, "trainable": nodes, "trees": len(trees)}
    record = bundle.describe("boosting", fold, backbone, counts, "float32", backbone=backbone)
    bundle.save(folder, record, bytes(booster.save_raw("ubj")))


def predict(
    trees: Bundle, features: Sequence[str | PathLike[str]], photos: pd.DataFrame, threads: int
) -> NDArray[np.float32]:
    """Probabilities of the classes for `photos`, float32 [n, K].

    Raises:
        StudyError: a damaged file.
    """
    booster = xgboost.Booster({"nthread": threads}, model_file=bytearray(trees.weights()))
    return booster.inplace_predict(select(features, photos))
