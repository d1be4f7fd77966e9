"""A small study on the disk, made without the workflow: photos of many kinds, their cached pixels, fitted models of every
kind with their records, and the tables of what they answered. Its paths are as seen from its folder, as a study's are.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors.torch import save

from manihot.catalog.inspect import COLUMNS, catalog_shard
from manihot.core import files
from manihot.core.gpus import Compute
from manihot.core.state import State
from manihot.core.tables import read_photos
from manihot.features import boosting, extract, heads
from manihot.networks import build, bundle, weights
from manihot.networks.build import Input
from manihot.pixels import cache, store
from manihot.predictions import calibration
from manihot.predictions.ensembles import ensemble
from manihot.predictions.network import Viewing, predict_fold
from manihot.predictions.parts import part_tables
from manihot.splits.folds import Fold

SIZE = 32
# In the order of classes, which is not that of text.
LABELS = ["9", "10", "é"]
CLASSES = [{"label": label, "name": label} for label in LABELS]
CPU = Compute("cpu", "float32")
ROOT, CATALOG = Path("photos"), Path("results/catalog/leaves.csv")
ADAM = heads.Adam(["identity"], epochs=20, batch_size=8, learning_rate=0.05, weight_decay=0.0, seed=1)
TREES = boosting.Recipe(n_estimators=4, max_depth=2, learning_rate=0.5, seed=1, min_child_weight=0.1)


def photo(path: Path, number: int) -> None:
    """A photo of one of the kinds that people have."""
    random = np.random.default_rng(number)
    small = random.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((90 + number, 60 + 2 * number), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds: list[tuple[Image.Image, dict[str, Any]]] = [
        (image, {}), (image.convert("L"), {}), (image, {"exif": exif}), (image.convert("CMYK"), {}),
    ]  # fmt: skip
    chosen, options = kinds[number % len(kinds)]
    chosen.save(path, "JPEG", quality=92, **options)


def make(decode: str = "exact") -> None:
    """Photos, catalog, pixels and split below the current folder."""
    ROOT.mkdir()
    names = [f"{number}.jpg" for number in range(36)]
    for number, name in enumerate(names):
        photo(ROOT / name, number)
    files.write_rows("listing.csv", ["image_id"], [(name,) for name in names])
    rows, _ = catalog_shard("listing.csv", ROOT, 10**6, lambda *_: None)
    files.write_rows("shard.csv", COLUMNS, rows)
    for size in (SIZE, 2 * SIZE):
        with State("state", "cache_pixels", {"size": size}, "", "") as state:
            cache.cache_shard("shard.csv", ROOT, size, decode, state, lambda *_: None)
            for name in (cache.ARRAY, cache.MANIFEST):
                files.place(state.folder / name, f"results/pixels/leaves/{size}px/0{Path(name).suffix}")
    catalog = pd.DataFrame(rows).assign(dataset="leaves", shard=0, row=range(36), group=np.arange(36))
    files.write_table(CATALOG, catalog)
    number = np.arange(36)
    split = pd.DataFrame({"dataset": "leaves", "image_id": names, "label": [LABELS[n % 3] for n in number]})
    split["group"] = number
    split["role"] = np.select([number < 24, number < 30], ["pool", "test"], "test_as_found")
    split["fold"] = pd.array(np.where(number < 24, number // 3 % 2 + 1, 0), "Int64")
    split.loc[split["role"] != "pool", "fold"] = pd.NA
    files.write_table("split.csv", split)
    # One class has more photos than another among all of them, as the record says.
    record = {"classes": CLASSES, "shares": dict(zip(LABELS, [0.6, 0.3, 0.1], strict=True)), "asked": {"test": 6}}
    files.write_json("split.json", record | {"counts": {"test": dict.fromkeys(LABELS, 2)}})


def gather(rows: pd.DataFrame, size: int = SIZE) -> store.CachedPhotos:
    """The cached pixels of photos."""
    return store.gather(rows, read_photos(CATALOG), [f"results/pixels/leaves/{size}px/0.json"], size)


def folds(*numbers: int) -> list[Fold]:
    """Folds of the pool; the sample has more of one class than of another."""
    split = read_photos("split.csv")
    sample = split[(split["role"] == "pool") & ((split["label"] != LABELS[1]) | (split["fold"] == 1))]
    return [Fold(number, sample.reset_index(drop=True), CLASSES) for number in numbers]


def fold_folder(model: str, fold: int) -> Path:
    return Path(f"results/models/{model}/fold{fold}")


def network(model: str, name: str = "small_cnn", numbers: Sequence[int] = (1, 2), size: int = SIZE) -> None:
    """A network of each fold that was drawn instead of trained, with answers that differ between photos."""
    for fold in folds(*numbers):
        seed = zlib.crc32(f"{model}{fold.number}".encode())
        made = build.classifier(name, len(LABELS), size, 0.2, None, False, seed)
        with torch.no_grad():
            # Batch norms that have seen photos, and a last layer that is sure.
            made.train()(torch.from_numpy(gather(fold.training, size)[:]).permute(0, 3, 1, 2).float() / 255)
            build.last_layer(made)[1].weight *= 30
        seen = Input(name, size, "standard").record()
        record = bundle.describe("network", fold, seen, {"parameters": 1, "trainable": 1}, "float32", [1.0, 1.2, 2.0])
        state = {key: value.contiguous() for key, value in made.state_dict().items()}
        bundle.save(fold_folder(model, fold.number), record, save(state))


def backbone(name: str, trained: tuple[str, int] | None = None) -> list[Path]:
    """The features of a frozen network, of a file of weights or of a fold of the study."""
    split = read_photos("split.csv").assign(status="ok")
    path, record = Path(f"results/features/weights/{name}.safetensors"), None
    if trained:
        path, record = (fold_folder(*trained) / file for file in ("weights.safetensors", "model.json"))
    else:
        weights.fetch("squeezenet1_1", "none", path, 3)
    seen = Input("small_cnn" if trained else "squeezenet1_1", SIZE, "standard")
    frozen = extract.Backbone(seen, path, 7, record)
    array = Path(f"results/features/{name}/leaves/identity.npy")
    with State("state", "extract_features", {"name": name}, "", "") as state:
        extract.extract(state, frozen, split, gather, "identity", CPU, lambda *_: None)
        for file in ("features.npy", "features.json"):
            files.place(state.folder / file, array.with_suffix(Path(file).suffix))
    return [array]


def head(model: str, features: Sequence[Path], numbers: Sequence[int] = (1, 2)) -> None:
    """A head of each fold."""
    for fold in folds(*numbers):
        heads.fit(fold_folder(model, fold.number), features, fold, ADAM, 1)


def trees(model: str, features: Sequence[Path], numbers: Sequence[int] = (1, 2)) -> None:
    """Trees of each fold."""
    for fold in folds(*numbers):
        with State("state", "fit_booster", {"model": model}, "", str(fold.number)) as state:
            boosting.fit(state, features, fold, TREES, CPU, lambda *_: None)
            for file in ("booster.ubj", "model.json"):
                files.place(state.folder / file, fold_folder(model, fold.number) / file)


def answer(
    model: str, kind: str, views: Sequence[str] = ("identity",), numbers: Sequence[int] = (1, 2),
    fitted_as: str | None = None, features: Sequence[Path] = (), size: int = SIZE,
) -> dict[str, dict[str, pd.DataFrame]]:  # fmt: skip
    """What the study's jobs make of a model's folds: its record, and its tables by kind of answer (raw ones, too) and
    part, as they are read from the disk."""
    split, tables, members = read_photos("split.csv"), [], []
    for fold in folds(*numbers):
        members.append(bundle.read(fold_folder(fitted_as or model, fold.number) / "model.json"))
        folder = Path(f"results/predictions/{model}/fold{fold.number}")
        if kind in ("network", "tta"):
            viewing = Viewing(views, 5, {}, 1)
            with State("state", "predict_fold", {"model": model}, "", str(fold.number)) as state:
                predict_fold(state, members[-1], fold, split, lambda rows: gather(rows, size), viewing, CPU)
                parts = {
                    part: read_photos(state.folder / f"{part}.csv") for part in ("validation", "test", "test_as_found")
                }
        else:
            predict = {"head": heads.predict, "boosting": boosting.predict}[kind]
            parts = part_tables(fold, split, lambda _, rows, f=members[-1], p=predict: p(f, features, rows, 1))
        for part, table in parts.items():
            files.write_table(folder / f"{part}.csv", table)
        tables.append({part: read_photos(folder / f"{part}.csv") for part in ("validation", "test", "test_as_found")})
    by_part = {part: [table[part] for table in tables] for part in tables[0]}
    record = files.read_json("split.json")
    answers, temperature = calibration.answer(by_part, [member.record["prior"] for member in members], record)
    told = bundle.whole(model, kind, views, members, {"temperature": temperature, "shares": record["shares"]})
    files.write_json(f"results/models/{model}/model.json", told)
    return {"raw": ensemble(by_part), **answers}
