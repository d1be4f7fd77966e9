"""What a training makes small: a loss a batch, with what each class counts in it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


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
