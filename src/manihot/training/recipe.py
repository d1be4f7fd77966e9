"""What an experiment asks of a training, and its learning rate step by step."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from manihot.core.gpus import Compute
from manihot.networks.build import Input


@dataclass(frozen=True)
class Recipe:
    """The settings of an experiment (config/README.md explains each)."""

    input: Input
    compute: Compute
    weights: str
    frozen: bool
    frozen_mode: str
    train_from: str | None
    views: Sequence[str]
    cache_size: int
    batch_size: int
    epochs: int
    learning_rate: float
    optimizer: str
    weight_decay: float
    decay_norms: bool
    layer_decay: float
    clip_norm: float
    ema: float
    schedule: str
    warm_up: float
    batch_norm: str
    dropout: float
    drop_path: float | None
    loss: str
    label_smoothing: float
    class_weights: str
    augment: Mapping[str, Any]
    flips_at_validation: bool
    seed: int
    repeat: int

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> "Recipe":
        """The recipe that a job's settings hold."""
        values = {"input": Input(**settings["input"]), "compute": Compute(**settings["compute"])}
        return cls(**{**settings, **values})


def rates(recipe: Recipe, steps: int) -> list[tuple[float, float]]:
    """Learning rate and Adam's first beta of each of `steps` batches.

    `one_cycle` is as torch's OneCycleLR gives them; `cosine` goes up in a line for `warm_up` of the steps, then down
    to 0 along a cosine (Loshchilov and Hutter 2017, arXiv 1608.03983).
    """
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=recipe.learning_rate)
    peak, warm_up = recipe.learning_rate, recipe.warm_up
    beta = optimizer.defaults["betas"][0]
    if recipe.schedule == "constant":
        return [(peak, beta)] * steps
    if recipe.schedule == "cosine":
        up = round(warm_up * steps)
        rising = [peak * (step + 1) / (up + 1) for step in range(up)]
        falling = [peak * (1 + math.cos(math.pi * step / (steps - up))) / 2 for step in range(steps - up)]
        return [(rate, beta) for rate in rising + falling]
    # One step up has no length, by which torch would divide.
    share = warm_up if warm_up * steps != 1 else warm_up * (1 + 1e-9)
    schedule = OneCycleLR(optimizer, peak, total_steps=steps, pct_start=share, anneal_strategy="cos")
    values = []
    for step in range(steps):
        group = optimizer.param_groups[0]
        values.append((float(group["lr"]), float(group["betas"][0])))
        optimizer.step()
        if step < steps - 1:
            schedule.step()
    return values
