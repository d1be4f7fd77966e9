"""What a training makes small: a loss a batch, with what each class counts in it."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional


def class_weights(targets: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """n / (K n_k) for each class, float32 [K]: every class weighs the same, a photo 1 on average."""
    counts = np.bincount(targets, minlength=classes)
    return (len(targets) / (classes * np.maximum(counts, 1))).astype(np.float32)


def cross_entropy(
    weighting: str, label_smoothing: float, targets: NDArray[np.int64], classes: int, device: torch.device
) -> nn.Module:
    """Cross-entropy of logits float32 [b, K] and class indices int64 [b], in nats.

    `weighting` is `balanced` (the class weights of the training photos, whose class indices are `targets`) or
    `none`.
    """
    if weighting == "none":
        return nn.CrossEntropyLoss(label_smoothing=label_smoothing)
    return WeightedCrossEntropy(torch.from_numpy(class_weights(targets, classes)), label_smoothing).to(device)


def shares(targets: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """The share of each class among photos of these class indices, float64 [K]; a class without any counts one."""
    counts = np.maximum(np.bincount(targets, minlength=classes), 1)
    return counts / counts.sum()


def prior(loss: str, shares: Sequence[float], weights: Sequence[float], label_smoothing: float) -> list[float]:
    """The class shares that the answers of a network take for granted, [K], that sum to 1.

    They are the shares of its training photos times its class weights, with equal shares mixed in by label smoothing;
    and equal ones under `logit_adjusted`. Shares of 0 stay 0.
    """
    if loss == "logit_adjusted":
        weights, label_smoothing = [1 / max(share, 1e-12) for share in shares], 0.0
    counted = [share * weight for share, weight in zip(shares, weights, strict=True)]
    even = label_smoothing * sum(counted) / len(counted)
    smoothed = [(1 - label_smoothing) * value + even if value else 0.0 for value in counted]
    return [value / sum(smoothed) for value in smoothed]


class WeightedCrossEntropy(nn.Module):
    """Cross-entropy in which a photo counts what its class weighs: the weighted mean over the batch.

    A label is smoothed first. torch's CrossEntropyLoss weighs each class of a smoothed label instead: what is spread to
    a rare class then outweighs the photo's own class. From logits float32 [b, K] and class indices int64 [b] to nats.
    """

    def __init__(self, weight: Tensor, label_smoothing: float):
        super().__init__()
        self.weight: Tensor
        self.register_buffer("weight", weight)
        self.each = nn.CrossEntropyLoss(label_smoothing=label_smoothing, reduction="none")

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The weighted mean over the batch."""
        weight = self.weight[targets]
        return weight @ self.each(logits, targets) / weight.sum()


class LogitAdjusted(nn.Module):
    """Cross-entropy of logits plus the logarithm of the classes' shares (Menon et al. 2021, arXiv 2007.07314, eq. 10).

    The logits themselves then are those of classes that are equally frequent. Labels are smoothed with the classes'
    shares (Szegedy et al. 2016, arXiv 1512.00567, section 7, take any distribution): with equal ones, the logit of a
    rare class would be high on every photo. From logits float32 [b, K] and class indices int64 [b] to nats.
    """

    def __init__(self, shares: NDArray[np.float64], label_smoothing: float):
        super().__init__()
        self.shares: Tensor
        self.register_buffer("shares", torch.from_numpy(shares).float())
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean over the batch."""
        logs = (logits + self.shares.log()).log_softmax(dim=1)
        own, spread = functional.nll_loss(logs, targets), -(logs @ self.shares).mean()
        return (1 - self.label_smoothing) * own + self.label_smoothing * spread
