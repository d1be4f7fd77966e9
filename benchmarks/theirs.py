"""The study's own way, in our words: a photo at a time with Pillow, every epoch anew, PyTorch's float32 defaults."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.models import get_model

CLASSES = 5
Labelled = Sequence[tuple[Path, int]]


class JpegFiles(Dataset):
    """Photos opened, converted and resized one at a time, whenever they are asked for."""

    def __init__(self, photos: Labelled, size: int, *changes: nn.Module):
        self.photos = photos
        self.transform = transforms.Compose([transforms.Resize((size, size)), *changes, transforms.ToTensor()])

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        path, target = self.photos[index]
        return self.transform(Image.open(path).convert("RGB")), target


def small_cnn(size: int, dropout: float = 0.3) -> nn.Sequential:
    """The study's network as one would write it down."""
    layers: list[nn.Module] = []
    for before, after in ((3, 64), (64, 128), (128, 256)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.Linear(256 * (size // 16) ** 2, 256), nn.ReLU(), nn.Dropout(dropout), nn.Linear(256, CLASSES)]
    return nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten(), *head)


def epoch(model: nn.Module, optimizer: torch.optim.Optimizer, batches: DataLoader) -> int:
    """One epoch, loss and accuracy read after every batch; returns the number of photos."""
    criterion = nn.CrossEntropyLoss()
    seen, loss_sum, correct = 0, 0.0, 0
    for photos, targets in batches:
        optimizer.zero_grad()
        logits = model(photos)
        loss = criterion(logits, targets)
        loss.backward()
        optimizer.step()
        loss_sum += loss.item()
        correct += (logits.argmax(1) == targets).sum().item()
        seen += len(targets)
    return seen


@torch.no_grad()
def predict(model: nn.Module, batches: DataLoader, *views: nn.Module) -> NDArray[np.float32]:
    """Probabilities [n, K], averaged over the photos as they are and turned by `views`."""
    model.eval()
    looks = [lambda photos: photos, *views]
    means = [torch.stack([model(look(photos)).softmax(1) for look in looks]).mean(0) for photos, _ in batches]
    return torch.cat(means).numpy()


def fold(training: Labelled, validation: Labelled, size: int, epochs: int, batch: int, rate: float) -> nn.Module:
    """A fold of small_cnn: each epoch reads all its files, those of the validation too."""
    model = small_cnn(size)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    shuffled = DataLoader(JpegFiles(training, size), batch, shuffle=True)
    held_out = DataLoader(JpegFiles(validation, size), batch)
    for _ in range(epochs):
        model.train()
        epoch(model, optimizer, shuffled)
        predict(model, held_out)
    return model


def backbone(network: str, weights: Path | None) -> nn.Module:
    """A torchvision network with the weights of a file, or untrained."""
    model = get_model(network, weights=None)
    if weights:
        safe = weights.suffix == ".safetensors"
        model.load_state_dict(load_file(weights) if safe else torch.load(weights, weights_only=True))
    return model


def head(
    network: str, weights: Path | None, training: Labelled, validation: Labelled, size: int, epochs: int
) -> nn.Module:
    """The last layer of a frozen backbone, which sees every photo of every epoch again."""
    model = backbone(network, weights).requires_grad_(False)
    name = list(model.named_modules())[-1][0]
    layer = nn.Linear(model.get_submodule(name).in_features, CLASSES)
    model.set_submodule(name, layer)
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3)
    flips = transforms.RandomHorizontalFlip()
    shuffled = DataLoader(JpegFiles(training, size, flips), 32, shuffle=True)
    held_out = DataLoader(JpegFiles(validation, size, flips), 32)
    for _ in range(epochs):
        model.train()
        epoch(model, optimizer, shuffled)
        if validation:
            predict(model, held_out)
    return model


def stem(network: str, weights: Path | None) -> nn.Module:
    """A backbone without its last layer, in eval mode."""
    *layers, _ = backbone(network, weights).children()
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def features(network: str, weights: Path | None, photos: Labelled, size: int) -> NDArray[np.float32]:
    """Pooled features [n, D]."""
    model = stem(network, weights)
    with torch.no_grad():
        return torch.cat([model(batch) for batch, _ in DataLoader(JpegFiles(photos, size), 32)]).numpy()


def boosted(
    x: NDArray[np.float32], y: NDArray[np.int64], trees: int, depth: int, rate: float, device: str = "cpu"
) -> Any:
    """XGBoost's own classifier at one setting."""
    from xgboost import XGBClassifier  # not on every machine that the rest is measured on

    settings = {"n_estimators": trees, "max_depth": depth, "learning_rate": rate}
    model = XGBClassifier(**settings, tree_method="hist", random_state=0, device=device)
    return model.fit(x, y)
