"""Training of small_cnn: the study's own way (PyTorch's defaults, JPEG files every epoch) against ours.

Both run in processes of their own, in turns, so that a busy machine slows both: read the ratios.

    python benchmarks/training.py [pairs]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from manihot.trainer import LabelledPhotos, Recipe, Trainer

BATCH, CLASSES, JPEGS = 32, 5, 96
# As the Snakefile sets it for its jobs.
ALLOCATOR = (
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0"
    ":glibc.malloc.trim_threshold=34359738368:glibc.malloc.top_pad=268435456"
)
SAMPLE = Path(__file__).parents[1].parent / "shared" / "data" / "cassava" / "images"


def plain_small_cnn(size: int) -> nn.Module:
    """The study's network as one would write it down."""
    layers: list[nn.Module] = []
    for before, after in ((3, 64), (64, 128), (128, 256)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.Linear(256 * (size // 16) ** 2, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, CLASSES)]
    return nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten(), *head)


class JpegFiles(Dataset):
    """Photos opened, converted and resized one at a time, whenever they are asked for."""

    def __init__(self, folder: Path, size: int):
        self.paths = sorted(folder.iterdir())[:JPEGS]
        self.transform = transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor()])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.open(self.paths[index]).convert("RGB")), index % CLASSES


class Theirs:
    """PyTorch's defaults: float32, NCHW, Adam, the loss and the accuracy read after every batch."""

    def __init__(self, key: str, size: int, photos: Path):
        self.model = plain_small_cnn(size)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=5e-5)
        self.criterion = nn.CrossEntropyLoss()
        if key == "jpeg":
            self.batches = DataLoader(JpegFiles(photos, size), batch_size=BATCH, shuffle=True)
        else:
            self.batches = [(torch.rand(BATCH, 3, size, size), torch.arange(BATCH) % CLASSES)]

    def epoch(self) -> int:
        """One epoch; returns the number of photos."""
        self.model.train()
        seen, loss_sum, correct = 0, 0.0, 0
        for photos, targets in self.batches:
            self.optimizer.zero_grad()
            logits = self.model(photos)
            loss = self.criterion(logits, targets)
            loss.backward()
            self.optimizer.step()
            loss_sum += loss.item()
            correct += (logits.argmax(1) == targets).sum().item()
            seen += len(targets)
        return seen


class Ours:
    """The trainer of the training stage, photos from an array of bytes."""

    def __init__(self, key: str, size: int, photos: Path):
        if key == "jpeg":
            files = JpegFiles(photos, size)
            pixels = np.stack([(files[i][0] * 255).round().byte().permute(1, 2, 0).numpy() for i in range(len(files))])
        else:
            pixels = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3), dtype=np.uint8)
        self.trainer = trainer(pixels, "auto", dropout=0.3)

    def epoch(self) -> int:
        """One epoch; returns the number of photos."""
        self.trainer.run_epoch(lambda *_: None)
        return len(self.trainer.targets)


def trainer(pixels: np.ndarray, precision: str, dropout: float) -> Trainer:
    """A trainer of small_cnn as the balanced experiment sets it, without validation."""
    recipe = Recipe(
        network="small_cnn", weights="none", frozen=False, frozen_mode="eval", normalisation="none",
        size=pixels.shape[1], batch_size=BATCH, epochs=1000, learning_rate=5e-5, optimizer="adam",
        weight_decay=0.0, schedule="constant", warm_up=0.3, dropout=dropout, label_smoothing=0.0,
        class_weights="none", augment={}, flips_at_validation=False, seed=0, repeat=0, device="cpu",
        precision=precision, threads=torch.get_num_threads(), gpu_slots=1,
    )  # fmt: skip
    n = np.arange(len(pixels))
    photos = LabelledPhotos(pixels, n % CLASSES, n.astype(np.uint64))
    nothing = LabelledPhotos(pixels[:0], n[:0], n[:0].astype(np.uint64))
    return Trainer(recipe, "benchmark", 0, CLASSES, photos, nothing, None, torch.device("cpu"))


def check_equal() -> float:
    """The largest relative difference between our losses and the plain network's: ten steps in float32."""
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH, 32, 32, 3), dtype=np.uint8)
    ours = trainer(pixels, "float32", dropout=0.0)
    model = plain_small_cnn(32)
    model[-2].p = 0.0
    model.load_state_dict(dict(zip(model.state_dict(), ours.model.state_dict().values(), strict=True)))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-5)
    photos = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    worst = 0.0
    for _ in range(10):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(photos), ours.targets)
        loss.backward()
        optimizer.step()
        ours.run_epoch(lambda *_: None)
        worst = max(worst, abs(ours.history[-1]["train_loss"] / loss.item() - 1))
    return worst


def serve(side: str, photos: Path) -> None:
    """Answer each line `key size` with photos per second over about a second and a half."""
    kept: dict[str, Theirs | Ours] = {}
    for line in sys.stdin:
        key, size = line.split()
        if line not in kept:
            kept = {line: {"theirs": Theirs, "ours": Ours}[side](key, int(size), photos)}
            kept[line].epoch()
        start, seen = time.perf_counter(), 0
        while seen == 0 or time.perf_counter() - start < 1.5:
            seen += kept[line].epoch()
        print(seen / (time.perf_counter() - start), flush=True)


class Side:
    """A process that runs one side."""

    def __init__(self, side: str, photos: Path, **environment: str):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "serve", side, str(photos)],
            env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def measure(self, key: str, size: int) -> float:
        """Photos per second."""
        self.process.stdin.write(f"{key} {size}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def draw_jpegs(folder: Path) -> Path:
    """Noise as 800x600 JPEG files, where there are no real photos."""
    generator = np.random.default_rng(0)
    for index in range(JPEGS):
        coarse = Image.fromarray(generator.integers(0, 256, (150, 200, 3), dtype=np.uint8))
        coarse.resize((800, 600)).save(folder / f"{index}.jpg", quality=90)
    return folder


def rows(pairs: int) -> list[dict]:
    """A row a key: the medians of both sides and of the ratios of `pairs` pairs, and the ratios' range."""
    difference = check_equal()
    if difference > 1e-3:
        sys.exit(f"the losses differ by {difference:.1e}: nothing is measured")
    print(f"ten steps in float32: losses equal to {difference:.1e}")
    with tempfile.TemporaryDirectory() as temporary:
        photos = SAMPLE if SAMPLE.is_dir() else draw_jpegs(Path(temporary))
        theirs, ours = Side("theirs", photos), Side("ours", photos, GLIBC_TUNABLES=ALLOCATOR)
        result = []
        for key, size in (("step", 64), ("step", 96), ("step", 224), ("jpeg", 96)):
            speeds = [(theirs.measure(key, size), ours.measure(key, size)) for _ in range(pairs)]
            ratios = [our / their for their, our in speeds]
            result.append({
                "key": f"{key}_{size}", "unit": "photos/s", "pairs": pairs,
                "theirs": median(their for their, _ in speeds), "ours": median(our for _, our in speeds),
                "ratio": median(ratios), "ratio_low": min(ratios), "ratio_high": max(ratios),
            })  # fmt: skip
            print("{key:10} theirs {theirs:6.1f} ours {ours:6.1f} {unit}, ratio {ratio:.2f} "
                  "({ratio_low:.2f} to {ratio_high:.2f})".format(**result[-1]), flush=True)  # fmt: skip
        for side in (theirs, ours):
            side.process.communicate()
    return result


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], Path(sys.argv[3]))
    else:
        print(json.dumps(rows(int(sys.argv[1]) if len(sys.argv) > 1 else 3), indent=1))
