"""What a GPU gives, in absolute figures: training, features, five folds at once, small batches, and memory.

    python benchmarks/gpu.py [start train features finetuning trees memory steps folds]
                             [--device cuda] [--size 224] [--seconds 5]

Writes benchmarks/results/{device}.json after each row: its key, value and unit, and where there is a limit the share
of it (of a large bf16 matrix product on the same device); beside it timm's rate where timm is installed. Rows of
stages that are not measured stay. Needs torch and torchvision only; `--device cpu --size 32 --seconds 0.1` tries the
program where there is no GPU, and writes nothing.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gpu_steps
import limits
import numpy as np
import torch
import trainers
from measuring import ROOT, seconds
from torch import nn

from manihot.core import files
from manihot.core.gpus import Compute
from manihot.features.extract import forward, prepared
from manihot.networks import build
from manihot.networks.batches import Batches
from manihot.networks.flops import flops
from manihot.training.recipe import Recipe
from manihot.training.trainer import Trainer

FOLDS = 5
TRAINED = (("small_cnn", 96), ("small_cnn", 256), ("resnet18", 128), ("efficientnet_b0", 128))
EXTRACTED, FEATURE_BATCH = ("resnet18", "efficientnet_b0"), 256
TUNED_BATCH = 128
STAGES = ("start", "train", "features", "finetuning", "trees", "memory", "steps", "folds")
BATCHES = (32, 64, 96, 128, 256, 512, 1024)
Row = dict[str, Any]


def settings(network: str, size: int, batch: int, device: str) -> Recipe:
    """A network trained whole."""
    plain = trainers.recipe(size, network=network)
    return replace(plain, batch_size=batch, compute=Compute(device), learning_rate=1e-4)


def noise(count: int, size: int) -> np.ndarray:
    """Photos uint8 [count, size, size, 3]: what they show takes no time."""
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def trainer(network: str, size: int, batch: int, device: torch.device, batches: int = 32) -> Trainer:
    """A trainer on so many batches of noise."""
    return trainers.trainer(noise(batch * batches, size), settings(network, size, batch, device.type), device)


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def epochs(own: Trainer, least: float) -> tuple[float, float]:
    """Photos a second over whole epochs, and the share of that time for which the host gave out work.

    Well below 1 the device is what takes the time, and the loop never waits for the host.
    """
    given: list[float] = []
    own.run_epoch(lambda *_: None)
    wait(own.device)
    start, seen, busy = time.perf_counter(), 0, 0.0
    while seen == 0 or time.perf_counter() - start < least:
        begun = time.perf_counter()
        own.run_epoch(lambda *_: given.append(time.perf_counter()))  # the last call comes before the host waits
        busy += given[-1] - begun
        seen += len(own.targets)
    taken = time.perf_counter() - start
    return seen / taken, busy / taken


def training(device: torch.device, size: int, least: float, peak: float) -> Iterator[Row]:
    """Photos a second in training."""
    for network, batch in TRAINED:
        own = trainer(network, size, batch, device)
        work = flops(build.assemble(network, trainers.CLASSES, size, 0.3, None), size, training=True)
        rate, host = epochs(own, least)
        row = {"value": rate, "unit": "photos/s", "limit_share": rate * work / peak, "host_share": host}
        if network not in build.OWN:
            row |= timm_beside(rate, network, size, batch, device, least, training=True)
        yield {"key": f"train/{network}/batch_{batch}", **row}


def extraction(device: torch.device, size: int, least: float, peak: float) -> Iterator[Row]:
    """Photos a second through a frozen backbone."""
    dtype = torch.bfloat16
    for network in EXTRACTED:
        model = build.Features(build.torchvision_network(network)).eval().requires_grad_(False)
        work = flops(model, size, training=False)
        ready, batches = prepared(model, device, dtype), Batches(noise(1024, size), device, build.IMAGENET)

        def step() -> None:
            forward(ready, batches, FEATURE_BATCH, "identity", dtype)  # noqa: B023 (called in this round)

        rate = repeated(step, least) * len(batches)
        row = {"value": rate, "unit": "photos/s", "limit_share": rate * work / peak}
        row |= timm_beside(rate, network, size, FEATURE_BATCH, device, least, training=False)
        yield {"key": f"features/{network}", **row}


def timm_beside(
    ours: float, network: str, size: int, batch: int, device: torch.device, least: float, training: bool
) -> Row:
    """What timm's network of that name does in timm's own manner of measuring: one batch of noise that lies on the
    device as floats, in channels_last; training in autocast with SGD, inference wholly in bf16. Nothing where there
    is no timm."""
    try:
        from timm import create_model
    except ImportError:
        return {}
    model = create_model(network).to(device, memory_format=torch.channels_last).train(training)
    photos = torch.randn(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    targets = torch.zeros(batch, dtype=torch.int64, device=device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    if not training:
        model, photos = model.bfloat16(), photos.bfloat16()

    def train() -> None:
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16):
            logits = model(photos)
        nn.functional.cross_entropy(logits.float(), targets).backward()
        optimizer.step()

    def some() -> None:
        with torch.inference_mode(not training):
            for _ in range(10):
                train() if training else model(photos)
        wait(device)

    theirs = repeated(some, least) * 10 * batch
    return {"timm": theirs, "ratio": ours / theirs}


def finetuning(device: torch.device, size: int, least: float, peak: float) -> Iterator[Row]:
    """Photos a second of fine-tuning beside PyTorch's defaults, and from a cut on beside the whole network."""
    batch = TUNED_BATCH if device.type == "cuda" else 4
    for network in trainers.TUNED:
        if network.startswith("timm/") and find_spec("timm") is None:
            continue
        settings = trainers.finetuned(size, network, batch)
        # A step is three times the pass forward, of which torch counts grouped convolutions right.
        work = 3 * flops(build.assemble(network, trainers.CLASSES, size, 0.0, None), size, training=False)
        whole, host = epochs(trainers.trainer(noise(batch * 8, size), settings, device), least)
        plain = repeated(trainers.plain_step(network, size, batch, device), least) * batch
        row = {"value": whole, "unit": "photos/s", "limit_share": whole * work / peak, "host_share": host}
        yield {"key": f"finetune/{network}/batch_{batch}", **row, "plain": plain, "ratio": whole / plain}
        if network == trainers.CUT_NETWORK:
            from_cut = replace(settings, train_from=trainers.CUT)
            cut, host = epochs(trainers.cut_trainer(noise(batch * 8, size), from_cut, device), least)
            row = {"value": cut, "unit": "photos/s", "host_share": host, "plain": whole, "ratio": cut / whole}
            yield {"key": f"from_cut/{network}/batch_{batch}", **row}


def trees(device: torch.device) -> Iterator[Row]:
    """Seconds of boosted trees as a study's defaults have them, beside a plain 100 rounds of all features; the tuned
    head has no row, for it is fitted on the processor."""
    if find_spec("xgboost") is None:
        return
    import fitting  # needs pandas and scikit-learn, too

    with tempfile.TemporaryDirectory() as folder:
        path = fitting.stored(Path(folder))
        ways = [lambda: fitting.our_trees(path, device.type), lambda: fitting.their_trees(path, device.type)]
        ours, plain = (min(seconds(way) for _ in range(2)) for way in ways)
    yield {"key": "trees", "value": ours, "unit": "s", "plain": plain, "ratio": plain / ours}


def repeated(step: Callable[[], object], least: float) -> float:
    """How often a second `step`, which waits for the device, can be done."""
    step()
    start, done = time.perf_counter(), 0
    while done == 0 or time.perf_counter() - start < least:
        step()
        done += 1
    return done / (time.perf_counter() - start)


def folds(device: torch.device, size: int, count: int) -> Iterator[Row]:
    """Five folds of small_cnn, a process each: one after another, and all at once on the one device."""

    def start() -> subprocess.Popen:
        command = [sys.executable, __file__, "--device", str(device), "--size", str(size), "--fold", str(count)]
        return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT / "src")})

    def one() -> None:
        if start().wait():
            sys.exit("a fold failed")

    def together() -> None:
        if any([process.wait() for process in [start() for _ in range(FOLDS)]]):
            sys.exit("a fold failed")

    for name, way in (("in_turn", lambda: [one() for _ in range(FOLDS)]), ("together", together)):
        yield {"key": f"folds/{name}", "value": seconds(way), "unit": "s"}


def fold(device: torch.device, size: int, count: int) -> None:
    """One of the five: ten epochs of `count` photos."""
    own = trainer("small_cnn", size, 50, device, batches=-(-count // 50))
    for _ in range(10):
        own.run_epoch(lambda *_: None)
    wait(device)


def memory(device: torch.device, size: int) -> Iterator[Row]:
    """The peak that tensors take in a step of small_cnn, by batch size."""
    for batch in BATCHES if device.type == "cuda" else ():
        torch.cuda.reset_peak_memory_stats(device)
        own = trainer("small_cnn", size, batch, device, batches=2)
        own.run_epoch(lambda *_: None)
        peak = torch.cuda.max_memory_allocated(device) / 2**20
        del own
        yield {"key": f"memory/batch_{batch}", "value": peak, "unit": "MB"}


def start(device: torch.device) -> Iterator[Row]:
    """What a job takes before its first photo."""
    command = [
        sys.executable,
        "-c",
        f"import torch, manihot.training.fold, manihot.features.extract; torch.zeros(1).to('{device}')",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    taken = seconds(lambda: subprocess.run(command, env=environment, check=True))
    yield {"key": "job_start", "value": taken, "unit": "s"}


def steps(device: torch.device, size: int, least: float) -> Iterator[Row]:
    """Ways of a step that might be faster."""
    yield from gpu_steps.rows(
        lambda size, batch, batches: trainer("small_cnn", size, batch, device, batches),
        lambda own: epochs(own, least),
        lambda step: repeated(step, least),
        gpu_steps.SHAPES if device.type == "cuda" else ((size, 4),),
    )


def measured(stages: Sequence[str], device: torch.device, size: int, least: float) -> Iterator[Row]:
    """The rows of these stages."""
    peak = limits.matrix_product(torch.bfloat16, device)
    yield {"key": "matrix_product", "value": peak / 1e12, "unit": "TFLOP/s"}
    each: dict[str, Callable[[], Iterator[Row]]] = {
        "start": lambda: start(device),
        "train": lambda: training(device, size, least, peak),
        "features": lambda: extraction(device, size, least, peak),
        "finetuning": lambda: finetuning(device, size, least, peak),
        "trees": lambda: trees(device),
        "memory": lambda: memory(device, size),
        "steps": lambda: steps(device, size, least),
        "folds": lambda: folds(device, size, 1000 if device.type == "cuda" else 50),
    }
    for stage in stages:
        yield from each[stage]()


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", help=f"only these (default: all): {' '.join(STAGES)}")
    parser.add_argument("--device", type=torch.device, default=torch.device("cuda"))
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each rate is measured at least")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results", help="folder of the JSON")
    parser.add_argument("--commit", help="what is measured (default: what git says)")
    parser.add_argument("--fold", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if unknown := set(given.stages) - set(STAGES):
        parser.error(f"no stage {', '.join(unknown)}: choose from {', '.join(STAGES)}")
    if given.device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # as the pipeline's own jobs
    if given.fold:
        fold(given.device, given.size, given.fold)
        return
    name = torch.cuda.get_device_name(given.device) if given.device.type == "cuda" else "trial"
    parent = given.results if given.device.type == "cuda" else Path(tempfile.mkdtemp())
    target = parent / f"{'-'.join(re.findall('[a-z0-9]+', name.lower()))}.json"
    commit = given.commit or subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True).strip()
    rows = {row["key"]: row for row in files.read_json(target)["rows"]} if target.exists() and given.stages else {}
    for row in measured(given.stages or STAGES, given.device, given.size, given.seconds):
        rows[row["key"]] = row
        print(*(f"{key} {value:.4g}" if isinstance(value, float) else value for key, value in row.items()), flush=True)
        record = {"device": name, "torch": torch.__version__, "commit": commit, "rows": list(rows.values())}
        files.write_json(target, record)
    print(f"written: {target}")


if __name__ == "__main__":
    main()
