"""Linear heads: the last layer of frozen backbones, of one or of several, fitted on their stored features.

By logistic regression whose penalty is chosen within the training photos (`logistic.py`), or by Adam.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from manihot.core import files
from manihot.core.tables import history_columns
from manihot.features import logistic
from manihot.features.inner import inner_folds
from manihot.features.table import backbones, select
from manihot.networks import augment, bundle
from manihot.networks.bundle import Bundle
from manihot.networks.losses import class_weights
from manihot.splits.folds import Fold


@dataclass(frozen=True)
class Adam:
    """How a head is fitted by Adam: on photos in one of `views`, drawn anew for each photo and epoch."""

    views: Sequence[str]
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int


Recipe = Adam | logistic.Recipe


def recipe(settings: Mapping[str, Any]) -> Recipe:
    """The recipe of a study's settings: `kind`, and the fields of that kind's recipe."""
    said = {key: value for key, value in settings.items() if key != "kind"}
    return logistic.Recipe(**said) if settings["kind"] == "logistic" else Adam(**said)


def as_tuned(recipe: Recipe, record: Mapping[str, Any]) -> Recipe:
    """The recipe with what was tuned for a fitted head, whose `record` is given: nothing is tuned with it again."""
    return recipe if isinstance(recipe, Adam) else replace(recipe, known=record["tuned"]["C"])


def fit(
    folder: Path,
    features: Sequence[str | PathLike[str]],
    fold: Fold,
    recipe: Recipe,
    threads: int,
    view: str = "identity",
) -> dict[str, Any]:
    """Fit the last layer of the features' network to cross-entropy; returns what it cost.

    Writes to `folder`: weights.safetensors (`weight` [K, D] and `bias` [K], float32), history.csv and model.json. By
    Adam, history has an epoch a row: each takes each photo in one of the recipe's views (random flips: identity and
    hflip). By logistic regression it has a row a value of C that was tried, and model.json says which was `tuned`.
    Photos are held out in one `view`, the photo as it is.

    Raises:
        StudyError: damaged features, or too few groups of photos to tune on.
    """
    torch.set_num_threads(threads)
    if isinstance(recipe, Adam):
        made, passes = _by_adam(features, fold, recipe, view), recipe.epochs
    else:
        made, passes = _tuned(features, fold, recipe, view), 1
    files.write_table(folder / "history.csv", made.history)
    _save(folder, made, fold, backbones(features))
    return {"photos": len(fold.training) * passes, "device": "cpu", "precision": "float32"}


@dataclass(frozen=True)
class _Made:
    """A fitted layer, its history, what each class counted in its loss, and what its record has besides."""

    layer: dict[str, Tensor]
    history: pd.DataFrame
    class_weights: list[float] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def _tuned(features: Sequence[str | PathLike[str]], fold: Fold, recipe: logistic.Recipe, view: str) -> _Made:
    training, classes = fold.training, len(fold.classes)
    target = fold.targets(training)
    balanced = recipe.class_weights == "balanced"
    each = class_weights(target, classes) if balanced else np.ones(classes, np.float32)
    shown = {name: select(features, training, name) for name in {*recipe.views, view}}
    rows = logistic.Rows([shown[name] for name in recipe.views], shown[view], target, each.astype(np.float64)[target])
    if recipe.known is not None:
        found = logistic.fit_at(rows, recipe.known, classes)
    else:
        found = logistic.fit(rows, inner_folds(fold, logistic.INNER_FOLDS, recipe.seed), classes)
    layer = {"bias": torch.from_numpy(found.bias), "weight": torch.from_numpy(found.weight)}
    history = pd.DataFrame(found.history, columns=logistic.HISTORY)
    return _Made(layer, history, each.tolist(), {"tuned": found.tuned})


def _by_adam(features: Sequence[str | PathLike[str]], fold: Fold, recipe: Adam, view: str) -> _Made:
    training, validation = fold.training, fold.validation
    x = torch.stack([_tensor(features, training, view) for view in recipe.views], dim=1)
    y = torch.from_numpy(fold.targets(training))
    held_out = _tensor(features, validation, view), torch.from_numpy(fold.targets(validation))
    seed = augment.derive(recipe.seed, fold.number, zlib.crc32(b"head"))
    layer = _initial(x.shape[2], len(fold.classes), seed)
    optimizer = torch.optim.Adam(layer.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    history = []
    for epoch in range(1, recipe.epochs + 1):
        shown = x[torch.arange(len(x)), _views(training, len(recipe.views), seed, epoch)]
        sums = torch.zeros(2, dtype=torch.float64)
        for batch in torch.from_numpy(augment.random_order(seed, epoch, len(x))).split(recipe.batch_size):
            logits = layer(shown[batch])
            optimizer.zero_grad()
            functional.cross_entropy(logits, y[batch]).backward()
            optimizer.step()
            sums += _measure(logits, y[batch])
        measured = (sums / len(y)).tolist() + _validate(layer, *held_out)
        history.append([epoch, *measured, recipe.learning_rate])
    values = {name: value.detach() for name, value in sorted(layer.state_dict().items())}
    return _Made(values, pd.DataFrame(history, columns=history_columns("epoch")))


def _tensor(features: Sequence[str | PathLike[str]], photos: pd.DataFrame, view: str = "identity") -> Tensor:
    return torch.from_numpy(select(features, photos, view))


def _initial(width: int, classes: int, seed: int) -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Linear(width, classes)


def _views(photos: pd.DataFrame, count: int, seed: int, epoch: int) -> Tensor:
    """Which of `count` views each photo has, int64 [n], by a hash of (seed, epoch, photo) alone."""
    keys = augment.photo_keys(photos)
    hashed = pd.util.hash_array(keys ^ np.uint64(augment.derive(seed, epoch, zlib.crc32(b"view"))))
    return torch.from_numpy((hashed % np.uint64(count)).astype(np.int64))


def _measure(logits: Tensor, target: Tensor) -> Tensor:
    """The sums of the loss and of the right answers over a batch."""
    loss = functional.cross_entropy(logits.detach(), target, reduction="sum")
    return torch.stack([loss, (logits.argmax(dim=1) == target).sum()])


@torch.inference_mode()
def _validate(layer: nn.Linear, x: Tensor, y: Tensor) -> list[float | None]:
    return (_measure(layer(x), y) / len(y)).tolist() if len(y) else [None, None]


def _save(folder: Path, made: _Made, fold: Fold, frozen: list[dict[str, Any]]) -> None:
    trainable = sum(value.numel() for value in made.layer.values())
    counts = {"parameters": sum(one["parameters"] for one in frozen) + trainable, "trainable": trainable}
    record = bundle.describe("head", fold, {"backbones": frozen}, counts, "float32", made.class_weights)
    bundle.save(folder, {**record, **made.facts}, save(made.layer))


def predict(
    head: Bundle, features: Sequence[str | PathLike[str]], photos: pd.DataFrame, threads: int, view: str = "identity"
) -> NDArray[np.float32]:
    """Probabilities of the classes for `photos` in one view, float32 [n, K].

    Raises:
        StudyError: a damaged file.
    """
    torch.set_num_threads(threads)
    return answers(load(head.weights()), select(features, photos, view))


@torch.inference_mode()
def answers(layer: Mapping[str, Tensor], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities of the classes, float32 [n, K], for features [n, D]; `layer` is what a head's file holds."""
    return functional.linear(torch.from_numpy(rows), layer["weight"], layer["bias"]).softmax(dim=1).numpy()
