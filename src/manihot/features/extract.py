"""The pooled features of a frozen backbone: each photo runs through it once a view."""

import io
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.core.gpus import Compute
from manihot.core.state import State
from manihot.features import masking
from manihot.features.table import write
from manihot.networks import augment, build, bundle
from manihot.networks import device as machine
from manihot.networks.batches import Batches, Photos
from manihot.networks.build import Features, Input
from manihot.networks.cam import cam_layer
from manihot.networks.fused import fused

log = logging.getLogger(__name__)
# Photos between two savings: some seconds of work on two cores.
BLOCK = 512
# The least cosine between features in a fast precision and in float32 that `precision: auto` accepts.
FAITHFUL = 0.9999


@dataclass(frozen=True)
class Backbone:
    """A frozen network: what it sees, the file of its weights, and how many photos it takes at a time.

    `record` is that of the fold (`model.json`) where an experiment of the study trained the network.
    """

    input: Input
    weights: Path
    batch_size: int
    record: Path | None = None

    def load(self) -> Features:
        """The network but for its last layer, in eval mode: photos [n, 3, size, size] to features [n, D]."""
        if self.record is None:
            return build.feature_network(self.input.network, self.weights, self.input.size)
        return Features(build.load_network(bundle.read(self.record))).requires_grad_(False)

    def seen(self, model: Features) -> dict[str, Any]:
        """What a record says of the network that `load` gave: its name, its input, its weights, its last maps."""
        if self.record is None:
            return self.input.record(self.weights) | cam_layer(model.network, self.input.size)
        trained = bundle.read(self.record).record
        return {key: trained[key] for key in bundle.SEEN if key in trained}


def extract(
    state: State,
    backbone: Backbone,
    catalog: pd.DataFrame,
    gather: Callable[[pd.DataFrame], Photos],
    view: str,
    compute: Compute,
    progress: Callable[[int, int, str], None],
) -> dict[str, Any]:
    """Features of every photo of one data set's catalog in one view; returns what it cost.

    `gather` gives the pixels, uint8 [n, size, size, 3], of rows of the catalog. Writes features.npy, float32
    [N, D] in the catalog's order with zeros for photos that were set aside, and its manifest features.json
    to the state's folder. Goes on after the blocks that the state holds.

    Raises:
        StudyError: weights of another network, damaged pixels, or features that are not finite.
    """
    torch.set_num_threads(compute.threads)
    network, batch_size = backbone.input.network, backbone.batch_size
    model = backbone.load()
    usable = np.flatnonzero(catalog["status"] == "ok")
    channels = backbone.input.channels()
    with machine.choose(compute) as chosen:
        dtype = machine.precision(compute.precision, chosen)
        if compute.precision == "auto" and not faithful(model, backbone.input.size, channels, chosen, dtype):
            log.info("%s in %s is not faithful enough: its features are computed in float32", network, dtype)
            dtype = torch.float32
        ready = prepared(model, chosen, dtype)

        def run(rows: pd.DataFrame) -> NDArray[np.float32]:
            batches = Batches(gather(rows), chosen, channels)
            features = forward(ready, batches, batch_size, view, dtype)
            if not np.isfinite(features).all():
                raise StudyError(f"{network} gives features that are not finite: set precision to float32")
            return features

        def blocks() -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
            # Whole batches a block, so that a photo's neighbours do not depend on where a run was cut.
            length = batch_size * max(1, BLOCK // batch_size)
            for start in range(0, len(usable), length):
                index = usable[start : start + length]
                kept = state.load(f"block{start}.npy")
                if kept is None:
                    buffer = io.BytesIO()
                    np.save(buffer, run(catalog.iloc[index]))
                    kept = buffer.getvalue()
                    state.save(f"block{start}.npy", kept)
                yield index, np.load(io.BytesIO(kept))
                progress(start + len(index), len(usable), "")

        record = {
            **backbone.seen(model),
            "parameters": build.parameter_counts(model)["parameters"],
            "precision": str(dtype).removeprefix("torch."),
            "weights": {"path": str(backbone.weights), "sha256": files.sha256(backbone.weights)},
            **({"record": str(backbone.record)} if backbone.record else {}),
        }
        about = {"dataset": str(catalog["dataset"].iloc[0]), "view": view, "backbone": record}
        write(state.folder / "features.npy", catalog["image_id"].tolist(), blocks(), about)
        return {"photos": len(usable), **machine.costs(chosen, dtype)}


def prepared(model: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """A copy of a frozen network ready to run on `device` in `dtype`, its batch norms `fused`."""
    return fused(model).to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]


@torch.inference_mode()
def forward(model: nn.Module, batches: Batches, batch_size: int, view: str, dtype: torch.dtype) -> NDArray[np.float32]:
    """Features of all photos of `batches` in one view, float32 [n, D]."""
    made = batches.outputs(lambda photos: model(_seen(photos, view, dtype)).float(), batch_size)
    return made.cpu().numpy()


def _seen(photos: torch.Tensor, view: str, dtype: torch.dtype) -> torch.Tensor:
    # A mean over pixels is taken in float32.
    return masking.masked(photos).to(dtype) if view == masking.VIEW else augment.view(photos.to(dtype), view)


def faithful(
    model: nn.Module,
    size: int,
    normalisation: tuple[Sequence[float], Sequence[float]],
    device: torch.device,
    dtype: torch.dtype,
) -> bool:
    """Whether features in `dtype` point where float32's do: a cosine of FAITHFUL or more for 8 drawn photos.

    Drawn, so that all data sets and views of a backbone get the same answer.
    """
    generator = torch.Generator().manual_seed(0)
    drawn = functional.interpolate(torch.rand(8, 3, 8, 8, generator=generator), size, mode="bilinear")
    pixels = (drawn * 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
    batches = Batches(pixels, device, normalisation)
    exact, fast = (
        forward(prepared(model, device, kind), batches, len(batches), "identity", kind).astype(np.float64)
        for kind in (torch.float32, dtype)
    )
    # Not torch's cosine_similarity: it takes the tiny features of untrained networks for zeros.
    cosine = (exact * fast).sum(1) / (np.linalg.norm(exact, axis=1) * np.linalg.norm(fast, axis=1))
    return bool((cosine >= FAITHFUL).all())
