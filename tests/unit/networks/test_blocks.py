"""The fused block against its layers one by one: values, gradients, statistics, ties, signs, precision."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from maps import SHAPES
from torch import nn

from manihot.networks import blocks
from manihot.networks.blocks import Block


def layers(block):
    """The block's own layers as the formula has them, and a copy of them to change."""
    return copy.deepcopy(nn.Sequential(block.convolution, block.norm, nn.ReLU(), nn.MaxPool2d(block.pooling)))


def block(inputs=3, outputs=8, pooling=2, seed=0, negative=True):
    torch.manual_seed(seed)
    made = Block(inputs, outputs, pooling)
    with torch.no_grad():
        made.norm.weight.uniform_(-1 if negative else 0.5, 1)
        made.norm.bias.uniform_(-1, 1)
        made.norm.running_mean.normal_()
        made.norm.running_var.uniform_(0.5, 2)
    return made.to(memory_format=torch.channels_last)


def run(model, maps, upstream):
    """Output, gradients (before batch norm, the convolution's bias has none but rounding) and statistics."""
    maps = maps.clone(memory_format=torch.channels_last).requires_grad_()
    made = model(maps)
    (made * upstream).sum().backward()
    weight, _, *others = model.parameters()
    gradients = [parameter.grad for parameter in (weight, *others)]
    return [made.detach(), maps.grad, *gradients, *model.buffers()]


@settings(deadline=None, max_examples=60)
@given(photos=st.integers(1, 4), levels=st.sampled_from([1, 2, 256]), **SHAPES)
def test_the_block_is_its_layers(photos, height, width, pooling, seed, levels):
    """Few levels give equal values in a window, where the first is the largest; 1 gives constant photos."""
    ours = block(pooling=pooling, seed=seed).double()
    plain = layers(ours)
    maps = torch.randint(0, levels, (photos, 3, height, width)).double() / 256
    upstream = torch.randn(photos, 8, height // pooling, width // pooling, dtype=torch.float64)
    for one, other in zip(run(ours, maps, upstream), run(plain, maps, upstream), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)
    with torch.inference_mode():
        torch.testing.assert_close(ours.eval()(maps), plain.eval()(maps), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 2), (torch.bfloat16, 1.1)])
def test_a_precision_is_as_near_to_float64_as_the_layers_are(dtype, allowed):
    ours = block(64, 128)
    with torch.no_grad():
        ours.convolution.weight += 3 / 64 / 9  # channels far from zero, where bfloat16 has few digits left
    plain, exact = layers(ours), layers(ours).double()
    maps, upstream = torch.randn(8, 64, 24, 24) + 1, torch.randn(8, 128, 12, 12) + 1
    wanted = run(exact, maps.double(), upstream.double())
    errors = []
    for model in (ours, plain):
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            found = run(model, maps, upstream)
        assert found[0].dtype == dtype
        errors.append([float((a.double() - b).norm() / b.double().norm()) for a, b in zip(found, wanted, strict=True)])
    for place, (own, theirs) in enumerate(zip(*errors, strict=True)):
        assert own <= allowed * theirs + 1e-6, (place, own, theirs)


def test_the_bias_of_the_convolution_is_in_the_running_mean_alone():
    ours = block().double()
    plain = layers(ours)
    for model in (ours, plain):
        model(torch.randn(4, 3, 8, 8).double()).square().sum().backward()
    assert ours.convolution.bias.grad is None
    assert plain[0].bias.grad.abs().max() < 1e-9 * plain[0].weight.grad.abs().max()


def test_a_graph_is_walked_back_once():
    """The gradient is written over what the second walk would need."""
    made = block()(torch.randn(2, 3, 8, 8))
    made.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        made.sum().backward()


def test_maps_of_another_layout_give_the_same():
    maps = torch.randn(2, 3, 8, 8)
    plain_layout = copy.deepcopy(block()).to(memory_format=torch.contiguous_format)
    torch.testing.assert_close(plain_layout(maps), block()(maps.contiguous(memory_format=torch.channels_last)))


@pytest.mark.parametrize("together", [1, 3 * 8 * 64 * 4, 2**40])
def test_photos_pooled_together_do_not_change_a_bit(monkeypatch, together):
    maps, upstream = torch.randn(5, 3, 8, 8), torch.randn(5, 8, 4, 4)
    usual = run(block(), maps, upstream)
    monkeypatch.setattr(blocks, "TOGETHER", together)
    assert all(map(torch.equal, run(block(), maps, upstream), usual))


def test_the_layers_that_a_gpu_takes_are_the_same_block(monkeypatch):
    ours = block().double()
    plain = layers(ours)
    monkeypatch.setattr(blocks, "FUSED_ON", set())
    maps, upstream = torch.randn(4, 3, 9, 8).double(), torch.randn(4, 8, 4, 4).double()
    for one, other in zip(run(ours, maps, upstream), run(plain, maps, upstream), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)
