"""Pooling, batch norm and ReLU of a block on a GPU: each full map is read once forward, and read and written once back.

The formulas are those of `blocks`; PyTorch's own layers go over the full maps a dozen times. Triton, which comes with
PyTorch for NVIDIA's GPUs, compiles these kernels when they are first used and keeps them on disk.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

# Programs that sum, on every GPU as many: the order of the sums, and with it their bits, depends on nothing else.
PROGRAMS = 2048
VALUES = 4096  # that a program has in hand


@triton.jit
def _window(tile, count, rows, columns, T: tl.constexpr):
    """Photo, row and column of each of a tile's windows, and which of them are there."""
    window = tile * T + tl.arange(0, T)
    return (window // (rows * columns)).to(tl.int64), window // columns % rows, window % columns, window < count


@triton.jit
def _pixels(x, photo, row, column, there, height, width, C: tl.constexpr):
    """Pointers [T, C] to pixels of maps [n, height, width, C], and which are inside."""
    place = ((photo * height + row) * width + column) * C
    inside = there & (row < height) & (column < width)
    return x + place[:, None] + tl.arange(0, C)[None, :], inside[:, None]


@triton.jit
def _pool(
    x, weight, maxima, sums, photos, height, width,
    C: tl.constexpr, P: tl.constexpr, T: tl.constexpr, PROGRAMS: tl.constexpr,
):  # fmt: skip
    """The value of each window that batch norm will make the largest, and sums of x - x[0] and of its square."""
    channel = tl.arange(0, C)
    first = tl.load(x + channel).to(tl.float32)[None, :]
    sign = tl.where(tl.load(weight + channel) < 0, -1.0, 1.0)[None, :]
    total, squares = tl.zeros([T, C], tl.float32), tl.zeros([T, C], tl.float32)
    rows, columns = tl.cdiv(height, P), tl.cdiv(width, P)
    count = photos * rows * columns
    for tile in range(tl.program_id(0), tl.cdiv(count, T), PROGRAMS):
        photo, row, column, there = _window(tile, count, rows, columns, T)
        largest = tl.full([T, C], float("-inf"), tl.float32)
        for i in tl.static_range(P):
            for j in tl.static_range(P):
                place, inside = _pixels(x, photo, row * P + i, column * P + j, there, height, width, C)
                value = tl.load(place, mask=inside, other=0).to(tl.float32)
                centred = tl.where(inside, value - first, 0)
                total += centred
                squares += centred * centred
                largest = tl.maximum(largest, value * sign)
        place, inside = _pixels(maxima, photo, row, column, there, height // P, width // P, C)
        tl.store(place, (largest * sign).to(maxima.dtype.element_ty), mask=inside)
    tl.store(sums + tl.program_id(0) * 2 * C + channel, tl.sum(total, 0))
    tl.store(sums + tl.program_id(0) * 2 * C + C + channel, tl.sum(squares, 0))


@triton.jit
def _normalise(
    x, totals, maxima, weight, bias, shift, running_mean, running_variance, momentum, eps, statistics, out,
    pixels, count, C: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """ReLU of batch norm of the maxima; mean and 1 / deviation of all pixels; the running ones move on."""
    channel = tl.arange(0, C)
    offset = tl.load(totals + channel) / pixels
    mean = tl.load(x + channel).to(tl.float32) + offset
    variance = tl.maximum(tl.load(totals + C + channel) / pixels - offset * offset, 0.0)
    inverse = 1 / tl.sqrt(variance + eps)
    if tl.program_id(0) == 0:
        tl.store(statistics + channel, mean)
        tl.store(statistics + C + channel, inverse)
        old, at = tl.load(running_mean + channel), running_mean + channel
        tl.store(at, old + momentum * (mean + tl.load(shift + channel) - old))
        old, at = tl.load(running_variance + channel), running_variance + channel
        tl.store(at, old + momentum * (variance * (pixels / (pixels - 1)) - old))
    index = (tl.program_id(0) * T + tl.arange(0, T)).to(tl.int64)
    place, inside = index[:, None] * C + channel[None, :], (index < count)[:, None]
    value = tl.load(maxima + place, mask=inside, other=0).to(tl.float32)
    value = (value - mean[None, :]) * (inverse * tl.load(weight + channel))[None, :] + tl.load(bias + channel)[None, :]
    tl.store(out + place, tl.maximum(value, 0.0).to(out.dtype.element_ty), mask=inside)


@triton.jit
def _sum_gradients(
    gradient, maxima, statistics, weight, bias, sums, count, C: tl.constexpr, T: tl.constexpr, PROGRAMS: tl.constexpr,
):  # fmt: skip
    """Sums of the gradient of batch norm's output, and of its product with the normalised value."""
    channel = tl.arange(0, C)
    mean, inverse = tl.load(statistics + channel)[None, :], tl.load(statistics + C + channel)[None, :]
    scale, start = tl.load(weight + channel)[None, :], tl.load(bias + channel)[None, :]
    total, products = tl.zeros([T, C], tl.float32), tl.zeros([T, C], tl.float32)
    for tile in range(tl.program_id(0), tl.cdiv(count, T), PROGRAMS):
        index = (tile * T + tl.arange(0, T)).to(tl.int64)
        place, inside = index[:, None] * C + channel[None, :], (index < count)[:, None]
        value = (tl.load(maxima + place, mask=inside, other=0).to(tl.float32) - mean) * inverse
        upstream = tl.load(gradient + place, mask=inside, other=0).to(tl.float32)
        upstream = tl.where(value * scale + start > 0, upstream, 0)
        total += upstream
        products += upstream * value
    tl.store(sums + tl.program_id(0) * 2 * C + channel, tl.sum(total, 0))
    tl.store(sums + tl.program_id(0) * 2 * C + C + channel, tl.sum(products, 0))


@triton.jit
def _write_gradient(
    x, gradient, statistics, weight, bias, totals, pixels, photos, height, width,
    C: tl.constexpr, P: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """The gradient of x, over x."""
    channel = tl.arange(0, C)
    mean, inverse = tl.load(statistics + channel)[None, :], tl.load(statistics + C + channel)[None, :]
    scale, start = tl.load(weight + channel)[None, :], tl.load(bias + channel)[None, :]
    sign = tl.where(scale < 0, -1.0, 1.0)
    total = (tl.load(totals + channel) / pixels)[None, :]
    products = (tl.load(totals + C + channel) / pixels)[None, :]
    rows, columns = tl.cdiv(height, P), tl.cdiv(width, P)
    photo, row, column, there = _window(tl.program_id(0), photos * rows * columns, rows, columns, T)
    largest, best = tl.full([T, C], float("-inf"), tl.float32), tl.zeros([T, C], tl.int32)
    for i in tl.static_range(P):
        for j in tl.static_range(P):
            place, inside = _pixels(x, photo, row * P + i, column * P + j, there, height, width, C)
            value = tl.load(place, mask=inside, other=0).to(tl.float32) * sign
            best = tl.where(value > largest, i * P + j, best)  # of equals the first, as PyTorch's
            largest = tl.maximum(largest, value)
    place, inside = _pixels(gradient, photo, row, column, there, height // P, width // P, C)
    upstream = tl.load(place, mask=inside, other=0).to(tl.float32)
    upstream = tl.where((largest * sign - mean) * inverse * scale + start > 0, upstream, 0)
    for i in tl.static_range(P):
        for j in tl.static_range(P):
            place, inside = _pixels(x, photo, row * P + i, column * P + j, there, height, width, C)
            value = (tl.load(place, mask=inside, other=0).to(tl.float32) - mean) * inverse
            slope = tl.where(best == i * P + j, upstream, 0) - total - value * products
            tl.store(place, (scale * inverse * slope).to(x.dtype.element_ty), mask=inside)


class NormalisedMaxima(torch.autograd.Function):
    """ReLU of max pooling of batch norm of x + shift: [n, C, h, w] to [n, C, h // pooling, w // pooling].

    `x` is in channels_last; `shift` (a convolution's bias, which batch norm takes away again) shows in the running
    mean alone, and its gradient is zero. Moves running mean and variance on. The gradient is written over x, so that
    a graph can be walked back once.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, running_mean: Tensor,
        running_variance: Tensor, momentum: float, eps: float, pooling: int,
    ) -> Tensor:  # fmt: skip
        n, channels, height, width = x.shape
        shape = (n, height // pooling, width // pooling, channels)
        maxima, out = (x.new_empty(shape).permute(0, 3, 1, 2) for _ in range(2))
        sums = torch.empty(PROGRAMS, 2, channels, device=x.device)
        together, count, pixels = max(1, VALUES // channels), maxima.numel() // channels, x.numel() // channels
        _pool[(PROGRAMS,)](x, weight, maxima, sums, n, height, width, channels, pooling, together, PROGRAMS)
        statistics = torch.empty(2, channels, device=x.device)
        _normalise[(triton.cdiv(count, together),)](
            x, sums.sum(0), maxima, weight, bias, shift, running_mean, running_variance, momentum, eps, statistics,
            out, pixels, count, channels, together,
        )  # fmt: skip
        ctx.save_for_backward(x, maxima, weight, bias, statistics)
        ctx.pooling, ctx.together = pooling, together
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, maxima, weight, bias, statistics = ctx.saved_tensors
        n, channels, height, width = x.shape
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        pixels, count, pooling, together = x.numel() // channels, maxima.numel() // channels, ctx.pooling, ctx.together
        sums = torch.empty(PROGRAMS, 2, channels, device=x.device)
        _sum_gradients[(PROGRAMS,)](
            gradient, maxima, statistics, weight, bias, sums, count, channels, together, PROGRAMS
        )
        totals = sums.sum(0)
        windows = n * triton.cdiv(height, pooling) * triton.cdiv(width, pooling)
        _write_gradient[(triton.cdiv(windows, together),)](
            x, gradient, statistics, weight, bias, totals, pixels, n, height, width, channels, pooling, together
        )
        return x, torch.zeros_like(bias), totals[1], totals[0], None, None, None, None, None
