"""Linear heads: the last layer of a frozen backbone, fitted on its stored features."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
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

from manihot.core import arrays, files
from manihot.core.tables import history_columns
from manihot.features.table import select
from manihot.networks import augment, bundle
from manihot.networks.bundle import Bundle
from manihot.splits.folds import Fold


@dataclass(frozen=True)
class Recipe:
    """How a head is fitted: by Adam on photos in one of `views`, drawn anew for each photo and epoch."""

    views: Sequence[str]
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int


def fit(
    folder: Path,
    features: Sequence[str | PathLike[str]],
    fold: Fold,
    recipe: Recipe,
    threads: int,
    view: str = "identity",
) -> dict[str, Any]:
    """Fit the last layer of the features' network by Adam and cross-entropy; returns what it cost.

    Writes to `folder`: weights.safetensors (`weight` [K, D] and `bias` [K], float32), history.csv (an epoch
    a row) and model.json. Each epoch takes each photo in one of the recipe's views (random flips: identity and
    hflip); validation is in one `view`, the photo as it is.

    Raises:
        StudyError: damaged features.
    """
    torch.set_num_threads(threads)
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
    files.write_table(folder / "history.csv", pd.DataFrame(history, columns=history_columns("epoch")))
    _save(folder, layer, fold, arrays.read_manifest(features[0])["backbone"])
    return {"photos": len(training) * recipe.epochs, "device": "cpu", "precision": "float32"}


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


def _save(folder: Path, layer: nn.Linear, fold: Fold, backbone: dict[str, Any]) -> None:
    trainable = sum(parameter.numel() for parameter in layer.parameters())
    counts = {"parameters": backbone["parameters"] + trainable, "trainable": trainable}
    record = bundle.describe("head", fold, backbone, counts, backbone["precision"], backbone=backbone)
    content = save({name: value.detach() for name, value in sorted(layer.state_dict().items())})
    bundle.save(folder, record, content)


def predict(
    head: Bundle, features: Sequence[str | PathLike[str]], photos: pd.DataFrame, threads: int, view: str = "identity"
) -> NDArray[np.float32]:
    """Probabilities of the classes for `photos` in one view, float32 [n, K].

    Raises:
        StudyError: a damaged file.
    """
    torch.set_num_threads(threads)
    layer = load(head.weights())
    with torch.inference_mode():
        logits = functional.linear(_tensor(features, photos, view), layer["weight"], layer["bias"])
        return logits.softmax(dim=1).numpy()
