"""The fitted folds of a model, ready to answer: networks, and heads and trees on the features of frozen backbones."""

from collections.abc import Callable, Mapping, Sequence
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
from manihot.networks import build
from manihot.networks import device as machine
from manihot.networks.batches import Batches
from manihot.networks.build import Input
from manihot.networks.bundle import Bundle
from manihot.pixels.store import INTERPOLATION
from manihot.predictions.network import predict

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


class Shown:
    """A batch of photos that are shown to a model's members: their pixels, and the features of each backbone, once."""

    def __init__(self, pixels: Mapping[Seen, NDArray[np.uint8]], computing: Computing):
        self.pixels, self.computing = pixels, computing
        self._features: dict[int, Floats] = {}

    def features(self, backbone: Backbone) -> Floats:
        """Features float32 [n, D]."""
        if id(backbone) not in self._features:
            self._features[id(backbone)] = backbone.features(self.pixels, self.computing)
        return self._features[id(backbone)]


@dataclass(frozen=True)
class Member:
    """A fitted fold: its own answers to photos, and the class shares (`prior`) that these take for granted."""

    fold: int
    prior: Sequence[float]
    seen: Sequence[Seen]
    answers: Callable[[Shown], Floats]


def load_member(fitted: Bundle, views: Sequence[str], backbones: Callable[[Mapping[str, Any]], Backbone]) -> Member:
    """A fitted fold, which answers photos with probabilities float32 [n, K], averaged over `views`.

    `backbones` gives the network of a backbone's record, the same one for equal records.

    Raises:
        StudyError: its weights are missing or damaged, or it is of a kind that is not known here.
    """
    record, kind = fitted.record, fitted.record["kind"]
    if kind == "network":
        return Member(record["fold"], record["prior"], [seen_of(record)], _network(fitted, views))
    if kind not in {"head", "boosting"}:
        raise StudyError(f"{fitted.path}: this version of Manihot knows no kind of model called {kind}")
    if list(views) != ["identity"]:
        raise StudyError(f"{fitted.path}: a {kind} answers in the view identity, not in {', '.join(views)}")
    frozen = [backbones(one) for one in record["backbones"]]
    last = _head(fitted) if kind == "head" else _trees(fitted)

    def answers(shown: Shown) -> Floats:
        # The features of joined backbones stand side by side, in their order.
        return last(np.hstack([shown.features(backbone) for backbone in frozen]))

    return Member(record["fold"], record["prior"], [backbone.seen for backbone in frozen], answers)


def _network(fitted: Bundle, views: Sequence[str]) -> Callable[[Shown], Floats]:
    model, seen = build.load_network(fitted), seen_of(fitted.record)

    def answers(shown: Shown) -> Floats:
        computing = shown.computing
        batches = Batches(shown.pixels[seen], computing.device, fitted.normalisation)
        dtype = computing.dtype(fitted.record["precision"])
        return predict(model.to(computing.device), batches, views, computing.batch_size, dtype)

    return answers


def _head(fitted: Bundle) -> Callable[[Floats], Floats]:
    from safetensors.torch import load

    from manihot.features import heads

    layer = load(fitted.weights())
    return lambda rows: heads.answers(layer, rows)


def _trees(fitted: Bundle) -> Callable[[Floats], Floats]:
    from manihot.features import boosting

    booster = boosting.load(fitted, torch.get_num_threads())
    return lambda rows: booster.inplace_predict(rows)
