"""What a training makes small: a loss a batch, with what each class counts in it."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def class_weights(targets: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """n / (K n_k) for each class, float32 [K]: every class weighs the same, a photo 1 on average."""
    counts = np.bincount(targets, minlength=classes)
    return (len(targets) / (classes * np.maximum(counts, 1))).astype(np.float32)


def cross_entropy(
    weighting: str, label_smoothing: float, targets: NDArray[np.int64], classes: int, device: torch.device
) -> nn.CrossEntropyLoss:
    """Cross-entropy of logits float32 [b, K] and class indices int64 [b], in nats.

    `weighting` is `balanced` (the class weights of the training photos, whose class indices are `targets`) or
    `none`.
    """
    weight = torch.from_numpy(class_weights(targets, classes)).to(device) if weighting == "balanced" else None
    return nn.CrossEntropyLoss(weight, label_smoothing=label_smoothing)


def shares(targets: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """The share of each class among photos of these class indices, float64 [K]; a class without any counts one."""
    counts = np.maximum(np.bincount(targets, minlength=classes), 1)
    return counts / counts.sum()


def prior(loss: str, shares: Sequence[float], weights: Sequence[float], label_smoothing: float) -> list[float]:
    """The class shares that the answers of a network take for granted, [K], that sum to 1.

    They are the shares of its training photos times its class weights, and equal ones under `logit_adjusted`. Label
    smoothing mixes equal shares into the targets first. Shares of 0 stay 0.
    """
    even = label_smoothing / len(shares)
    factors = [1 / max(share, 1e-12) for share in shares] if loss == "logit_adjusted" else weights
    counted = [
        ((1 - label_smoothing) * share + even) * factor if share else 0.0
        for share, factor in zip(shares, factors, strict=True)
    ]
    return [value / sum(counted) for value in counted]


class LogitAdjusted(nn.Module):
    """Cross-entropy of logits plus the logarithm of the classes' shares (Menon et al. 2021, arXiv 2007.07314, eq. 10).

    The logits themselves then are those of classes that are equally frequent. From logits float32 [b, K] and class
    indices int64 [b] to nats.
    """

    def __init__(self, shares: NDArray[np.float64], label_smoothing: float):
        super().__init__()
        self.adjustment: Tensor
        self.register_buffer("adjustment", torch.from_numpy(np.log(shares)).float())
        self.cross_entropy = nn.CrossEntropyLoss(label_smoothing=label_smoothing)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean over the batch."""
        return self.cross_entropy(logits + self.adjustment, targets)
