"""The block of our own networks: convolution, batch norm, max pooling, ReLU, in the fewest passes over memory.

Batch norm is x -> a x + b in each channel, with a and b of the whole batch: where a > 0 it keeps the order, so the
pooled output of batch norm is batch norm of the pooled input. Only pooled maps are normalised then, and batch norm's
full output is neither written, read nor kept for the gradient (docs/performance.md has what that gives).
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

aten = torch.ops.aten
# Bytes of maps that are pooled at a time: few enough for the caches, enough to keep the cores busy.
TOGETHER = 2**23
# Where training takes the function below; a GPU's libraries have kernels of their own.
FUSED_ON = {"cpu"}


class Block(nn.Module):
    """Maps [n, inputs, h, w] to [n, outputs, h // pooling, w // pooling]: 3x3 convolution, batch norm, pooling, ReLU.

    ReLU after pooling is equal to ReLU before it, and less work. Batch norm takes the convolution's bias away again: it
    is in the running mean alone, and neither added nor learned, which saves a pass over the full maps each way.
    """

    def __init__(self, inputs: int, outputs: int, pooling: int):
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
        self.norm = nn.BatchNorm2d(outputs)
        self.pooling = pooling

    def forward(self, maps: Tensor) -> Tensor:
        """The block's output; in training the running mean and variance move on."""
        convolution, norm = self.convolution, self.norm
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None and variance is not None and convolution.bias is not None
        bias = convolution.bias.detach()
        # A negative weight of batch norm would turn the order round: its channel is convolved with the sign changed.
        sign = torch.where(norm.weight.detach() < 0, -1.0, 1.0).to(mean.dtype)
        unshifted = (mean - bias) * sign
        statistics = (unshifted, variance, norm.weight * sign, norm.bias)
        convolved = functional.conv2d(maps, convolution.weight * sign.view(-1, 1, 1, 1), padding=1)
        if not self.training:
            pooled = functional.max_pool2d(convolved, self.pooling)
            return functional.batch_norm(pooled, *statistics, False, 0.0, norm.eps).relu_()
        assert norm.momentum is not None and norm.num_batches_tracked is not None
        if convolved.device.type in FUSED_ON:
            convolved = convolved.contiguous(memory_format=torch.channels_last)
            pooled = _NormalisedMaxima.apply(convolved, *statistics, norm.momentum, norm.eps, self.pooling)
        else:
            normalised = functional.batch_norm(convolved, *statistics, True, norm.momentum, norm.eps)
            pooled = functional.max_pool2d(normalised, self.pooling)
        mean.copy_(unshifted * sign + bias)
        norm.num_batches_tracked.add_(1)
        return pooled.relu_()


class _NormalisedMaxima(torch.autograd.Function):
    """Max pooling of batch norm (weights >= 0) of maps in channels_last; moves running mean and variance on.

    The gradient of batch norm's input x is, with the mean m and deviation s of its n values in a channel, and g the
    gradient of the output (Ioffe and Szegedy, arXiv 1502.03167, section 3),

        weight / s * (g - sum(g) / n - (x - m) / s * sum(g (x - m) / s) / n):

    a line of x everywhere, and g at the maxima alone, which is where both sums are taken. It is written over x, so
    that a graph can be walked back once.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, running_mean: Tensor, running_variance: Tensor, weight: Tensor, bias: Tensor,
        momentum: float, eps: float, pooling: int,
    ) -> Tensor:  # fmt: skip
        mean, variance = aten.batch_norm_update_stats(x, running_mean, running_variance, momentum)
        n, channels, height, width = x.shape
        maxima = x.new_empty(n, height // pooling, width // pooling, channels).permute(0, 3, 1, 2)
        for some, pooled in _together(x, maxima):
            pooled.copy_(functional.max_pool2d(some, pooling))
        ctx.save_for_backward(x, maxima, weight, mean, variance)
        ctx.eps, ctx.pooling = eps, pooling
        return functional.batch_norm(maxima, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, maxima, weight, mean, variance = ctx.saved_tensors
        # With mean and variance given: weight / s * g at the maxima, and both sums.
        at_maxima, weighted_sum, plain_sum = aten.native_batch_norm_backward(
            gradient, maxima, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        channels, width = x.shape[1], x.shape[3]
        n = x.numel() // channels
        inverse = torch.rsqrt(variance + ctx.eps)
        slope, start = -weight * inverse**2 * weighted_sum / n, -weight * inverse * plain_sum / n

        def row(values: Tensor) -> Tensor:
            return values.to(x.dtype).repeat(width)  # of a whole row of pixels: a channel's loop would be short

        start -= slope * mean
        # In few digits the line is a little off, and would shift a channel as a whole: the maxima take that back.
        off = start - start.to(x.dtype) + (slope - slope.to(x.dtype)) * mean
        at_maxima.add_((off * (x.numel() / maxima.numel())).to(x.dtype).view(-1, 1, 1))
        start, slope = row(start), row(slope)
        for some, gradients in _together(x, at_maxima):
            _, places = aten.max_pool2d_with_indices(some, ctx.pooling)
            window = [ctx.pooling, ctx.pooling]
            spread = aten.max_pool2d_with_indices_backward(
                gradients, some, window, window, [0, 0], [1, 1], False, places
            )
            rows = some.permute(0, 2, 3, 1).view(-1, width * channels)
            torch.addcmul(start, rows, slope, out=rows)
            some.add_(spread)
        return x, None, None, weighted_sum, plain_sum, None, None, None


def _together(x: Tensor, pooled: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Both maps, some photos at a time: the places of maxima are 64-bit integers, and never all in memory."""
    photos = max(1, TOGETHER * len(x) // (x.numel() * x.itemsize))
    return zip(x.split(photos), pooled.split(photos), strict=True)
