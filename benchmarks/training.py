"""Training of small_cnn: the study's own way against the trainer, a step at a time and a fold as a whole process."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import limits
import numpy as np
import pandas as pd
import photos
import theirs
import torch
from measuring import ALLOCATOR, ROOT, Row, Way, rate, row, seconds, sides
from torch import nn
from trainers import BATCH, RATE, recipe, trainer

from manihot.core.state import State
from manihot.networks import device
from manihot.networks.flops import flops
from manihot.pixels import store as cached
from manihot.splits.folds import Fold
from manihot.training.fold import train_fold

SIZES, CPU = (64, 96, 224), torch.device("cpu")
FOLD, FOLD_SIZE, EPOCHS = 1000, 96, 10  # 800 photos train, 200 validate


def check() -> None:
    """Ours in float32 has the loss curve of the plain network: ten steps."""
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH, 32, 32, 3), dtype=np.uint8)
    own = trainer(pixels, recipe(32, "float32", dropout=0.0), CPU)
    model = theirs.small_cnn(32, dropout=0.0)
    model.load_state_dict(dict(zip(model.state_dict(), own.model.state_dict().values(), strict=True)))
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    shown = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    worst = 0.0
    for _ in range(10):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(shown), own.targets)
        loss.backward()
        optimizer.step()
        own.run_epoch(lambda *_: None)
        worst = max(worst, abs(own.history[-1]["train_loss"] / loss.item() - 1))
    if worst > 1e-3:
        sys.exit(f"the losses of ten steps in float32 differ by {worst:.1e}: nothing is measured")
    print(f"ten steps in float32: losses equal to {worst:.1e}", flush=True)


def fold(side: str, folder: Path, cached_in: Path | None) -> None:
    """A fold of the imbalanced experiment from beginning to end, its process included."""
    table = photos.cataloged(FOLD)
    photos_of = Fold(2, table, [{"label": str(label), "name": str(label)} for label in range(photos.CLASSES)])
    if side == "theirs":
        whole = photos.labelled(FOLD)
        model = theirs.fold(
            [whole[i] for i in photos_of.training.index],
            [whole[i] for i in photos_of.validation.index],
            FOLD_SIZE,
            EPOCHS,
            BATCH,
            RATE,
        )
        torch.save(model.state_dict(), folder / "model.pt")
        return
    manifest = cached_in or photos.cache_pixels(FOLD, FOLD_SIZE, folder)

    def gather(rows: pd.DataFrame, size: int) -> cached.CachedPhotos:
        return cached.gather(rows, table, [manifest], size)

    with State(folder / "state", "train_fold", {}, "", "") as state:
        settings = recipe(FOLD_SIZE, epochs=EPOCHS)
        train_fold(settings, "fold", photos_of, gather, None, state, lambda *_: None)


def way(side: str, key: str) -> Way:
    """Photos a second of the training step at a size, both from decoded photos."""
    size = int(key.split("_")[1])
    if side == "ours":
        own = trainer(photos.pixels(BATCH, size), recipe(size), CPU)

        def step() -> int:
            own.run_epoch(lambda *_: None)
            return BATCH
    else:
        model = theirs.small_cnn(size)
        optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
        batch = torch.from_numpy(photos.pixels(BATCH, size)).permute(0, 3, 1, 2).contiguous() / 255
        batches = [(batch, torch.arange(BATCH) % photos.CLASSES)]
        model.train()

        def step() -> int:
            return theirs.epoch(model, optimizer, batches)

    step()
    return lambda: rate(step)


def rows(pairs: int) -> Iterator[Row]:
    """The rows of this stage."""
    check()
    peak = limits.matrix_product(device.precision("auto", CPU))
    with sides("training") as measure:
        for size in SIZES:
            each = flops(theirs.small_cnn(size), size, training=True)
            yield row(f"step_{size}", "photos/s", *measure(f"step_{size}", pairs), peak / each)
    # Training, and a forward pass of a third of its work for each photo validated.
    work = EPOCHS * (800 + 200 / 3) * flops(theirs.small_cnn(FOLD_SIZE), FOLD_SIZE, training=True)
    with tempfile.TemporaryDirectory() as folder:
        manifest = photos.cache_pixels(FOLD, FOLD_SIZE, Path(folder))
        times = [(process("theirs"), process("ours", manifest), process("ours")) for _ in range(pairs)]
    slow, fast, with_pixels = zip(*times, strict=True)
    yield row("fold_96", "s", slow, fast, work / peak)
    yield row("fold_96/with_pixels", "s", slow, with_pixels, work / peak)


def process(side: str, *cached_in: Path) -> float:
    """Seconds of a process that trains a fold."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    if side == "ours":
        environment["GLIBC_TUNABLES"] = ALLOCATOR
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, side, folder, *map(str, cached_in)]
        return seconds(lambda: subprocess.run(command, env=environment, check=True))


if __name__ == "__main__":
    fold(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
