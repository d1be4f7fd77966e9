"""The fitted folds of a model, ready to answer: networks, and heads and trees on the features of frozen backbones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from manihot.applied.backbones import Backbone, Computing, seen_of
from manihot.applied.photos import Seen
from manihot.core.errors import StudyError
from manihot.networks import build
from manihot.networks.batches import Batches
from manihot.networks.bundle import Bundle
from manihot.predictions.network import predict

Floats = NDArray[np.float32]


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
    """A fitted fold: its own answers to photos, and the class shares (`prior`) that these take for granted.

    `fitted` are its record and weights, `frozen` the backbones whose features, side by side, a head or trees take.
    """

    fitted: Bundle
    frozen: Sequence[Backbone]
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
        return Member(fitted, [], record["fold"], record["prior"], [seen_of(record)], _network(fitted, views))
    if kind not in {"head", "boosting"}:
        raise StudyError(f"{fitted.path}: this version of Manihot knows no kind of model called {kind}")
    if list(views) != ["identity"]:
        raise StudyError(f"{fitted.path}: a {kind} answers in the view identity, not in {', '.join(views)}")
    frozen = [backbones(one) for one in record["backbones"]]
    last = _head(fitted) if kind == "head" else _trees(fitted)

    def answers(shown: Shown) -> Floats:
        # The features of joined backbones stand side by side, in their order.
        return last(np.hstack([shown.features(backbone) for backbone in frozen]))

    return Member(fitted, frozen, record["fold"], record["prior"], [backbone.seen for backbone in frozen], answers)


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
