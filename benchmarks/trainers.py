"""The trainer as it is measured, on a processor and on a GPU, of photos synthetic or real; PyTorch's defaults beside.

Needs torch and torchvision alone, and timm for its networks.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision.models import get_model

from manihot.core.gpus import Compute
from manihot.features.activations import forward
from manihot.networks import build, cut
from manihot.networks.activations import Activations, rows_of
from manihot.networks.batches import Batches
from manihot.networks.build import Input
from manihot.networks.device import precision
from manihot.training.recipe import Recipe
from manihot.training.trainer import LabelledPhotos, Trainer

CLASSES, BATCH, RATE = 5, 32, 5e-5
# What is fine-tuned, and the one that is also trained from a cut on.
TUNED = ("timm/tf_efficientnet_lite0", "mobilenet_v2", "resnet18")
CUT_NETWORK, CUT = TUNED[0], "blocks.5"
# What `recipe: finetune` sets in a study (study/recipes.py, which needs more than torch), but for the epochs.
FINETUNE: dict[str, Any] = {
    "learning_rate": 1e-3, "optimizer": "adamw", "weight_decay": 0.05, "decay_norms": False, "layer_decay": 0.8,
    "clip_norm": 1.0, "ema": 0.99, "schedule": "cosine", "warm_up": 0.1, "batch_norm": "keep", "label_smoothing": 0.1,
}  # fmt: skip


def recipe(
    size: int, precision: str = "auto", dropout: float = 0.3, epochs: int = 1000, network: str = "small_cnn"
) -> Recipe:
    """The study's balanced experiment at a size."""
    return Recipe(
        input=Input(network, size, "none"), compute=Compute("auto", precision, torch.get_num_threads()),
        weights="none", frozen=False, frozen_mode="eval", train_from=None, views=["identity"], cache_size=size,
        batch_size=BATCH, epochs=epochs, learning_rate=RATE, optimizer="adam", weight_decay=0.0, decay_norms=True,
        layer_decay=1.0, clip_norm=0.0, ema=0.0, schedule="constant", warm_up=0.3, batch_norm="update", dropout=dropout,
        drop_path=None,
        loss="cross_entropy", label_smoothing=0.0, class_weights="none", augment={}, flips_at_validation=False,
        seed=0, repeat=0,
    )  # fmt: skip


def finetuned(size: int, network: str, batch: int = BATCH, train_from: str | None = None) -> Recipe:
    """A pretrained network as `recipe: finetune` trains it, the whole or from a cut on."""
    return replace(recipe(size, network=network), **FINETUNE, batch_size=batch, train_from=train_from)


def trainer(pixels: NDArray[np.uint8] | Activations, settings: Recipe, device: torch.device) -> Trainer:
    """A trainer of photos uint8 [n, size, size, 3] with the classes in turn, without validation."""
    n = np.arange(len(pixels))
    known = LabelledPhotos(pixels, n % CLASSES, n.astype(np.uint64))
    empty = pixels[:0] if isinstance(pixels, np.ndarray) else Activations(0, pixels.views, pixels.shape[2:])
    nothing = LabelledPhotos(empty, n[:0], n[:0].astype(np.uint64))
    return Trainer(settings, "benchmark", 0, CLASSES, known, nothing, None, device)


def cut_trainer(pixels: NDArray[np.uint8], settings: Recipe, device: torch.device) -> Trainer:
    """The same from a cut on, of the photos' activations there."""
    assert settings.train_from is not None
    size = settings.input.size
    model = build.classifier(settings.input.network, CLASSES, size, 0.0, None, False, 0).to(device)
    lower, _ = cut.split(model, settings.train_from, size)
    made = forward(lower, Batches(pixels, device, build.PIXELS), "identity", precision("auto", device))
    rows, every = rows_of(made), np.arange(len(pixels))
    stored = Activations(len(pixels), ["identity"], rows.shape[1:])
    stored.add(0, rows, every, every)
    return trainer(stored, settings, device)


def plain_step(network: str, size: int, batch: int, device: torch.device) -> Callable[[], int]:
    """A step of fine-tuning as PyTorch's defaults have it, which returns the number of its photos: float32, AdamW, a
    batch of floats that lies on the device, and the loss read after it."""
    model = _plain(network).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=FINETUNE["learning_rate"])
    photos, targets = torch.rand(batch, 3, size, size, device=device), torch.arange(batch, device=device) % CLASSES
    criterion = nn.CrossEntropyLoss()

    def step() -> int:
        optimizer.zero_grad()
        loss = criterion(model(photos), targets)
        loss.backward()
        optimizer.step()
        loss.item()
        return batch

    return step


def _plain(network: str) -> nn.Module:
    if not network.startswith("timm/"):
        return get_model(network, weights=None, num_classes=CLASSES)
    import timm  # not on every machine that the rest is measured on

    return timm.create_model(network.removeprefix("timm/"), num_classes=CLASSES)
