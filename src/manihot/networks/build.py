"""The networks: two small ones of the paper, and torchvision's and timm's with a new last layer.

Torchvision is imported where its networks are built: it takes two seconds, and our own networks do without it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import safe_open
from safetensors.torch import load, load_file
from torch import Tensor, nn

from manihot.core.errors import StudyError
from manihot.core.text import did_you_mean
from manihot.networks import of_timm
from manihot.networks.bundle import Bundle
from manihot.networks.own import OWN
from manihot.pixels.store import INTERPOLATION

Triple = tuple[float, float, float]
IMAGENET: tuple[Triple, Triple] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PIXELS: tuple[Triple, Triple] = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Input:
    """Which network sees what: square photos of `size` pixels a side, `decode`d exactly or fast.

    `normalisation` is `weights`, `standard` or `none` (see `normalisation` below).
    """

    network: str
    size: int
    normalisation: str
    decode: str = "exact"

    def channels(self) -> tuple[Sequence[float], Sequence[float]]:
        """Mean and standard deviation of the three channels of pixels 0..1."""
        return normalisation(self.network, self.normalisation)

    def record(self, weights: Path | None = None) -> dict[str, Any]:
        """What a model's record says of it: `network`, and `input` with size, decode, interpolation, mean and std.

        `weights` is the file that the network starts from: `initial_weights` says where they come from, and
        `input.trained_with` what published ones were trained with. Pixels here are always resized bilinearly.
        """
        mean, std = self.channels()
        seen: dict[str, Any] = {"size": self.size, "decode": self.decode, "interpolation": INTERPOLATION}
        seen |= {"mean": list(mean), "std": list(std)}
        origin = origin_of(weights) if weights else {"source": "none"}
        if origin["source"] != "none":
            seen["trained_with"] = trained_with(self.network)
        return {"network": self.network, "input": seen, "initial_weights": origin}


def known_networks() -> list[str]:
    """The names a study may use beside timm's: the two of our own, and torchvision's classifiers."""
    from torchvision import models

    # These two return a tuple of several heads in training.
    several_heads = {"googlenet", "inception_v3"}
    return [*OWN, *(n for n in models.list_models(module=models) if n not in several_heads)]


def torchvision_network(name: str, drop_path: float | None = None) -> nn.Module:
    """torchvision's network of this name with its 1,000 classes, initialised from torch's random state.

    `drop_path` is as `assemble` takes it.

    Raises:
        StudyError: there is none of this name, or it has no blocks to leave out.
    """
    from torchvision.models import get_model
    from torchvision.ops import StochasticDepth

    check_name(name)
    model = cast(nn.Module, get_model(name, weights=None))
    if drop_path is not None:
        blocks = [module for module in model.modules() if isinstance(module, StochasticDepth)]
        if not blocks:
            raise StudyError(no_blocks_to_drop(name))
        for number, block in enumerate(blocks, 1):
            block.p = drop_path * number / len(blocks)
    return model


def no_blocks_to_drop(network: str) -> str:
    """What is wrong where a network without droppable blocks gets a rate for them."""
    return f"network {network} has no blocks that `drop_path` could leave out: take the key out"


def check_name(name: str) -> None:
    """Hold a name against torchvision's networks.

    Raises:
        StudyError: there is none of this name.
    """
    names = known_networks()
    if name not in names or name in OWN:
        hint = did_you_mean(name, names, f"known are {', '.join(OWN)}, torchvision's, and timm's as timm/NAME")
        raise StudyError(f"network {name}: there is none of this name; {hint}")


def published_network(name: str, dropout: float = 0.0, drop_path: float | None = None) -> nn.Module:
    """torchvision's or timm's network with the classes of its published weights, drawn from torch's random state.

    `dropout` is the rate before the last layer of timm's, `drop_path` is as `assemble` takes it.

    Raises:
        StudyError: there is none of this name.
    """
    if of_timm.is_one(name):
        return of_timm.create(name, dropout, drop_path)
    return torchvision_network(name, drop_path)


def classifier(
    network: str,
    classes: int,
    size: int,
    dropout: float,
    weights: Path | None,
    frozen: bool,
    seed: int,
    drop_path: float | None = None,
) -> nn.Module:
    """A network that turns float photos [n, 3, size, size] into logits [n, classes], float32, channels_last.

    Published networks get a new last layer.

    Args:
        network: its name in the study.
        classes: how many there are.
        size: pixels a side.
        dropout: the rate of the classifier's dropout layers; where there is none, one comes before the last layer.
        weights: a safetensors file that `weights.fetch` wrote; without one the initial weights are drawn.
        frozen: whether only the last layer can be trained.
        seed: what initial weights are drawn from.
        drop_path: the rate at which training leaves out whole residual blocks (stochastic depth, Huang et al. 2016),
            of the last block; those before it have less, in a line. None takes the network's own.

    Raises:
        StudyError: an unknown network, weights that are not this network's, photos too small for it, or a `drop_path`
            for a network without residual blocks that can be left out.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = assemble(network, classes, size, dropout, weights, drop_path)
    _check_size(model, network, size)
    if frozen:
        model.requires_grad_(False)
        last_layer(model)[1].requires_grad_(True)
    return model.to(memory_format=torch.channels_last)


def assemble(
    network: str, classes: int, size: int, dropout: float, weights: Path | None, drop_path: float | None = None
) -> nn.Module:
    """`classifier` without its checks, on torch's current device and from its current random state.

    Args: as those of `classifier`.
    """
    if network in OWN:
        if drop_path is not None:
            raise StudyError(no_blocks_to_drop(network))
        if weights is not None:
            raise StudyError(f"network {network} has no published weights: take `weights` out of the experiment")
        return OWN[network](classes, size, dropout)
    model = published_network(network, dropout, drop_path)
    if weights is not None:
        _load(model, weights, network)
    if of_timm.is_one(network):
        return of_timm.replace_last(of_timm.resize(model, network, size), classes)
    name, last = last_layer(model)
    new: nn.Module
    if isinstance(last, nn.Linear):
        new = nn.Linear(last.in_features, classes, bias=last.bias is not None)
    else:
        assert isinstance(last, nn.Conv2d)
        new = nn.Conv2d(last.in_channels, classes, kernel_size=1)
    head = model.get_submodule(name.split(".")[0])
    own = [module for module in head.modules() if isinstance(module, nn.Dropout)]
    for module in own:
        module.p = dropout
    model.set_submodule(name, new if own else nn.Sequential(nn.Dropout(dropout), new))
    return model


def _check_size(model: nn.Module, network: str, size: int) -> None:
    try:
        with torch.inference_mode():
            model.eval()(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else "its shapes do not fit"
        message = f"network {network} cannot take photos of {size} px ({reason}): change `size`"
        raise StudyError(message) from error


def _load(model: nn.Module, weights: Path, network: str) -> None:
    try:
        told = _facts(weights)
        state = load_file(weights)
        own = fingerprint(state)
        if told.get("sha256", own) != own:
            raise ValueError("it is damaged")
        model.load_state_dict(state)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        message = f"{weights} does not hold the weights of {network} ({reason}): delete {weights} and run again"
        raise StudyError(message) from error


def fingerprint(state: Mapping[str, Tensor]) -> str:
    """SHA-256 (hexadecimal) of a state dict's names and numbers, which its file keeps to tell whether it is intact."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode() + state[name].contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def origin_of(weights: Path) -> dict[str, str]:
    """Where the weights in a file of `weights.fetch` come from: `source`, and `license` where timm names one."""
    told = _facts(weights)
    return {"source": "file"} | {key: told[key] for key in ("source", "license") if told.get(key)}


def _facts(weights: Path) -> dict[str, str]:
    """What `weights.fetch` wrote of the weights beside them."""
    with safe_open(weights, "pt") as file:
        told = (file.metadata() or {}).get("facts", "{}")
    return dict(json.loads(told))


def last_layer(model: nn.Module) -> tuple[str, nn.Module]:
    """The name of the layer that gives the logits, and the layer."""
    if hasattr(model, "get_classifier"):
        return of_timm.last_layer(model)
    layers = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    return layers[-1]


class Features(nn.Module):
    """A network but for its last layer: photos [n, 3, h, w] to the features [n, D] that the layer takes in."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        self.has_head = hasattr(network, "forward_head")
        if self.has_head:
            of_timm.drop_last(network)
        else:
            network.set_submodule(last_layer(network)[0], nn.Identity())

    def forward(self, photos: Tensor) -> Tensor:
        """The features."""
        if self.has_head:
            return of_timm.features(self.network, photos)
        return cast(Tensor, self.network(photos).flatten(1))


def feature_network(name: str, weights: Path, size: int | None = None) -> Features:
    """A published network but for its last layer, in eval mode: photos [n, 3, h, w] to features [n, D].

    D is what the last layer takes in: 512 for resnet18, 1,280 for efficientnet_b0 (its pooled features),
    4,096 for alexnet; squeezenet's are its last maps, averaged. `size` is the pixels a side where they are not those
    that timm's ViTs were trained with.

    Raises:
        StudyError: an unknown network, a file that does not hold its weights, or a size that it cannot take.
    """
    model = published_network(name)
    _load(model, weights, name)
    if size is not None:
        _check_size(of_timm.resize(model, name, size) if of_timm.is_one(name) else model, name, size)
    return Features(model).eval().requires_grad_(False)


def load_network(fitted: Bundle) -> nn.Module:
    """The network that training wrote, in eval mode: photos [n, 3, size, size] to logits [n, K].

    Raises:
        StudyError: its weights are not those that its record names.
    """
    network, size = fitted.record["network"], fitted.record["input"]["size"]
    content = load(fitted.weights())
    model = classifier(network, len(fitted.labels), size, dropout=0.0, weights=None, frozen=False, seed=0)
    model.load_state_dict(content)
    return model.eval()


def normalisation(network: str, kind: str = "weights") -> tuple[Sequence[float], Sequence[float]]:
    """Mean and standard deviation of the three channels of pixels 0..1.

    `kind` is `none` (pixels as they are), `standard` (ImageNet's), or `weights`: what the network's published
    weights were trained with; our own networks take pixels as they are.
    """
    if kind == "standard":
        return IMAGENET
    if kind == "none" or network in OWN:
        return PIXELS
    if of_timm.is_one(network):
        published = of_timm.published(network)
        return published["mean"], published["std"]
    preset = _preset(network)
    return preset.mean, preset.std


def trained_with(network: str) -> dict[str, Any]:
    """What the published weights of a network were trained with: `size` (pixels a side), `interpolation`, and
    `crop_pct`, the share of a photo's side that the middle crop kept."""
    if of_timm.is_one(network):
        published = of_timm.published(network)
        return {key: published[key] for key in ("size", "interpolation", "crop_pct")}
    preset = _preset(network)
    (size,), (resized,) = preset.crop_size, preset.resize_size
    return {"size": size, "interpolation": preset.interpolation.value, "crop_pct": round(size / resized, 4)}


def _preset(network: str) -> Any:
    from torchvision.models import get_model_weights

    return next(iter(get_model_weights(network))).transforms()


def parameter_counts(model: nn.Module) -> dict[str, int]:
    """How many parameters a network has, and how many of them are trained."""

    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return {"parameters": sum(n for n, _ in sizes), "trainable": sum(n for n, trained in sizes if trained)}
