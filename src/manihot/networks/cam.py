"""Where a Grad-CAM looks: the layer whose maps or tokens come last before the network averages them away.

Selvaraju et al. 2017 (arXiv 1610.02391) weigh the last maps of a CNN by their gradient. Of a ViT's last block only the
class token goes on, so that the tokens that still count are those which this block takes in: its first norm's.
"""

import re
from typing import Any

import torch
from torch import Tensor, nn

TOKENS = re.compile(r"(?:.*\.)?(?:blocks\.\d+\.norm1|encoder_layer_\d+\.ln_1)")


def cam_layer(model: nn.Module, size: int) -> dict[str, str]:
    """The layer for a Grad-CAM: `cam_layer`, the name of its module, and `cam_layout`, what its output is.

    `nchw` and `nhwc` are maps [n, C, h, w] and [n, h, w, C], `nlc` tokens [n, L, C], those of classes and registers
    first. `model` takes photos of `size` pixels a side; it runs once, in eval mode.
    """
    outputs: list[tuple[str, nn.Module, torch.Size]] = []

    def keep(name: str) -> Any:
        def hook(module: nn.Module, _: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() in {3, 4}:
                outputs.append((name, module, output.shape))

        return hook

    like = next(model.parameters())
    photos = torch.zeros(1, 3, size, size, device=like.device, dtype=like.dtype)
    training = model.training
    hooks = [module.register_forward_hook(keep(name)) for name, module in model.named_modules() if name]
    try:
        with torch.inference_mode():
            whole = model.eval()
            # timm's networks say themselves where their maps end.
            run: Any = getattr(whole, "forward_features", whole)
            last = run(photos)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return _chosen(model, outputs, last.shape if isinstance(last, Tensor) else torch.Size())


def _chosen(model: nn.Module, outputs: list[tuple[str, nn.Module, torch.Size]], last: torch.Size) -> dict[str, str]:
    if len(last) != 4 and (tokens := [name for name, _, _ in outputs if TOKENS.fullmatch(name)]):
        return {"cam_layer": tokens[-1], "cam_layout": "nlc"}
    if len(last) in {3, 4}:
        found = [(name, shape) for name, _, shape in outputs if shape == last]
    else:
        maps = [(name, module, shape) for name, module, shape in outputs if len(shape) == 4]
        pooled = [place for place, (_, module, _) in enumerate(maps) if isinstance(module, nn.AdaptiveAvgPool2d)]
        found = [(name, shape) for name, _, shape in maps[: pooled[-1] if pooled else len(maps)]]
    name, shape = found[-1]
    if len(shape) == 3:
        return {"cam_layer": name, "cam_layout": "nlc"}
    channels = getattr(model, "num_features", shape[1])
    return {"cam_layer": name, "cam_layout": "nchw" if shape[1] == channels else "nhwc"}
