"""The candidate for blocks on a GPU (benchmarks/block_kernels.py) against the layers: interpreted where there is none."""

import copy
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from maps import SHAPES
from torch import nn

pytest.importorskip("triton")
sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))
import block_kernels  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@settings(deadline=None, max_examples=25)
@given(photos=st.integers(1, 3), levels=st.sampled_from([2, 256]), programs=st.sampled_from([1, 3]), **SHAPES)
def test_the_kernels_are_the_layers(photos, height, width, pooling, seed, levels, programs):
    """Few levels give equal values in a window, where the first is the largest."""
    block_kernels.PROGRAMS = programs
    torch.manual_seed(seed)
    maps = (torch.randint(0, levels, (photos, 8, height, width)) / levels + 3).to(memory_format=torch.channels_last)
    shift, upstream = torch.randn(8), torch.randn(photos, 8, height // pooling, width // pooling)
    norm = nn.BatchNorm2d(8)
    with torch.no_grad():
        norm.weight.uniform_(-1, 1)
        norm.bias.uniform_(-1, 1)
    exact, given_maps = copy.deepcopy(norm).double(), maps.double().requires_grad_()
    wanted = nn.functional.max_pool2d(exact(given_maps + shift.double()[:, None, None]).relu(), pooling)
    (wanted * upstream.double()).sum().backward()

    norm, own = norm.to(DEVICE), maps.to(DEVICE, memory_format=torch.preserve_format).requires_grad_()
    found = block_kernels.NormalisedMaxima.apply(
        own * 1, shift.to(DEVICE), norm.weight, norm.bias, norm.running_mean, norm.running_var, 0.1, norm.eps, pooling
    )
    (found * upstream.to(DEVICE)).sum().backward()
    pairs = [
        (found, wanted), (own.grad, given_maps.grad), (norm.weight.grad, exact.weight.grad),
        (norm.bias.grad, exact.bias.grad), (norm.running_mean, exact.running_mean),
        (norm.running_var, exact.running_var),
    ]  # fmt: skip
    for one, other in pairs:
        torch.testing.assert_close(one.detach().cpu().double(), other.detach(), rtol=1e-4, atol=1e-4)
