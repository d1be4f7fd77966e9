"""Frozen networks whose batch norms are fused into the convolutions before them: a pass over memory and a rounding
less. PyTorch fuses what it can trace; timm's networks, whose batch norms hold their activation, it cannot."""

import copy
import logging
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torch.nn.utils.fusion import fuse_conv_bn_eval

from manihot.networks.blocks import Block

log = logging.getLogger(__name__)
# The side of the photos that a network is tried on, and how far answers may lie apart, in parts of the largest.
SIDE, APART = 64, 1e-4


def fused(model: nn.Module) -> nn.Module:
    """A copy of a network in eval mode and float32, its batch norms fused where that is known to change nothing but
    roundings. Our own blocks normalise only what they pooled."""
    if any(isinstance(part, Block) for part in model.modules()) or not any(map(_is_norm, model.modules())):
        return copy.deepcopy(model)
    try:
        return fuse(model)
    except Exception as error:  # torch.fx cannot trace every network
        log.info("not traced: %s", error)
    try:
        made = _by_order(copy.deepcopy(model))
        photos = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            exact, found = model(photos), made(photos)
        if (found - exact).abs().max() <= APART * exact.abs().max():
            return made
        log.info("batch norms are not fused: a convolution before one has another use")
    except Exception as error:  # any network, and not each takes photos of this size
        log.info("batch norms are not fused: %s", error)
    return copy.deepcopy(model)


def _is_norm(part: nn.Module) -> bool:
    """Whether it is PyTorch's batch norm, or timm's, which has an activation behind it."""
    held = {name for name, _ in part.named_children()}
    return isinstance(part, nn.BatchNorm2d) and (type(part) is nn.BatchNorm2d or {"drop", "act"} <= held)


def _by_order(model: nn.Module) -> nn.Module:
    """The network itself, each batch norm that took in what a convolution gave being fused into it."""
    names = {part: name for name, part in model.named_modules()}
    # Outputs are kept, so that none has the number of another.
    given: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    runs: list[nn.Module] = []
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def convolved(part: nn.Conv2d, _: Any, output: Tensor) -> None:
        given[id(output)] = part, output
        runs.append(part)

    def normed(part: nn.BatchNorm2d, taken: tuple[Tensor, ...]) -> None:
        runs.append(part)
        if id(taken[0]) in given:
            pairs.append((given[id(taken[0])][0], part))

    hooks = [part.register_forward_hook(convolved) for part in names if isinstance(part, nn.Conv2d)]
    hooks += [part.register_forward_pre_hook(normed) for part in names if _is_norm(part)]
    with torch.inference_mode():
        model(torch.zeros(1, 3, SIDE, SIDE))
    for hook in hooks:
        hook.remove()
    for convolution, norm in pairs:
        if runs.count(convolution) == runs.count(norm) == 1:
            model.set_submodule(names[convolution], fuse_conv_bn_eval(convolution, norm))
            # What timm's has behind it: drop and act.
            model.set_submodule(names[norm], nn.Sequential(*norm.children()))
    return model
