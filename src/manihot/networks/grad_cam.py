"""Grad-CAM: what in a network's last maps speaks for a class, and where.

Selvaraju et al. 2017 (arXiv 1610.02391): each map is weighed by the mean, over its places, of the gradient of the
class's logit; what is left of their sum above zero is the picture. `cam.cam_layer` says at which layer.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def grad_cam(model: nn.Module, photos: Tensor, classes: Tensor, layer: str, layout: str) -> NDArray[np.float32]:
    """How much each place speaks for a photo's class, float32 [n, h, w], 0 or more; h and w are those of the maps.

    `model` turns `photos` [n, 3, height, width] into logits [n, K]; it is put into eval mode, and none of its
    parameters has a gradient any more. `classes` is int64 [n]; `layer` and `layout` are as in `cam.cam_layer`.
    """
    model.eval().requires_grad_(False)
    kept: list[Tensor] = []

    def keep(module: nn.Module, given: Any, made: Tensor) -> Tensor:
        kept.append(made.detach().requires_grad_())
        # A copy: what follows may work in place.
        return kept[-1].clone()

    hook = model.get_submodule(layer).register_forward_hook(keep)
    try:
        with torch.enable_grad():
            told = model(photos).gather(1, classes[:, None]).sum()
            (gradient,) = torch.autograd.grad(told, kept[-1])
    finally:
        hook.remove()
    maps, slopes = (_places(values.detach().float(), layout, model) for values in (kept[-1], gradient))
    summed = (slopes.mean(dim=(1, 2), keepdim=True) * maps).sum(dim=3)
    return summed.relu().cpu().numpy()


def _places(values: Tensor, layout: str, model: nn.Module) -> Tensor:
    """Maps or tokens as [n, h, w, C], without the tokens of classes and registers, which have no place."""
    if layout != "nlc":
        return values.permute(0, 2, 3, 1) if layout == "nchw" else values
    count = values.shape[1]
    # timm's networks say how many come first. Others have at most that of the class, beside a square of places.
    known: list[Any] = [part.num_prefix_tokens for part in model.modules() if hasattr(part, "num_prefix_tokens")]
    first = known[0] if known else count - math.isqrt(count) ** 2
    side = math.isqrt(count - first)
    return values[:, first:].unflatten(1, (side, side))
