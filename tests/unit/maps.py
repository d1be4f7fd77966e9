"""The sizes of maps, poolings and seeds that a block is tried on, and the shape of what a layer gives."""

import torch
from hypothesis import strategies as st
from torch import nn

SHAPES = {
    "height": st.integers(4, 13),
    "width": st.integers(4, 13),
    "pooling": st.sampled_from([2, 3, 4]),
    "seed": st.integers(0, 1000),
}


@torch.inference_mode()
def shape_of(model: nn.Module, name: str, size: int) -> torch.Size:
    """The shape of what a network's layer of this name gives for two photos, in eval mode."""
    found: list[torch.Size] = []
    hook = model.get_submodule(name).register_forward_hook(lambda _, given, made: found.append(made.shape))
    model.eval()(torch.zeros(2, 3, size, size))
    hook.remove()
    return found[-1]
