"""Heads of frozen backbones: running the backbone every epoch (the study's way) against storing its features.

Both start from the same decoded photos, in memory, and take turns, so that a busy machine slows both: read the
ratios. Then each backbone alone, float32 against bfloat16, both without gradients. Weights are untrained.

    python benchmarks/features.py [photos] [rounds]
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models import get_model

from manihot import features, heads, networks, weights
from manihot.batches import Batches
from manihot.state import State

CLASSES, SIZE, BATCH, EPOCHS = 5, 224, 32, 10
THREADS = torch.get_num_threads()
CPU = torch.device("cpu")


def theirs(network: str, pixels: NDArray[np.uint8], targets: NDArray[np.int64]) -> None:
    """The last layer trained with PyTorch's defaults, the frozen part run for every photo of every epoch."""
    model = get_model(network, weights=None).requires_grad_(False)
    name, last = networks.last_layer(model)
    layer = nn.Linear(last.in_features, CLASSES)
    model.set_submodule(name, layer)
    photos = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float() / 255
    loader = DataLoader(TensorDataset(photos, torch.from_numpy(targets)), BATCH, shuffle=True)
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3)
    for _ in range(EPOCHS):
        for batch, target in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), target).backward()
            optimizer.step()


def ours(network: str, path: Path, photos: pd.DataFrame, pixels: NDArray[np.uint8], precision: str) -> None:
    """The pipeline's own functions: features once, kept and read again, then the head."""
    with tempfile.TemporaryDirectory() as folder, State(folder, "features", {}, "", "") as state:
        features.extract(
            state, path, photos, lambda rows: pixels[rows.index], "identity",
            network=network, size=SIZE, normalisation="none", batch_size=BATCH, device="cpu", gpu_slots=1,
            precision=precision, threads=THREADS, progress=lambda *_: None,
        )  # fmt: skip
        labels = sorted(set(photos["label"]))
        heads.fit(
            state.folder, [state.folder / "features.npy"], photos, labels, 0,
            views=["identity"], epochs=EPOCHS, batch_size=BATCH, learning_rate=1e-3, weight_decay=0.0, seed=0,
            threads=THREADS,
        )  # fmt: skip


def seconds(way: Callable[[], object]) -> float:
    """What a way takes in wall time."""
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


def turns(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """The seconds of each way in each round, one way after the other."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            taken[name].append(seconds(way))
    return taken


def show(title: str, taken: dict[str, list[float]], photos: int) -> None:
    """One line a way: photos a second, and the median over rounds of the ratio to the first way."""
    first = next(iter(taken.values()))
    for name, values in taken.items():
        ratio = median(before / after for before, after in zip(first, values, strict=True))
        print(f"{title:16} {name:26} {median(values):7.2f} s {photos / median(values):8.1f} photos/s {ratio:6.1f} x")


def main() -> None:
    """Print the rates and ratios."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 96
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)
    targets = np.arange(count) % CLASSES
    photos = pd.DataFrame({"dataset": "drawn", "image_id": [str(index) for index in range(count)], "status": "ok"})
    photos["label"], photos["fold"] = targets.astype(str), 1
    print(f"{count} photos of {SIZE} px, batches of {BATCH}, {THREADS} threads, median of {rounds} rounds in turns")
    with tempfile.TemporaryDirectory() as folder:
        for network in ("resnet18", "efficientnet_b0"):
            path = Path(folder) / f"{network}.safetensors"
            weights.fetch(network, "none", path, 0)
            model, batches = networks.feature_network(network, path), Batches(pixels, CPU, networks.PIXELS)
            ready = {dtype: features.prepared(model, CPU, dtype) for dtype in (torch.float32, torch.bfloat16)}
            forward = {
                f"forward {str(dtype).removeprefix('torch.')}": lambda dtype=dtype, ready=ready, batches=batches: (
                    features.forward(ready[dtype], batches, BATCH, "identity", dtype)
                )
                for dtype in ready
            }
            turns(forward, 1)  # the first run of a shape also chooses its kernels
            show(network, turns(forward, rounds), count)
        path = Path(folder) / "resnet18.safetensors"
        ways = {
            "head, backbone every epoch": lambda: theirs("resnet18", pixels, targets),
            "head, features in float32": lambda: ours("resnet18", path, photos, pixels, "float32"),
            "head, features in bfloat16": lambda: ours("resnet18", path, photos, pixels, "bfloat16"),
        }
        show("resnet18", turns(ways, rounds), count * EPOCHS)


if __name__ == "__main__":
    main()
