"""New photos from their files: what `Model.predict` gets through, against its pixels and its forward pass alone.

The model has five heads on one frozen EfficientNet-Lite0, sets of classes, and 1,000 photos that new ones are held
against: what a study chooses in its first half hour. Its photos are JPEG files of 224 to 400 pixels a side.
"""

import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pandas as pd
import photos
import stand_in
import torch
from measuring import ALLOCATOR, ROOT, SHARED, Row, Side, Way, rate, row
from PIL import Image

from manihot import load_model
from manihot.applied import sets, shard, unlike
from manihot.applied.backbones import Computing
from manihot.applied.model import Model
from manihot.applied.photos import decoded
from manihot.applied.request import MAX_PIXELS, PER_SHARD
from manihot.core import files
from manihot.core.gpus import Compute
from manihot.core.job import peak_memory
from manihot.core.names import RECORD, SETS
from manihot.core.state import State
from manihot.features import extract, heads, table
from manihot.networks import bundle, weights
from manihot.networks.batches import Batches
from manihot.networks.build import Input, feature_network
from manihot.networks.device import precision
from manihot.pixels.cache import square
from manihot.splits.folds import Fold

NETWORK, SIZE, BATCH = "timm/tf_efficientnet_lite0", 224, 32
PUBLISHED = SHARED / "weights" / "tf_efficientnet_lite0-imagenet.safetensors"
FOLDS, REFERENCE = 5, 1000
# Photos that are answered, and those of a pair.
FILES, PHOTOS, MANY = 2000, 400, 20_000
SIDES = (224, 401)
LABELS = [str(label) for label in range(photos.CLASSES)]
CPU = torch.device("cpu")


@cache
def paths(count: int = FILES) -> list[Path]:
    """So many JPEG files: changed photos of the sample where it is, noise elsewhere. They are kept between runs."""
    folder = Path(tempfile.gettempdir()) / "manihot-new-photos"
    found = [folder / f"{number:05}.jpg" for number in range(count)]
    missing = [number for number, path in enumerate(found) if not path.is_file()]
    folder.mkdir(exist_ok=True)
    shapes = np.random.default_rng(0).integers(*SIDES, FILES).tolist()
    if missing and SHARED.is_dir():
        known = sorted(sum(stand_in.originals().values(), []))
        tasks = [(known[number % len(known)], found[number], number, shapes[number]) for number in missing]
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            list(pool.imap_unordered(stand_in.write, tasks, chunksize=20))
    else:
        for number in missing:
            coarse = np.random.default_rng(number).integers(0, 256, (30, 30, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((shapes[number],) * 2).save(found[number], quality=90)
    return found


def study(run: Path) -> Path:
    """The folder of the model, in a study that is made of drawn features in the folder `run`."""
    with contextlib.chdir(run):
        frozen = Path("results/features/weights/lite0.safetensors")
        weights.fetch(NETWORK, str(PUBLISHED) if PUBLISHED.is_file() else "none", frozen, 0)
        names = [path.name for path in paths()[: REFERENCE + 200]]
        classes = [{"label": label, "name": label} for label in LABELS]
        split = pd.DataFrame(
            {"dataset": "leaves", "image_id": names, "label": [LABELS[i % 5] for i in range(len(names))]}
        )
        split["group"], split["role"], split["status"] = range(len(names)), "pool", "ok"
        split["fold"] = pd.array([i // 5 % FOLDS + 1 for i in range(len(names))], "Int64")

        def seen(rows: pd.DataFrame) -> list[dict[str, str]]:
            return [catalogued(paths()[0].parent / name) for name in rows["image_id"]]

        array = Path("results/features/lite0/leaves/identity.npy")
        with State("results/state", "extract_features", {}, "", "") as state:
            extract.extract(
                state,
                extract.Backbone(Input(NETWORK, SIZE, "weights"), frozen, BATCH),
                split,
                lambda rows: np.stack([square(photo, paths()[0].parent, SIZE, "exact") for photo in seen(rows)]),
                "identity",
                Compute("cpu", threads=1),
                lambda *_: None,
            )
            for file in ("features.npy", "features.json"):
                files.place(state.folder / file, array.with_suffix(Path(file).suffix))
        home, members, answers = Path("results/models/lite0_head"), [], []
        for number in range(1, FOLDS + 1):
            fold = Fold(number, split, classes)
            recipe = heads.Adam(["identity"], 5, BATCH, learning_rate=1e-3, weight_decay=0.0, seed=0)
            heads.fit(home / f"fold{number}", [array], fold, recipe, 1)
            members.append(bundle.read(home / f"fold{number}" / RECORD))
            given = heads.predict(members[-1], [array], fold.validation, 1)
            shown = fold.validation[["dataset", "image_id", "label"]].reset_index(drop=True)
            answers.append(shown.assign(**{f"p{k}": given[:, k].astype(float) for k in range(len(LABELS))}))
        priors = [member.record["prior"] for member in members]
        found = sets.calibrate(answers, priors, range(1, FOLDS + 1), LABELS, split, 0)
        files.write_json(home / SETS, found)
        pool = split.iloc[unlike.draw(split, 0, REFERENCE)]
        known, (record,) = Path("results/features/unlike/main.npy"), table.backbones([array])
        reference = unlike.Reference.of(table.select([array], pool), pool["group"].to_numpy())
        reference.write(known, pool, record, 0)
        calibrated = {"temperature": 1.1, "shares": dict.fromkeys(LABELS, 1 / len(LABELS))}
        told = bundle.whole("lite0_head", "head", ["identity"], members, calibrated, str(known))
        files.write_json(home / RECORD, told)
        return home.absolute()


def catalogued(path: Path) -> dict[str, str]:
    """What the catalog of a study knows of a photo."""
    with Image.open(path) as image:
        width, height = image.size
    size = {"width": str(width), "height": str(height)}
    return {"image_id": path.name, "status": "ok", "sha256": files.sha256(path), **size}


def alone(run: Path) -> Callable[[], int]:
    """The study's own pixels and forward pass, one after the other; each call gives how many photos went through."""
    record = files.read_json(run / "results/features/lite0/leaves/identity.json")["backbone"]
    dtype, channels = precision(record["precision"], CPU), (record["input"]["mean"], record["input"]["std"])
    ready = extract.prepared(feature_network(NETWORK, run / record["weights"]["path"]), CPU, dtype)
    shown = [catalogued(path) for path in paths()[:PHOTOS]]

    def step() -> int:
        made = np.stack([square(photo, paths()[0].parent, SIZE, "exact") for photo in shown])
        return len(extract.forward(ready, Batches(made, CPU, channels), BATCH, "identity", dtype))

    return step


def answers(model: Model, count: int) -> int:
    """How many of the photos `count`, in which the files come again and again, the model answers as a job has it do."""
    listing = [{"image_id": path.name, "problem": ""} for path in islice(cycle(paths()), count)]
    table, own = shard.look(model, listing, paths()[0].parent, lambda *_: None)
    target = model.target("equal")
    return int(model.answering.table(table, own, target, 0.9)["answer"].notna().sum())


def check(run: Path) -> None:
    """The features of new photos are those that the study's own pixels have."""
    model = load_model(run / "results/models/lite0_head", "cpu", workers=1)
    if model.sets is None or model.reference is None:
        sys.exit("the model has no sets or no reference photos: nothing is measured")
    reference, backbone = model.reference
    (batch,) = decoded(paths()[:BATCH], {backbone.seen}, BATCH, 1, MAX_PIXELS)
    stored = np.load(run / "results/features/lite0/leaves/identity.npy")[:BATCH]
    off = np.abs(backbone.features(batch.pixels, Computing(CPU, BATCH)) - stored).max() / np.abs(stored).max()
    if len(reference.rows) != REFERENCE or off > 1e-5:
        sys.exit(f"new photos have features that are off by {off:.1e}: nothing is measured")
    print(f"new photos: features equal to {off:.1e}", flush=True)


def way(side: str, key: str) -> Way:
    """Photos a second of processor time, on one thread: of `predict`, or of its parts `alone`."""
    torch.set_num_threads(1)
    run = Path(key.split(":")[1])
    if key.startswith("alone"):
        step = alone(run)
    else:
        model = shard.ready(str(run / "results/models/lite0_head"), 1)

        def step() -> int:
            return answers(model, PHOTOS)

    step()
    return lambda: rate(step, clock=time.process_time)


def rows(pairs: int) -> Iterator[Row]:
    """The rows of new photos."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder).absolute()
        study(run)
        check(run)
        parts, whole = Side("applied", "ours"), Side("applied", "ours")
        both = [(parts(f"alone:{run}"), whole(f"predict:{run}"), job(run, PER_SHARD)[0]) for _ in range(pairs)]
        for process in (parts, whole):
            process.process.communicate()
        pace, ours, jobs = map(list, zip(*both, strict=True))
        yield row("predict", "photos/s a core", pace, ours)
        yield row("predict/job", "photos/s a core", pace, jobs)
        yield row("predict/memory", "MB", [], [job(run, MANY)[1]])


def job(run: Path, count: int) -> tuple[float, float]:
    """Photos a second of processor time, on one thread, of a process that starts and answers so many photos; and the
    peak of its memory in MB."""
    command = [sys.executable, __file__, str(run), str(count)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "GLIBC_TUNABLES": ALLOCATOR}
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()
    return count / float(said[0]), float(said[1])


def main() -> None:
    """Answer so many photos with the model of a run, on one thread; prints the seconds of processor time since the
    start of the process, and the peak of its memory in MB."""
    run, count = Path(sys.argv[1]), int(sys.argv[2])
    answers(shard.ready(str(run / "results/models/lite0_head"), 1), count)
    print(time.process_time(), peak_memory())


if __name__ == "__main__":
    main()
