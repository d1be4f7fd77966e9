"""The trainer as it is measured: on a processor and on a GPU, of photos synthetic or real. Needs torch alone."""

import numpy as np
import torch
from numpy.typing import NDArray

from manihot.core.gpus import Compute
from manihot.networks.build import Input
from manihot.training.recipe import Recipe
from manihot.training.trainer import LabelledPhotos, Trainer

CLASSES, BATCH, RATE = 5, 32, 5e-5


def recipe(
    size: int, precision: str = "auto", dropout: float = 0.3, epochs: int = 1000, network: str = "small_cnn"
) -> Recipe:
    """The study's balanced experiment at a size."""
    return Recipe(
        input=Input(network, size, "none"), compute=Compute("auto", precision, torch.get_num_threads()),
        weights="none", frozen=False, frozen_mode="eval", train_from=None, views=["identity"], cache_size=size,
        batch_size=BATCH, epochs=epochs, learning_rate=RATE, optimizer="adam", weight_decay=0.0, decay_norms=True,
        layer_decay=1.0, clip_norm=0.0, ema=0.0, schedule="constant", warm_up=0.3, batch_norm="update", dropout=dropout,
        loss="cross_entropy", label_smoothing=0.0, class_weights="none", augment={}, flips_at_validation=False,
        seed=0, repeat=0,
    )  # fmt: skip


def trainer(pixels: NDArray[np.uint8], settings: Recipe, device: torch.device) -> Trainer:
    """A trainer of photos uint8 [n, size, size, 3] with the classes in turn, without validation."""
    n = np.arange(len(pixels))
    known = LabelledPhotos(pixels, n % CLASSES, n.astype(np.uint64))
    nothing = LabelledPhotos(pixels[:0], n[:0], n[:0].astype(np.uint64))
    return Trainer(settings, "benchmark", 0, CLASSES, known, nothing, None, device)
