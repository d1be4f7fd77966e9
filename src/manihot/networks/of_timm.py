"""timm's networks, which a study calls `timm/NAME`, or `timm/NAME.TAG` for weights other than the default ones.

timm is imported where it is used: it takes as long as torchvision, and most jobs do without both.
"""

from typing import Any, cast

import torch
from torch import nn

from manihot.core.errors import StudyError
from manihot.core.text import did_you_mean
from manihot.networks.packages import PREFIX


def is_one(network: str) -> bool:
    """Whether a network is one of timm's, by its name in the study."""
    return network.startswith(PREFIX)


def create(network: str, dropout: float = 0.0, drop_path: float | None = None, pretrained: bool = False) -> nn.Module:
    """timm's network of this name, with the classes of its published weights; some have none, and give features.

    `dropout` is the rate before its last layer, `drop_path` that of leaving out residual blocks. Its weights are drawn
    from torch's random state, or `pretrained`: timm's own, downloaded once.

    Raises:
        StudyError: there is none of this name, or it cannot be made.
    """
    import timm

    name = _known(network)
    rates: dict[str, Any] = {} if drop_path is None else {"drop_path_rate": drop_path}
    try:
        return timm.create_model(name, pretrained=pretrained, drop_rate=dropout, **rates)
    except TypeError as error:
        asked = " or ".join(key for key, rate in (("dropout", dropout), ("drop_path", drop_path)) if rate)
        raise StudyError(
            f"network {network}: timm cannot make it with {asked or 'a dropout rate'} ({error})"
        ) from error


def _known(network: str) -> str:
    """The network's name in timm."""
    import timm
    from timm.models import get_arch_pretrained_cfgs

    name = network.removeprefix(PREFIX)
    architecture, _, tag = name.partition(".")
    names = timm.list_models()
    if architecture not in names:
        hint = did_you_mean(network, [PREFIX + known for known in names], "timm.list_models() has all names")
        raise StudyError(f"network {network}: timm has none of this name; {hint}")
    tagged = list(get_arch_pretrained_cfgs(architecture))
    if tag and name not in tagged:
        hint = did_you_mean(network, [PREFIX + known for known in tagged])
        raise StudyError(f"network {network}: timm has no weights of this tag; {hint}")
    return name


def published(network: str) -> dict[str, Any]:
    """timm's default weights of a network, or those of its tag: what they are, and what they were trained with.

    `name` (with the tag, empty where there are none), `license`, `mean` and `std` of the channels of pixels 0..1,
    `size` (pixels a side), `interpolation` and `crop_pct` (the share of a photo's side that the middle crop kept).

    Raises:
        StudyError: there is no network of this name.
    """
    from timm.data.config import resolve_data_config
    from timm.models import get_pretrained_cfg

    config: Any = get_pretrained_cfg(_known(network))
    told = config.to_dict() if config else {}
    has = bool(config and config.has_weights)
    resolve: Any = resolve_data_config
    used = resolve(pretrained_cfg=told)
    return {
        "name": f"{PREFIX}{told['architecture']}.{told['tag']}".removesuffix(".") if has else "",
        "license": told.get("license") or "",
        "mean": list(used["mean"]),
        "std": list(used["std"]),
        "size": used["input_size"][-1],
        "interpolation": used["interpolation"],
        "crop_pct": used["crop_pct"],
    }


def resize(model: nn.Module, network: str, size: int) -> nn.Module:
    """The network made to take photos of `size` pixels a side; what it knows of positions is resampled.

    A network of patches with weights for one size (a ViT, Swin) is changed in place; others take any size.

    Raises:
        StudyError: patches do not divide the photo.
    """
    pixels = getattr(getattr(model, "patch_embed", None), "patch_size", None)
    patch = pixels[0] if isinstance(pixels, tuple | list) else pixels
    if isinstance(patch, int) and size % patch:
        fitting = " or ".join(str(n * patch) for n in (size // patch, size // patch + 1) if n)
        raise StudyError(
            f"network {network} cuts photos into patches of {patch} px, which {size} px are no multiple of: "
            f"set `size` to {fitting}"
        )
    change = getattr(model, "set_input_size", None)
    if change is not None and size != cast(Any, model).pretrained_cfg["input_size"][-1]:
        try:
            change(img_size=(size, size))
        except (AssertionError, RuntimeError, TypeError, ValueError) as error:
            raise StudyError(f"network {network} cannot take photos of {size} px ({error}): change `size`") from error
    return model


def last_layer(model: nn.Module) -> tuple[str, nn.Module]:
    """The name of the layer that gives the logits, and the layer.

    Raises:
        StudyError: the network has several, as distilled ones have, or none.
    """
    layer = cast(Any, model).get_classifier()
    for name, module in model.named_modules():
        if module is layer and not isinstance(layer, nn.Identity | nn.ModuleList):
            return name, module
    raise StudyError(f"{type(model).__name__}: it has not one last layer: take another network")


def replace_last(model: nn.Module, classes: int) -> nn.Module:
    """The network with a new last layer for `classes`, initialised from torch's random state; changed in place."""
    cast(Any, model).reset_classifier(classes)
    last_layer(model)
    return model


def drop_last(model: nn.Module) -> None:
    """Take the last layer, or the several of a distilled network, away: what `features` needs is left."""
    cast(Any, model).reset_classifier(0)


def features(model: nn.Module, photos: torch.Tensor) -> torch.Tensor:
    """What the last layer takes in, [n, D]: the pooled features, and what the head makes of them."""
    network = cast(Any, model)
    return cast(torch.Tensor, network.forward_head(network.forward_features(photos), pre_logits=True)).flatten(1)
