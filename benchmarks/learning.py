"""Whether bf16 learns as well as float32, and our block in it as PyTorch's layers: out of fold, over seeds.

    python benchmarks/learning.py [--seeds 10] [--per-class 100] [--size 64] [--epochs 20] [--folds 3]

All train the same folds of the sample's photos from the same seeds; writes benchmarks/results/learning.json.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import photos
import torch
from measuring import ROOT, SHARED
from sklearn.model_selection import StratifiedKFold
from trainers import recipe

from manihot.core import files
from manihot.networks import blocks
from manihot.networks.augment import derive
from manihot.pixels import store as cached
from manihot.scores import comparisons
from manihot.training.trainer import LabelledPhotos, Trainer

ALL = 1500  # photos of the sample
# What is trained: the precision, and whether in blocks of our own (or PyTorch's layers).
WAYS = {"bf16": ("bfloat16", True), "float32": ("float32", True), "layers in bf16": ("bfloat16", False)}
PAIRS = (("bf16", "float32"), ("bf16", "layers in bf16"), ("layers in bf16", "float32"))
CLASSES = [{"label": str(label), "name": str(label)} for label in range(photos.CLASSES)]


def sample(per_class: int, folds: int) -> pd.DataFrame:
    """So many photos a class of the sample with their true labels, in stratified folds."""
    table = photos.cataloged(ALL)
    labels = pd.read_csv(SHARED / "cassava/train.csv", dtype="str").set_index("image_id")["label"]
    table["label"] = labels[table["image_id"]].to_numpy()
    table = table.groupby("label").head(per_class).reset_index(drop=True)
    for fold, (_, held_out) in enumerate(StratifiedKFold(folds).split(table, table["label"]), start=1):
        table.loc[held_out, "fold"] = fold
    return table.assign(group=range(len(table)))


def out_of_fold(table: pd.DataFrame, manifest: Path, precision: str, seed: int, size: int, epochs: int) -> pd.DataFrame:
    """Each photo's probabilities by the model that did not train on it."""
    labels = [entry["label"] for entry in CLASSES]
    said = []
    for fold in sorted(table["fold"].unique()):
        known, unknown = (
            LabelledPhotos.of(rows, labels, cached.gather(rows, table, [manifest], size))
            for rows in (table[table["fold"] != fold], table[table["fold"] == fold])
        )
        settings = replace(
            recipe(size, precision, epochs=epochs), learning_rate=2e-4, augment={"horizontal_flip": True}
        )
        own = Trainer(settings, precision, derive(seed, fold), len(labels), known, unknown, None, torch.device("cpu"))
        while not own.done:
            own.run_epoch(lambda *_: None)
        own.model.eval()
        with torch.inference_mode(), own.autocast():
            batches = own.validation_batches(np.arange(len(unknown.targets)), 32)
            probabilities = torch.cat([own.model(shown).float().softmax(1) for shown, _ in batches]).numpy()
        rows = table[table["fold"] == fold].reset_index(drop=True)[["dataset", "image_id", "label"]]
        said.append(rows.join(pd.DataFrame(probabilities).add_prefix("p")))
    return pd.concat(said, ignore_index=True)


def main() -> None:
    """Train, compare and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("seeds", 10), ("per-class", 100), ("size", 64), ("epochs", 20), ("folds", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit("the sample (../shared/data) is not here")
    table = sample(given.per_class, given.folds)
    with tempfile.TemporaryDirectory() as folder:
        manifest = photos.cache_pixels(ALL, given.size, Path(folder))
        said: dict[str, list[pd.DataFrame]] = {name: [] for name in WAYS}
        for seed in range(given.seeds):
            for name, (precision, own_blocks) in WAYS.items():
                blocks.FUSED_ON = {"cpu"} if own_blocks else set()
                said[name].append(out_of_fold(table, manifest, precision, seed, given.size, given.epochs))
            print(f"seed {seed + 1} of {given.seeds}", flush=True)
    compared = []
    for a, b in PAIRS:
        result = comparisons.compare(said[a], said[b], table, CLASSES, seed=0)
        compared.append({"way": a, "against": b, **result})
        for name, measured in result["metrics"].items():
            print(f"{a} against {b}:", name, *(f"{key} {value:.4f}" for key, value in measured.items()))
    record = {**vars(given), "photos": len(table), "compared": compared}
    files.write_json(ROOT / "benchmarks/results/learning.json", record)


if __name__ == "__main__":
    main()
