"""Training of a fold, and the check that a network can learn at all."""

import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.core.state import State
from manihot.core.tables import history_columns
from manihot.networks import build, bundle, losses
from manihot.networks.activations import Activations
from manihot.networks.augment import derive
from manihot.networks.batches import Photos
from manihot.networks.bundle import Bundle
from manihot.networks.cam import cam_layer
from manihot.networks.device import choose, costs
from manihot.splits.folds import Fold
from manihot.training.recipe import Recipe
from manihot.training.trainer import CHECKPOINT, LabelledPhotos, Progress, Trainer

# Checkpoints may take this share of the time: a GPU has several epochs a second, and a checkpoint 160 MB.
CHECKPOINT_SHARE = 0.1


def train_fold(
    recipe: Recipe,
    experiment: str,
    fold: Fold,
    gather: Callable[[pd.DataFrame, int], Photos | Activations],
    weights: Path | None,
    state: State,
    progress: Progress,
    head: Bundle | None = None,
) -> dict[str, Any]:
    """Train a fold into `state.folder`: weights.safetensors, history.csv, model.json; returns what it cost.

    `gather` gives the pixels, uint8 [n, size, size, 3], of rows of the fold's photos at a size, or their activations
    where the recipe trains from a cut on. Training photos have the recipe's `cache_size`, validation photos the size
    that the network sees. Goes on from the last checkpoint in `state`; on a CPU the files are the same as without
    interruption. `weights` is the file of a published network's weights, `head` a head that the last layer starts from.

    Raises:
        StudyError: the loss is no longer a number, or network, weights or device do not suit the recipe.
    """
    torch.set_num_threads(recipe.compute.threads)
    seed = derive(recipe.seed, recipe.repeat, fold.number)
    known, unknown = (
        LabelledPhotos.of(rows, fold.labels, gather(rows, size))
        for rows, size in ((fold.training, recipe.cache_size), (fold.validation, recipe.input.size))
    )
    with choose(recipe.compute) as device:
        where = f"experiment {experiment}, fold {fold.number}"
        trainer = Trainer(recipe, where, seed, len(fold.classes), known, unknown, weights, device)
        if head is not None:
            trainer.start_from(head)
        epochs = _run(trainer, state, progress)
        cost = costs(device, trainer.dtype)
        content = trainer.weights()
    weighed = getattr(trainer.loss, "weight", None)  # a loss need not weigh classes
    weights_of_classes = None if weighed is None else weighed.tolist()
    counted = weights_of_classes or [1.0] * len(fold.classes)
    record = bundle.describe(
        "network",
        fold,
        recipe.input.record(weights) | cam_layer(trainer.model, recipe.input.size),
        build.parameter_counts(trainer.model),
        str(cost["precision"]),
        weights_of_classes,
        prior=losses.prior(recipe.loss, fold.class_shares(), counted, recipe.label_smoothing),
    )
    bundle.save(state.folder, record, content)
    return {**cost, "photos": epochs * len(known.targets)}


def check_overfit(
    recipe: Recipe,
    check: str,
    classes: int,
    photos: LabelledPhotos,
    weights: Path | None,
    state: State,
    progress: Progress,
) -> dict[str, Any]:
    """Train until an epoch gets every photo right, or to the last epoch; returns what it cost.

    Writes history.csv and result.json (the best training accuracy, its epoch, whether it is 1) to
    `state.folder`.
    """
    torch.set_num_threads(recipe.compute.threads)
    nothing = LabelledPhotos(np.empty((0, *photos.pixels.shape[1:]), np.uint8), photos.targets[:0], photos.keys[:0])
    with choose(recipe.compute) as device:
        seed = derive(recipe.seed, recipe.repeat)
        trainer = Trainer(recipe, f"overfit check {check}", seed, classes, photos, nothing, weights, device)
        epochs = _run(trainer, state, progress, enough=1.0)
        cost = costs(device, trainer.dtype)
    best = max(trainer.history, key=lambda row: row["train_accuracy"])
    accuracy = best["train_accuracy"]
    result = {"accuracy": accuracy, "epoch": best["epoch"], "passed": accuracy == 1}
    files.write_json(state.folder / "result.json", result)
    return {**cost, "photos": epochs * len(photos.targets)}


def _run(trainer: Trainer, state: State, progress: Progress, enough: float = np.inf) -> int:
    """Train to the last epoch, or until training accuracy is `enough`; returns how many epochs it ran."""
    first = trainer.resume(state)
    saved, saving = time.monotonic(), 0.0
    while not trainer.done and not (trainer.history and trainer.history[-1]["train_accuracy"] >= enough):
        trainer.run_epoch(progress)
        now = time.monotonic()
        if not trainer.done and saving <= CHECKPOINT_SHARE * (now - saved):
            state.save(CHECKPOINT, trainer.checkpoint())
            saved = time.monotonic()
            saving = saved - now
    files.write_table(state.folder / "history.csv", pd.DataFrame(trainer.history, columns=history_columns("epoch")))
    return len(trainer.history) - first


def balanced_photos(split: pd.DataFrame, photos: int, seed: int) -> pd.DataFrame:
    """At most `photos` photos of a split's pool at random, equally many of each class.

    Raises:
        StudyError: they are fewer than the classes.
    """
    pool = split[split["role"] == "pool"]
    if photos < pool["label"].nunique():
        raise StudyError(f"photos: {photos} are fewer than the {pool['label'].nunique()} classes: give more")
    each = min(photos // pool["label"].nunique(), pool["label"].value_counts().min())
    generator = np.random.default_rng([seed, zlib.crc32(b"overfit")])
    return pool.groupby("label").sample(each, random_state=generator)
