"""A trained network's class probabilities, and the tables that later stages know it by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manihot.core import files
from manihot.core.gpus import Compute
from manihot.core.state import State
from manihot.networks import build, cut
from manihot.networks import device as machine
from manihot.networks.activations import ActivationBatches, Activations
from manihot.networks.augment import Augmentation, Changes, derive, photo_keys, view
from manihot.networks.batches import Batches, Photos
from manihot.networks.bundle import Bundle
from manihot.predictions.parts import part_tables
from manihot.splits.folds import Fold


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


@torch.inference_mode()
def predict_stored(
    upper: nn.Module, batches: ActivationBatches, views: Sequence[str], batch_size: int, dtype: torch.dtype
) -> NDArray[np.float32]:
    """What `predict` gives, of the stored activations of all photos, from a network's upper part."""
    upper.eval()
    with torch.autocast(batches.device.type, dtype, enabled=dtype != torch.float32):
        seen = [
            batches.outputs(lambda some: upper(some).float().softmax(1), batch_size, batches.in_view(name))
            for name in views
        ]
    return torch.stack(seen).mean(0).cpu().numpy()


@dataclass(frozen=True)
class Viewing:
    """How photos are shown to a network: in each of `views`, `batch_size` at a time.

    From its layer `train_from` on, as stored activations, where that is given. Validation photos get the random changes
    `validation_augment` from `seed`: the published way of judging the backbones; {} are none.
    """

    views: Sequence[str]
    batch_size: int
    validation_augment: Mapping[str, Any]
    seed: int
    train_from: str | None = None


def predict_fold(
    state: State,
    fitted: Bundle,
    fold: Fold,
    split: pd.DataFrame,
    gather: Callable[[pd.DataFrame], Photos | Activations],
    viewing: Viewing,
    compute: Compute,
) -> dict[str, Any]:
    """Write the four parts' tables of a fold's network to the state's folder; returns what it cost.

    `gather` gives the pixels, uint8 [n, size, size, 3], of rows of the fold's photos or of `split`, or their
    activations.

    Raises:
        StudyError: damaged weights or pixels, or no device.
    """
    torch.set_num_threads(compute.threads)
    model = build.load_network(fitted)
    augmentation = Augmentation(**viewing.validation_augment)
    with machine.choose(compute) as chosen:
        dtype = machine.precision(compute.precision, chosen)
        model.to(chosen)
        if viewing.train_from is not None:
            upper = cut.split(model, viewing.train_from, fitted.record["input"]["size"])[1]

        def probabilities(part: str, rows: pd.DataFrame) -> NDArray[np.float32]:
            known = gather(rows)
            if isinstance(known, Activations):
                stored = ActivationBatches(known, chosen)
                return predict_stored(upper, stored, viewing.views, viewing.batch_size, dtype)
            batches = Batches(known, chosen, fitted.normalisation)
            changes = None
            if part == "validation":
                changes = augmentation.draw(photo_keys(rows), derive(viewing.seed, fold.number), 0, chosen)
            return predict(model, batches, viewing.views, viewing.batch_size, dtype, changes)

        tables = part_tables(fold, split, probabilities)
        cost = machine.costs(chosen, dtype)
    for part, table in tables.items():
        files.write_table(state.folder / f"{part}.csv", table)
    return {**cost, "photos": sum(map(len, tables.values()))}
