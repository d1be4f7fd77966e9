"""Whole runs: a small study both ways, the report of a full one, the engine with nothing to do, and memory."""

import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import photos
import theirs
import torch
from measuring import ALLOCATOR, ROOT, SHARED, Row, row, seconds
from sklearn.metrics import accuracy_score, confusion_matrix
from sklearn.model_selection import KFold
from torchvision.transforms import functional

from manihot.core import files

ALL, SIZE = 21_397, 224  # photos of the published study
SAMPLE_STUDY = ROOT / "tests/studies/cassava.yaml"


def snakemake(folder: Path, study: Path, *arguments: str, project: Path = ROOT) -> None:
    """A run of a study in a folder of its own."""
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(project / "Snakefile"), "--directory", str(folder)),
        *("--workflow-profile", str(project / "profiles/default"), "--cores", "2"),
        *("--configfile", str(study), *arguments),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)


def their_study(weights: Path) -> None:
    """benchmarks/study.yaml as a script, the study's own way; prints the accuracies on both tests."""
    table = pd.read_csv(SHARED / "cassava/train.csv").sample(frac=1, random_state=42)
    rest = [(SHARED / "cassava/images" / name, label) for name, label in table.to_numpy()]
    tests, pool = {"as found": rest[:100], "test": rest[100:200]}, rest[200:600]
    answers: dict[str, list[np.ndarray]] = {name: [] for name in tests}
    flips = [functional.hflip, functional.vflip]
    features = theirs.features("mobilenet_v2", weights, rest[:600], 224)
    x, y = features[200:], np.array([label for _, label in pool])
    for known, unknown in KFold(5).split(pool):
        training, validation = ([pool[i] for i in part] for part in (known, unknown))
        model = theirs.fold(training, validation, 96, 8, 32, 5e-5)
        for name, tested in tests.items():
            for views in ([], flips):
                batches = theirs.DataLoader(theirs.JpegFiles(tested, 96), 32)
                answers[name].append(theirs.predict(model, batches, *views))
        theirs.head("mobilenet_v2", weights, training, validation, 224, 8)
        booster = theirs.boosted(x[known], y[known], 30, 4, 0.1)
        answers["as found"].append(booster.predict_proba(features[:100]))
    for name, tested in tests.items():
        right = [label for _, label in tested]
        answer = np.mean(answers[name], axis=0).argmax(1)
        print(name, accuracy_score(right, answer), confusion_matrix(right, answer).tolist())


def study() -> Row:
    """Both ways once, end to end, from JPEG files, every cache included."""
    weights = SHARED / "weights/mobilenet_v2-imagenet.pth"
    command = [sys.executable, __file__, str(weights)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    with tempfile.TemporaryDirectory() as folder:
        fast = seconds(lambda: snakemake(Path(folder), ROOT / "benchmarks/study.yaml", "--", "results/report.html"))
    slow = seconds(lambda: subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL))
    return row("study", "s", [slow], [fast])


def finished(folder: Path) -> Path:
    """A folder in which the published study, cut down to the sample, has been run."""
    if not (folder / "results/report.html").exists():
        snakemake(folder, SAMPLE_STUDY, "--", "results/report.html")
    return folder


def enlarge(source: Path, target: Path) -> None:
    """A copy of a finished study with as many photos as the published one: each table's photos many times."""
    shutil.copytree(source / "results", target / "results", ignore=shutil.ignore_patterns("state", "logs", "pixels"))
    settings = files.read_json(target / "results/settings/build_report/all.json")
    copies = -(-ALL // len(pd.read_csv(target / "results/catalog/cassava.csv")))
    for path in (target / "results").rglob("*.csv"):
        head = path.open().readline().strip().split(",")
        if "image_id" in head and path.parts[-2] != "costs":
            table = pd.read_csv(path, dtype="str", keep_default_na=False)
            many = [table, *(table.assign(image_id=f"z{copy}_" + table["image_id"]) for copy in range(1, copies))]
            files.write_table(path, pd.concat(many, ignore_index=True))
    for name, entry in settings["settings"]["datasets"].items():
        folder = target / "photos" / name
        shutil.copytree(source / entry["root"], folder)
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            for copy in range(1, copies):
                place = folder / f"z{copy}_{path.relative_to(folder)}"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(path)
        entry["root"] = str(folder)
    files.write_json(target / "settings.json", settings["settings"])


def report(done: Path, pairs: int) -> Iterator[Row]:
    """The report of as many photos as the study has, from its tables: seconds of the process, and its size."""
    code = (
        "import sys, json, pathlib; from manihot.report import page; page.build(pathlib.Path('results'), "
        "pathlib.Path('report.html'), json.load(open('settings.json')), made='', commit='', versions={})"
    )
    with tempfile.TemporaryDirectory() as folder:
        enlarge(done, Path(folder))
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        command = [sys.executable, "-c", code]
        taken = [
            seconds(lambda: subprocess.run(command, cwd=folder, env=environment, check=True)) for _ in range(pairs)
        ]
        yield row("report", "s", [], taken)
        yield row("report/size", "MB", [], [(Path(folder) / "report.html").stat().st_size / 1e6])


def stand_in(folder: Path) -> Path:
    """A copy of the project whose config/cassava.yaml has empty files where its photos belong."""
    shutil.copy(ROOT / "Snakefile", folder)
    for part in ("config", "profiles", "src", "workflow"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    study = folder / "config/cassava.yaml"
    for name, source, image_column, prefix in (
        ("cassava", "cassava_train.csv", "image_id", ""), ("classify-leaves", "species_train.csv", "image", "images/")
    ):  # fmt: skip
        root = folder / "data" / name / (prefix or "train_images/")
        root.mkdir(parents=True)
        _, *lines = (SHARED.parent / "study" / source).read_text().splitlines()
        labels = "\n".join([f"{image_column},label", *(prefix + line for line in lines)])
        (folder / "data" / name / "train.csv").write_text(labels + "\n")
        for line in lines:
            (root / line.split(",")[0]).touch()
    shutil.copy(SHARED / "cassava/label_num_to_disease_map.json", folder / "data/cassava")
    return study


def engine(done: Path, pairs: int) -> Iterator[Row]:
    """A dry run of the published study, and a run of the finished sample; the limit is an empty workflow."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "Snakefile"
        empty.write_text("rule all:\n    input: []\n")
        command = [sys.executable, "-m", "snakemake", "-n", "--snakefile", str(empty), "--directory", folder]
        alone = min(seconds(lambda: subprocess.run(command, capture_output=True, check=True)) for _ in range(pairs))
        copy, target = Path(folder) / "project", "results/report.html"
        copy.mkdir()
        whole = stand_in(copy)
        asked = (copy, whole, "-n", "--quiet", "all", "--", target)
        dry = [seconds(lambda: snakemake(*asked, project=copy)) for _ in range(pairs)]
        yield row("dry_run", "s", [], dry, alone)
        again = [seconds(lambda: snakemake(done, SAMPLE_STUDY, "--", target)) for _ in range(pairs)]
        yield row("nothing_to_do", "s", [], again, alone)


def job_start(pairs: int) -> Row:
    """What each job that computes takes before its first photo: Python, torch and the package."""
    command = [sys.executable, "-c", "import manihot.training.fold, manihot.features.extract"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    taken = [seconds(lambda: subprocess.run(command, env=environment, check=True)) for _ in range(pairs)]
    return row("job_start", "s", [], taken)


def memory() -> Iterator[Row]:
    """Peak memory of training on, and of features of, as many photos as the study has, without mapped files."""
    for what in ("training", "features"):
        command = [sys.executable, __file__, "memory", what]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "GLIBC_TUNABLES": ALLOCATOR}
        said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        yield row(f"memory/{what}", "MB", [], [float(said.split()[-1])])


class EnoughError(Exception):
    """The peak has been reached: each later batch is as the ones before it."""


def use_memory(what: str) -> None:
    """Train or extract for a while over a cache of empty photos; prints the peak in MB."""
    from features import drawn_weights
    from trainers import recipe

    from manihot.core import arrays
    from manihot.core.gpus import Compute
    from manihot.core.state import State
    from manihot.features.extract import Backbone, extract
    from manihot.networks.build import Input
    from manihot.pixels import store
    from manihot.splits.folds import Fold
    from manihot.training.fold import train_fold

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        array = folder / f"photos/{SIZE}px/0.npy"
        array.parent.mkdir(parents=True)
        np.lib.format.open_memmap(array, "w+", np.uint8, (ALL, SIZE, SIZE, 3))  # sparse: zeros that take no disk
        ids = [f"{index}.jpg" for index in range(ALL)]
        checksums = [zlib.crc32(bytes(SIZE * SIZE * 3))] * ALL
        arrays.write_manifest(array, (ALL, SIZE, SIZE, 3), ids, checksums, {"statuses": ["ok"] * ALL})
        manifest = arrays.manifest_path(array)
        table = pd.DataFrame({"dataset": "photos", "image_id": ids, "shard": 0, "row": range(ALL), "status": "ok"})
        table["label"] = (table["row"] % photos.CLASSES).astype("str")
        peak, calls = 0.0, 0

        def progress(*_: object) -> None:
            nonlocal peak, calls
            peak, calls = max(peak, anonymous()), calls + 1
            if calls == (30 if what == "training" else 3):
                raise EnoughError

        classes = [{"label": str(label), "name": str(label)} for label in range(photos.CLASSES)]

        def gather(rows: pd.DataFrame, size: int = SIZE) -> store.CachedPhotos:
            return store.gather(rows, table, [manifest], size)

        try:
            with State(folder / "state", what, {}, "", "") as state:
                if what == "training":
                    fold = Fold(0, table, classes)
                    train_fold(recipe(SIZE), "all", fold, gather, None, state, progress)
                else:
                    seen, name = Input("efficientnet_b0", SIZE, "none"), drawn_weights("efficientnet_b0", folder)
                    backbone = Backbone(seen, name, batch_size=32)
                    compute = Compute(threads=torch.get_num_threads())
                    extract(state, backbone, table, gather, "identity", compute, progress)
        except EnoughError:
            print(peak)


def anonymous() -> float:
    """Memory of this process that is not of mapped files, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1000


def rows(pairs: int, done: Path) -> Iterator[Row]:
    """The rows of whole runs; `done` is where the sample study is finished, or will be."""
    yield job_start(pairs)
    finished(done)
    yield from engine(done, pairs)
    yield from report(done, pairs)
    yield from memory()
    yield study()


def main(arguments: Sequence[str]) -> None:
    """What a process of this module is started for."""
    if arguments[0] == "memory":
        use_memory(arguments[1])
    else:
        their_study(Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
