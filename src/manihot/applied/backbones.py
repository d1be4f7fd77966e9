"""Frozen networks from their records, ready to run: what heads, trees and the reference photos see photos with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from manihot.applied.home import Home
from manihot.applied.photos import Seen
from manihot.core import files
from manihot.core.errors import StudyError
from manihot.features import extract
from manihot.networks import device as machine
from manihot.networks.batches import Batches
from manihot.networks.build import Input
from manihot.pixels.store import INTERPOLATION

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Computing:
    """On which device a model computes, how many photos at a time, and in which precision.

    `precision` is `float32`, `bfloat16`, `auto` (as `device.precision`), or None: what the weights were fitted in.
    """

    device: torch.device
    batch_size: int
    precision: str | None = None

    def dtype(self, fitted_in: str) -> torch.dtype:
        """The number format for weights that were fitted in another one."""
        return machine.precision(self.precision or fitted_in, self.device)


@dataclass
class Backbone:
    """A frozen network, from its record in the features or in a model that is fitted on them."""

    record: Mapping[str, Any]
    model: nn.Module
    _ready: dict[tuple[torch.device, torch.dtype], nn.Module] = field(default_factory=dict)

    @property
    def seen(self) -> Seen:
        """How it sees photos."""
        return seen_of(self.record)

    def features(self, pixels: Mapping[Seen, NDArray[np.uint8]], computing: Computing) -> Floats:
        """Features float32 [n, D] of photos, as `extract` stores them."""
        dtype = computing.dtype(self.record["precision"])
        place = computing.device, dtype
        if place not in self._ready:
            self._ready[place] = extract.prepared(self.model, *place)
        channels = self.record["input"]["mean"], self.record["input"]["std"]
        batches = Batches(pixels[self.seen], computing.device, channels)
        return extract.forward(self._ready[place], batches, computing.batch_size, "identity", dtype)


def load_backbone(record: Mapping[str, Any], home: Home) -> Backbone:
    """The frozen network of a record.

    Raises:
        StudyError: its weights are missing or damaged, or the record is of a kind that is not known here.
    """
    if not {"network", "input", "weights", "precision"} <= set(record):
        raise StudyError(f"{home.folder}: its backbone is of a kind that this version of Manihot does not know")
    network, size = record["network"], record["input"]["size"]
    weights = home.find(record["weights"]["path"], f"the backbone {network} of {home.folder}")
    if files.sha256(weights) != record["weights"]["sha256"]:
        raise StudyError(f"{weights} is damaged or of another fit: copy it from the study's results, or run it again")
    trained = record.get("record")
    fitted = home.find(trained, f"the record of the backbone {network} of {home.folder}") if trained else None
    frozen = extract.Backbone(Input(network, size, "none"), weights, 1, fitted)
    return Backbone(record, frozen.load())


def seen_of(record: Mapping[str, Any]) -> Seen:
    """How the network of a record sees photos.

    Raises:
        StudyError: they were resized in a way that is not known here.
    """
    given = record["input"]
    if given.get("interpolation", INTERPOLATION) != INTERPOLATION:
        raise StudyError(
            f"{record['network']} sees photos resized as {given['interpolation']}, and this version of Manihot resizes "
            f"as {INTERPOLATION}: take the version that fitted it"
        )
    return Seen(given["size"], given.get("decode", "exact"))
