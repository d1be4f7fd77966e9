"""Frozen backbones: running them every epoch (the study's way) against storing their features; boosting on features."""

import csv
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import limits
import numpy as np
import pandas as pd
import photos
import theirs
import torch
from measuring import ROOT, Row, Way, rate, row, seconds, sides

from manihot.core.gpus import Compute
from manihot.core.state import State
from manihot.features import boosting, heads
from manihot.features.extract import Backbone, extract, forward, prepared
from manihot.networks import build, bundle, device, weights
from manihot.networks.batches import Batches
from manihot.networks.flops import flops
from manihot.pixels import store as cached
from manihot.splits.folds import Fold

SIZE, BATCH = 224, 32
HEAD, HEAD_EPOCHS, HEAD_PHOTOS = "resnet18", 10, 600
FORWARDS, FORWARD_PHOTOS = ("efficientnet_b0", "resnet18"), 96
BOOSTED, TREES = 600, 0.2  # photos; a share of the published settings' trees
CPU = torch.device("cpu")
KINDS = ("float32", "bfloat16")
CLASSES = [{"label": str(label), "name": str(label)} for label in range(photos.CLASSES)]


@cache
def drawn_weights(network: str, folder: Path) -> Path:
    """A file of untrained weights: what they are worth takes no time."""
    path = folder / f"{network}.safetensors"
    weights.fetch(network, "none", path, 0)
    return path


def extracted(folder: Path, network: str, manifest: Path, count: int, precision: str = "auto") -> Path:
    """The features of the cached photos as the stage stores them."""
    table = photos.cataloged(count)
    with State(folder, "extract_features", {"network": network, "precision": precision}, "", "") as state:
        extract(
            state,
            Backbone(build.Input(network, SIZE, "none"), drawn_weights(network, folder), BATCH),
            table,
            lambda rows: cached.gather(rows, table, [manifest], SIZE),
            "identity",
            Compute("cpu", precision, torch.get_num_threads()),
            lambda *_: None,
        )
        return state.folder / "features.npy"


def check(folder: Path) -> None:
    """Of the same pixels both ways give the same float32 features, to 1e-5 of the largest; of these the same trees."""
    manifest = photos.cache_pixels(16, SIZE, folder)
    shown = torch.from_numpy(np.load(manifest.with_suffix(".npy"))).permute(0, 3, 1, 2) / 255
    for network in FORWARDS:
        with torch.no_grad():
            right = theirs.stem(network, drawn_weights(network, folder))(shown).numpy()
        exact, fast = (np.load(extracted(folder, network, manifest, 16, kind)).astype(np.float64) for kind in KINDS)
        off = np.abs(exact - right).max() / np.abs(right).max()
        if off > 1e-5:
            sys.exit(f"{network}: float32 features are off by {off:.1e}: nothing is measured")
        cosine = (exact * fast).sum(1) / (np.linalg.norm(exact, axis=1) * np.linalg.norm(fast, axis=1))
        print(f"{network}: float32 features equal to {off:.1e}, bfloat16 at a cosine of {cosine.min():.6f}", flush=True)
    stored = extracted(folder, HEAD, photos.cache_pixels(BOOSTED, SIZE, folder), BOOSTED)
    if not np.array_equal(their_trees(stored, 0), our_trees(stored, 0)):
        sys.exit("the trees of both ways answer differently: nothing is measured")
    print("boosted trees: equal answers", flush=True)


def settings() -> list[tuple[int, int, float]]:
    """Trees, depth and learning rate of the nine published settings, with fewer trees."""
    with (ROOT / "config/published/xgboost.csv").open(newline="") as handle:
        return [
            (round(TREES * int(entry["n_estimators"])), int(entry["max_depth"]), float(entry["learning_rate"]))
            for entry in csv.DictReader(handle)
        ]


@cache
def boosted_photos() -> pd.DataFrame:
    """The photos of `boosting`."""
    return photos.cataloged(BOOSTED)


def their_trees(path: Path, place: int) -> np.ndarray:
    """Probabilities of all photos by a model of one of the settings, the study's own way."""
    x, y = np.load(path), np.arange(BOOSTED) % photos.CLASSES
    known = Fold(2, boosted_photos(), CLASSES).training.index
    return theirs.boosted(x[known], y[known], *settings()[place]).predict_proba(x)


def our_trees(path: Path, place: int) -> np.ndarray:
    """The same, as the stages fit and predict."""
    table, (trees, depth, learning_rate) = boosted_photos(), settings()[place]
    with tempfile.TemporaryDirectory() as folder, State(folder, "fit_booster", {}, "", "") as state:
        fold = Fold(0, Fold(2, table, CLASSES).training, CLASSES)
        recipe = boosting.Recipe(trees, depth, learning_rate, seed=0)
        compute = Compute("cpu", threads=torch.get_num_threads())
        boosting.fit(state, [path], fold, recipe, compute, lambda *_: None)
        fitted = bundle.read(state.folder / "model.json")
        return boosting.predict(fitted, [path], table, torch.get_num_threads())


def boosted(side: str, path: Path) -> float:
    """Seconds of the nine settings, from the stored features to the predictions."""
    fit = their_trees if side == "theirs" else our_trees
    return seconds(lambda: [fit(path, place) for place in range(len(settings()))])


def headed(side: str, folder: Path, manifest: Path) -> float:
    """Seconds of a head, from JPEG files or from cached pixels."""
    if side == "theirs":
        return seconds(
            lambda: theirs.head(HEAD, drawn_weights(HEAD, folder), photos.labelled(HEAD_PHOTOS), [], SIZE, HEAD_EPOCHS)
        )

    def our_way() -> None:
        with tempfile.TemporaryDirectory() as own:
            drawn_weights.cache_clear()
            stored = extracted(Path(own), HEAD, manifest, HEAD_PHOTOS)
            fold = Fold(0, photos.cataloged(HEAD_PHOTOS), CLASSES)
            recipe = heads.Adam(["identity"], HEAD_EPOCHS, BATCH, learning_rate=1e-3, weight_decay=0.0, seed=0)
            heads.fit(Path(own), [stored], fold, recipe, torch.get_num_threads())

    return seconds(our_way)


def way(side: str, key: str) -> Way:
    """A measurement of a key of this stage."""
    kept = tempfile.TemporaryDirectory()
    way.folders = [*getattr(way, "folders", []), kept]  # as long as the process
    folder = Path(kept.name)
    if key == "heads":
        manifest = photos.cache_pixels(HEAD_PHOTOS, SIZE, folder) if side == "ours" else folder
        return lambda: headed(side, folder, manifest)
    if key == "boosting":
        stored = extracted(folder, HEAD, photos.cache_pixels(BOOSTED, SIZE, folder), BOOSTED)
        return lambda: boosted(side, stored)
    network = key.split("/")[1]
    path, shown = drawn_weights(network, folder), photos.pixels(FORWARD_PHOTOS, SIZE)
    if side == "theirs":
        model, batches = theirs.stem(network, path), (torch.from_numpy(shown).permute(0, 3, 1, 2) / 255).split(BATCH)

        @torch.inference_mode()
        def step() -> int:
            return sum(len(model(batch)) for batch in batches)
    else:
        dtype = device.precision("auto", CPU)
        ready = prepared(build.feature_network(network, path), CPU, dtype)

        def step() -> int:
            return len(forward(ready, Batches(shown, CPU, build.PIXELS), BATCH, "identity", dtype))

    step()
    return lambda: rate(step)


def rows(pairs: int) -> Iterator[Row]:
    """The rows of this stage."""
    with tempfile.TemporaryDirectory() as folder:
        check(Path(folder))
        peak = limits.matrix_product(device.precision("auto", CPU))
        with sides("features") as measure:
            for network in FORWARDS:
                key = f"backbone_forward/{network}"
                each = flops(theirs.stem(network, drawn_weights(network, Path(folder))), SIZE, training=False)
                both = measure(key, pairs)
                yield row(key, "photos/s", *both, peak / each)
            pass_alone = HEAD_PHOTOS / max(both[1])  # of the last network, the head's own
            yield row("heads", "s", *measure("heads", pairs), pass_alone)
            yield row("boosting", "s", *measure("boosting", pairs))
