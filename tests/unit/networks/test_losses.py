"""The losses: the logit-adjusted one against its formula and against what it is for."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from manihot.networks import losses


def test_logit_adjustment_is_cross_entropy_of_shifted_logits():
    targets = np.array([0, 0, 0, 1, 1, 2])
    shares = losses.shares(targets, 4)
    # A class without photos counts one: its logarithm is finite.
    assert shares == pytest.approx(np.array([3, 2, 1, 1]) / 7)
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    loss = losses.LogitAdjusted(shares, 0.1)(logits, torch.from_numpy(targets))
    shifted = logits + torch.tensor(np.log([3 / 7, 2 / 7, 1 / 7, 1 / 7])).float()
    assert loss.item() == pytest.approx(
        functional.cross_entropy(shifted, torch.from_numpy(targets), label_smoothing=0.1).item(), rel=1e-6
    )


def test_logits_fitted_with_it_are_those_of_even_classes():
    """Where photos tell nothing, the best logits are even, however uneven the classes are."""
    targets = torch.tensor([0] * 90 + [1] * 10)
    loss = losses.LogitAdjusted(losses.shares(targets.numpy(), 2), 0.0)
    logits = torch.tensor([0.7, -0.4], requires_grad=True)
    optimizer = torch.optim.SGD([logits], lr=1.0)
    for _ in range(300):
        optimizer.zero_grad()
        loss(logits.expand(100, 2), targets).backward()
        optimizer.step()
    assert logits.softmax(0).tolist() == pytest.approx([0.5, 0.5], abs=1e-3)
