"""Gradient-boosted trees (XGBoost) on stored features."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost
from numpy.typing import NDArray

from manihot import feature_table, files, gpus, parts
from manihot.errors import StudyError
from manihot.state import State
from manihot.tables import history_columns

# A round of five trees on 1,280 features takes some 0.2 s on two cores: a kill loses a few seconds.
ROUNDS_A_CHECKPOINT = 25


def fit(
    state: State,
    features: Sequence[str | PathLike[str]],
    draw: pd.DataFrame,
    labels: Sequence[str],
    fold: int,
    *,
    n_estimators: int,
    max_depth: int,
    learning_rate: float,
    seed: int,
    device: str,
    gpu_slots: int,
    threads: int,
    progress: Callable[[int, int, str], None],
) -> dict[str, Any]:
    """Fit trees to the classes' softmax; returns what it cost.

    Writes to the state's folder: booster.ubj, history.csv (a round a row) and model.json, where
    `parameters` counts the trees' thresholds and leaf values. Goes on from the rounds that the state holds.

    Raises:
        StudyError: damaged features, or `device` is cuda and there is none.
    """
    training, validation = parts.training_rows(draw, fold), parts.validation_rows(draw, fold)
    with _device(device, gpu_slots) as chosen:
        settings = parameters(len(labels), max_depth, learning_rate, seed, chosen, threads)
        train = _matrix(features, training, labels, threads)
        watched = [(train, "train")]
        if len(validation):
            watched.append((_matrix(features, validation, labels, threads, train), "validation"))
        booster, history = _kept(state, settings)
        while len(history) < n_estimators:
            rounds = min(ROUNDS_A_CHECKPOINT, n_estimators - len(history))
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
            history += _rows(measured, rounds, len(history), learning_rate)
            state.save("rounds.ubj", bytes(booster.save_raw("ubj")))
            state.save_json("history.json", history)
            progress(len(history), n_estimators, f"train accuracy {history[-1][2]:.3f}")
    assert booster is not None
    _write(state.folder, booster, history)
    return {"photos": len(training), "device": chosen, "precision": "float32"}


@contextmanager
def _device(requested: str, gpu_slots: int) -> Iterator[str]:
    """XGBoost's name of the device to fit on; `auto` is a GPU where there is one that it can use."""
    found = gpus.count() if xgboost.build_info()["USE_CUDA"] else 0
    if requested == "cuda" and not found:
        raise StudyError("device is cuda, but no CUDA device is visible here: set device to auto or cpu")
    if requested == "cpu" or not found:
        yield "cpu"
        return
    with gpus.leased(found, gpu_slots) as index:
        yield f"cuda:{index}"


def parameters(
    classes: int, max_depth: int, learning_rate: float, seed: int, device: str, threads: int
) -> dict[str, Any]:
    """XGBoost's parameters of these settings; all others keep XGBoost's defaults."""
    return {
        "objective": "multi:softprob",
        "num_class": classes,
        "eval_metric": ["mlogloss", "merror"],
        "tree_method": "hist",
        "max_depth": max_depth,
        "learning_rate": learning_rate,
        "seed": seed,
        "device": device,
        "nthread": threads,
    }


def _matrix(
    features: Sequence[str | PathLike[str]],
    photos: pd.DataFrame,
    labels: Sequence[str],
    threads: int,
    reference: xgboost.DMatrix | None = None,
) -> xgboost.QuantileDMatrix:
    """The features and class indices of `photos`, binned as those of `reference` where there is one."""
    rows, target = feature_table.select(features, photos), parts.targets(photos, labels)
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


def _write(folder: Path, booster: xgboost.Booster, history: list[list[Any]]) -> None:
    files.write_bytes(folder / "booster.ubj", bytes(booster.save_raw("ubj")))
    files.write_table(folder / "history.csv", pd.DataFrame(history, columns=history_columns("round")))
    trees = booster.get_dump()
    nodes = sum(tree.count("\n") for tree in trees)
    model = {
        "booster": "xgboost",
        "trees": len(trees),
        "parameters": nodes,
        "trainable": nodes,
        "precision": "float32",
        "sha256": files.sha256(folder / "booster.ubj"),
    }
    files.write_json(folder / "model.json", model)


def predict(
    booster: str | PathLike[str],
    model: str | PathLike[str],
    features: Sequence[str | PathLike[str]],
    photos: pd.DataFrame,
    threads: int,
) -> NDArray[np.float32]:
    """Probabilities of the classes for `photos`, float32 [n, K]; `model` is the path of its model.json.

    Raises:
        StudyError: a damaged file.
    """
    trees = xgboost.Booster({"nthread": threads}, model_file=bytearray(parts.fitted(booster, model)))
    return trees.inplace_predict(feature_table.select(features, photos))
