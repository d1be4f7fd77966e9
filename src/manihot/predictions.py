"""A trained network's class probabilities, and the tables that later stages know it by."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor, nn

from manihot import device as machine
from manihot import files, networks, parts
from manihot.augment import Augmentation, Changes, derive, photo_keys, view
from manihot.batches import Batches, Photos
from manihot.errors import StudyError
from manihot.state import State


@torch.inference_mode()
def predict(
    model: nn.Module,
    batches: Batches,
    views: Sequence[str],
    batch_size: int,
    dtype: torch.dtype,
    changes: Changes | None = None,
) -> NDArray[np.float32]:
    """Probabilities float32 [n, classes] of all photos of `batches`: softmax, averaged over the views."""
    model.eval()

    def probabilities(photos: Tensor) -> Tensor:
        return torch.stack([model(view(photos, name)).float().softmax(1) for name in views]).mean(0)

    with torch.autocast(batches.device.type, dtype, enabled=dtype != torch.float32):
        return batches.outputs(probabilities, batch_size, changes).cpu().numpy()


def load_network(network: str, weights: Path, sha256: str, classes: int, size: int) -> nn.Module:
    """The network that training wrote to `weights`, in eval mode.

    Raises:
        StudyError: the file is not the one training wrote.
    """
    content = weights.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise StudyError(f"{weights} is damaged: delete {weights} and run the same command again")
    model = networks.build(network, classes, size, dropout=0.0, weights=None, frozen=False, seed=0)
    model.load_state_dict(load(content))
    return model.eval()


def predict_fold(
    state: State,
    weights: Path,
    sha256: str,
    fold: int,
    labels: Sequence[str],
    draw: pd.DataFrame,
    split: pd.DataFrame,
    gather: Callable[[pd.DataFrame], Photos],
    *,
    network: str,
    normalisation: str,
    size: int,
    batch_size: int,
    views: Sequence[str],
    augment: Mapping[str, Any],
    flips_at_validation: bool,
    seed: int,
    device: str,
    gpu_slots: int,
    precision: str,
    threads: int,
) -> dict[str, Any]:
    """Write the four parts' tables of a fold's network to the state's folder; returns what it cost.

    `gather` gives the pixels, uint8 [n, size, size, 3], of rows of `draw` or `split`. Where
    `flips_at_validation`, the validation photos are changed at random as in training: the published way of
    judging the backbones.

    Raises:
        StudyError: damaged weights or pixels, or no device.
    """
    torch.set_num_threads(threads)
    model = load_network(network, weights, sha256, len(labels), size)
    augmentation = Augmentation(**augment) if flips_at_validation else Augmentation()
    with machine.choose(device, gpu_slots) as chosen:
        dtype = machine.precision(precision, chosen)
        model.to(chosen)

        def probabilities(rows: pd.DataFrame) -> NDArray[np.float32]:
            batches = Batches(gather(rows), chosen, networks.normalisation(network, normalisation))
            changes = None
            if "role" in rows and (rows["role"] == "pool").all():  # the validation part
                changes = augmentation.draw(photo_keys(rows), derive(seed, fold), 0, chosen)
            return predict(model, batches, views, batch_size, dtype, changes)

        tables = parts.part_tables(draw, split, fold, labels, probabilities)
        cost = machine.costs(chosen, dtype)
    for part, table in tables.items():
        files.write_table(state.folder / f"{part}.csv", table)
    return {**cost, "photos": sum(map(len, tables.values()))}
