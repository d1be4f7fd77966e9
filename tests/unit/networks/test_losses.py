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
    loss = losses.LogitAdjusted(shares, 0.0)(logits, torch.from_numpy(targets))
    shifted = logits + torch.tensor(np.log([3 / 7, 2 / 7, 1 / 7, 1 / 7])).float()
    assert loss.item() == pytest.approx(functional.cross_entropy(shifted, torch.from_numpy(targets)).item(), rel=1e-6)


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


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["cross_entropy", "weighted", "logit_adjusted"])
def test_the_prior_is_what_is_answered_where_photos_tell_nothing(kind, smoothing):
    targets = np.repeat([0, 1, 2], [60, 30, 10])
    photos, device = torch.from_numpy(targets), torch.device("cpu")
    shares, weights = [0.6, 0.3, 0.1], [1.0] * 3
    if kind == "logit_adjusted":
        loss = losses.LogitAdjusted(losses.shares(targets, 3), smoothing)
    else:
        loss = losses.cross_entropy("balanced" if kind == "weighted" else "none", smoothing, targets, 3, device)
        weights = losses.class_weights(targets, 3).tolist() if kind == "weighted" else weights
    logits = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=300, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def closure():
        optimizer.zero_grad()
        value = loss(logits.expand(len(photos), 3), photos)
        value.backward()
        return value

    optimizer.step(closure)
    answered = logits.softmax(0).detach().numpy()
    assert losses.prior(kind, shares, weights, smoothing) == pytest.approx(answered, abs=1e-3)
    if kind != "cross_entropy":
        assert answered == pytest.approx(np.full(3, 1 / 3), abs=1e-4)


def test_weighted_cross_entropy_without_smoothing_is_torchs():
    targets = np.array([0, 0, 0, 1, 1, 2])
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    loss = losses.cross_entropy("balanced", 0.0, targets, 4, torch.device("cpu"))
    weights = torch.from_numpy(losses.class_weights(targets, 4))
    assert loss(logits, torch.from_numpy(targets)).item() == pytest.approx(
        functional.cross_entropy(logits, torch.from_numpy(targets), weights).item(), rel=1e-6
    )


@pytest.mark.parametrize("kind", ["weighted", "logit_adjusted"])
def test_smoothing_a_label_makes_no_photo_one_of_a_rare_class(kind):
    """Features that are the class: the own class wins on every photo, however rare others are. One has no photo."""
    targets = np.repeat([0, 1, 2], [900, 90, 10])
    if kind == "logit_adjusted":
        loss = losses.LogitAdjusted(losses.shares(targets, 4), 0.1)
    else:
        loss = losses.cross_entropy("balanced", 0.1, targets, 4, torch.device("cpu"))
    logits, true = torch.zeros(3, 4, requires_grad=True), torch.from_numpy(targets)
    optimizer = torch.optim.LBFGS([logits], max_iter=300, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def closure():
        optimizer.zero_grad()
        value = loss(logits[true], true)
        value.backward()
        return value

    optimizer.step(closure)
    assert logits.argmax(1).tolist() == [0, 1, 2]
    # What is not the own class's is even.
    others = [np.delete(row, [place, 3]) for place, row in enumerate(logits.softmax(1).detach().numpy())]
    assert all(row == pytest.approx(row.mean(), rel=0.05) for row in others)
