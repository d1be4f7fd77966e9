"""The networks: two small ones of the paper, and torchvision's with a new last layer.

Torchvision is imported where its networks are built: it takes two seconds, and our own networks do without it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import safe_open
from safetensors.torch import load, load_file
from torch import Tensor, nn

from manihot.core.errors import StudyError
from manihot.core.text import did_you_mean
from manihot.networks.blocks import Block
from manihot.networks.bundle import Bundle

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

    def record(self) -> dict[str, Any]:
        """What a model's record says of it: the network's name, and `input` with size, decode, mean and std."""
        mean, std = self.channels()
        seen = {"size": self.size, "decode": self.decode, "mean": list(mean), "std": list(std)}
        return {"network": self.network, "input": seen}


def small_cnn(classes: int, size: int, dropout: float) -> nn.Sequential:
    """The paper's small network: float photos [n, 3, size, size] to logits [n, classes].

    Three 3x3 convolutions (64, 128, 256), each with batch norm, ReLU and 2x2 pooling, one more 2x2 pooling,
    fully connected 256. 13,218,309 parameters at 5 classes and 224 px.
    """
    # The last block's pooling and the one after it are one.
    features = [Block(3, 64, pooling=2), Block(64, 128, pooling=2), Block(128, 256, pooling=4)]
    connected = _connected(256 * (size // 16) ** 2, 256, dropout=dropout, classes=classes)
    return nn.Sequential(*features, nn.Flatten(), *connected)


def vgg_small(classes: int, size: int, dropout: float) -> nn.Sequential:
    """The paper's larger network: four blocks (64 to 512 channels), fully connected 512 and 256.

    53,066,245 parameters at 5 classes and 224 px.
    """
    features = [Block(before, after, pooling=2) for before, after in pairwise((3, 64, 128, 256, 512))]
    connected = _connected(512 * (size // 16) ** 2, 512, 256, dropout=dropout, classes=classes)
    return nn.Sequential(*features, nn.Flatten(), *connected)


OWN = {"small_cnn": small_cnn, "vgg_small": vgg_small}


def _connected(inputs: int, *widths: int, dropout: float, classes: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in pairwise((inputs, *widths)):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
    return [*layers, nn.Linear(widths[-1], classes)]


def known_networks() -> list[str]:
    """The names a study may use: the two of our own, and torchvision's classifiers."""
    from torchvision import models

    # These two return a tuple of several heads in training.
    several_heads = {"googlenet", "inception_v3"}
    return [*OWN, *(n for n in models.list_models(module=models) if n not in several_heads)]


def torchvision_network(name: str) -> nn.Module:
    """torchvision's network of this name with its 1,000 classes, initialised from torch's random state.

    Raises:
        StudyError: there is none of this name.
    """
    from torchvision.models import get_model

    names = known_networks()
    if name not in names or name in OWN:
        hint = did_you_mean(name, names, f"known are {', '.join(OWN)} and torchvision's")
        raise StudyError(f"network {name}: there is none of this name; {hint}")
    return cast(nn.Module, get_model(name, weights=None))


def classifier(
    network: str, classes: int, size: int, dropout: float, weights: Path | None, frozen: bool, seed: int
) -> nn.Module:
    """A network that turns float photos [n, 3, size, size] into logits [n, classes], float32, channels_last.

    torchvision's networks get a new last layer. `dropout` is the rate of the classifier's dropout layers;
    where there is none, one comes before the last layer. `weights` is a safetensors file of torchvision's
    state dict; without one the initial weights are drawn from `seed`. Where `frozen`, only the last layer can
    be trained.

    Raises:
        StudyError: an unknown network, weights that are not this network's, or photos too small for it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = assemble(network, classes, size, dropout, weights)
    _check_size(model, network, size)
    if frozen:
        model.requires_grad_(False)
        last_layer(model)[1].requires_grad_(True)
    return model.to(memory_format=torch.channels_last)


def assemble(network: str, classes: int, size: int, dropout: float, weights: Path | None) -> nn.Module:
    """`classifier` without its checks, on torch's current device and from its current random state."""
    if network in OWN:
        if weights is not None:
            raise StudyError(f"network {network} has no published weights: take `weights` out of the experiment")
        return OWN[network](classes, size, dropout)
    model = torchvision_network(network)
    if weights is not None:
        _load(model, weights, network)
    name, last = last_layer(model)
    new: nn.Module
    if isinstance(last, nn.Linear):
        new = nn.Linear(last.in_features, classes, bias=last.bias is not None)
    else:
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
        with safe_open(weights, "pt") as file:
            metadata = file.metadata() or {}
        state = load_file(weights)
        own = fingerprint(state)
        if metadata.get("sha256", own) != own:
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


def last_layer(model: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """The name of the layer that gives the logits, and the layer."""
    layers = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    return layers[-1]


def feature_network(name: str, weights: Path) -> nn.Module:
    """torchvision's network but for its last layer, in eval mode: photos [n, 3, h, w] to features [n, D].

    D is what the last layer takes in: 512 for resnet18, 1,280 for efficientnet_b0 (its pooled features),
    4,096 for alexnet; squeezenet's are its last maps, averaged.

    Raises:
        StudyError: an unknown network, or a file that does not hold its weights.
    """
    model = torchvision_network(name)
    _load(model, weights, name)
    return headless(model).eval().requires_grad_(False)


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


def headless(model: nn.Module) -> nn.Module:
    """A network made to give [n, D] features: what its last layer takes in."""
    model.set_submodule(last_layer(model)[0], nn.Identity())
    return nn.Sequential(model, nn.Flatten())


def normalisation(network: str, kind: str = "weights") -> tuple[Sequence[float], Sequence[float]]:
    """Mean and standard deviation of the three channels of pixels 0..1.

    `kind` is `none` (pixels as they are), `standard` (ImageNet's), or `weights`: what the network's published
    weights were trained with; our own networks take pixels as they are.
    """
    if kind == "standard":
        return IMAGENET
    if kind == "none" or network in OWN:
        return PIXELS
    from torchvision.models import get_model_weights

    preset = next(iter(get_model_weights(network))).transforms()
    return preset.mean, preset.std


def parameter_counts(model: nn.Module) -> dict[str, int]:
    """How many parameters a network has, and how many of them are trained."""

    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return {"parameters": sum(n for n, _ in sizes), "trainable": sum(n for n, trained in sizes if trained)}
