"""How many floating-point operations a network does."""

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def flops(model: nn.Module, size: int, training: bool) -> int:
    """FLOP of one photo of `size` pixels a side: forward, or forward and backward.

    A network on the device `meta`, which holds no numbers, is counted as fast as it is built. Of grouped convolutions
    torch counts too much backward.
    """
    device = next(model.parameters()).device
    return count(model, torch.ones(2, 3, size, size, device=device), training) // 2


def count(model: nn.Module, given: Tensor, training: bool) -> int:
    """FLOP of `given`: forward, or forward and backward to the parameters that can be trained."""
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(training):
        made = model(given)
        if training:
            made.sum().backward()
    return counter.get_total_flops()
