"""Hostile photos, tables, archives, studies and weights: each is refused or made harmless, in a clear line."""

import os
import random
import re
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import hostile
import pandas as pd
import pytest
from safetensors.torch import load_file
from sandbox import HANG, Watch, alone, tree, watched

from manihot.catalog import inspect
from manihot.core import files
from manihot.core.errors import StudyError
from manihot.networks import build, weights
from manihot.photos import archives, kaggle
from manihot.photos import labels as photo_labels
from manihot.pixels import cache as pixel_cache
from manihot.report import page
from manihot.study.load import load

CONFIG = Path(__file__).parents[2] / "config"
STUDIES = [path for path in sorted(CONFIG.glob("*.yaml")) if "extends:" not in path.read_text()]


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


@pytest.fixture
def results(tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A results folder beside hostile files: after the test nothing but its content has changed, no code was run."""
    folder = tmp_path / "work" / "results"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder.parent)
    yield folder
    watch.folder = None
    assert watch.seen == [] and not list(tmp_path.rglob(hostile.MARKER))
    assert list((tmp_path / "work").iterdir()) == [folder]


def refused(work: Callable[[], object], line: str) -> None:
    with pytest.raises(StudyError) as caught:
        work()
    message = str(caught.value)
    assert line in message and message.isprintable() and len(message) < 1200


def test_the_corpus_is_large_enough(tmp_path: Path) -> None:
    traps = tmp_path / "traps"
    traps.mkdir()
    kinds = {
        "photos": hostile.photo_files(), "names in photo folders": hostile.photo_traps(traps, tmp_path / "secret.png"),
        "tables": hostile.TABLES, "class names": hostile.CLASS_NAMES, "archives": hostile.archive_files(),
        "studies": hostile.STUDIES, "weights": hostile.weight_files(tmp_path),
    }  # fmt: skip
    counts = {kind: len(cases) for kind, cases in kinds.items()}
    print(f"{sum(counts.values())} hostile files: {counts}")
    assert sum(counts.values()) >= 60


def new_photo(path: Path) -> str:
    """What comes of a photo that is decoded without a catalog."""
    try:
        assert pixel_cache.new_square(path, 8, "exact", hostile.MAX_PIXELS).shape == (8, 8, 3)
    except inspect.UnusableError as error:
        return str(error)
    return "ok"


def test_photos_are_set_aside_or_made_harmless(tmp_path: Path, results: Path, watch: Watch) -> None:
    root, secret = tmp_path / "photos", tmp_path / "elsewhere" / "secret.png"
    root.mkdir()
    secret.parent.mkdir()
    hostile.picture().save(secret)
    expected = {}
    for name, (content, status) in hostile.photo_files().items():
        (root / name).write_bytes(content)
        expected[name] = status
    expected |= hostile.photo_traps(root, secret)
    files.write_rows(results / "0.csv", ["image_id", "bytes", "mtime_ns"], [(name, "", "") for name in expected])
    last, slowest = time.monotonic(), 0.0

    def progress(done: int, total: int, text: str) -> None:
        nonlocal last, slowest
        last, slowest = (now := time.monotonic()), max(slowest, now - last)

    with watched(watch, results):
        rows, thumbnails = inspect.catalog_shard(results / "0.csv", root, hostile.MAX_PIXELS, progress)
    assert {row["image_id"]: row["status"] for row in rows} == expected
    for row, thumbnail in zip(rows, thumbnails, strict=True):
        whole = (row["width"], row["height"]) == (60, 40) and thumbnail.shape == (32, 32)
        assert whole if row["status"] == "ok" else not thumbnail.any()
    # A fitted model is shown photos that no catalog has looked at: it takes the same ones, for the same reasons. Only
    # where they lie is the user's to say.
    told = {name: status for name, status in expected.items() if status != "outside the photo folder"}
    with watched(watch, results):
        assert {name: new_photo(root / name) for name in told} == told
    assert slowest < HANG
    for name in ("out.png", "zero.png", "album/secret.png"):
        labels = [photo_labels.Label(name, "0", "0")]
        with watched(watch, results):
            refused(
                lambda labels=labels: photo_labels.write_listing(results, labels, root, 1), "leaves the photo folder"
            )


@pytest.mark.parametrize(("content", "line"), hostile.TABLES.values(), ids=hostile.TABLES)
def test_labels_files(tmp_path: Path, results: Path, watch: Watch, content: bytes, line: str) -> None:
    table, root = tmp_path / "train.csv", tmp_path / "photos"
    table.write_bytes(content)
    root.mkdir()
    with watched(watch, results):
        refused(lambda: photo_labels.write_listing(results, photo_labels.read_labels(table), root, 2), line)
    assert tree(results) == set()


@pytest.mark.parametrize(("content", "line"), hostile.CLASS_NAMES.values(), ids=hostile.CLASS_NAMES)
def test_class_names(tmp_path: Path, results: Path, watch: Watch, content: bytes, line: str) -> None:
    (tmp_path / "train.csv").write_text("image_id,label\na.jpg,0\n")
    (tmp_path / "names.json").write_bytes(content)
    with watched(watch, results):
        refused(lambda: photo_labels.read_labels(tmp_path / "train.csv", class_names=tmp_path / "names.json"), line)


def test_labels_that_are_no_file(tmp_path: Path, results: Path, watch: Watch) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", Path("/dev/zero"), tmp_path):
        with watched(watch, results):
            refused(lambda path=path: photo_labels.read_labels(path), "cannot be read")


def test_folders_of_classes(tmp_path: Path, results: Path, watch: Watch) -> None:
    for number, name in enumerate(("=cmd|'x'!A0", "sick\nwell", "back\\slash", "red\x1b[31m")):
        folder = tmp_path / str(number) / name
        folder.mkdir(parents=True)
        (folder / "a.jpg").touch()
        with watched(watch, results):
            refused(lambda folder=folder: photo_labels.folder_labels(folder.parent), ": ")
    (tmp_path / "links" / "class").mkdir(parents=True)
    (tmp_path / "links" / "class" / "a.jpg").touch()
    (tmp_path / "links" / "out").symlink_to(tmp_path / "0" / "=cmd|'x'!A0")
    labels = photo_labels.folder_labels(tmp_path / "links")
    with watched(watch, results):
        refused(lambda: photo_labels.write_listing(results, labels, tmp_path / "links", 1), "leaves the photo folder")


@pytest.mark.parametrize(("name", "case"), hostile.archive_files().items())
def test_archives(
    tmp_path: Path, results: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch, name: str, case: tuple[bytes, str]
) -> None:
    content, line = case
    monkeypatch.setattr(archives, "FREE_BYTES", 1_000_000)
    path = tmp_path / name
    path.write_bytes(content)
    with watched(watch, results):
        refused(lambda: unpack(path, results), line)
    assert {path.split("/")[0] for path in tree(results)} <= {"images"}
    assert sum(path.stat().st_size for path in results.rglob("*") if path.is_file()) <= 3_000_000


def unpack(path: Path, results: Path, **changes: Any) -> None:
    sources = changes.pop("sources", [{"path": str(path), "url": None, "sha256": files.sha256(path)}])
    photos = "photos" if "on the way" in path.name else "."
    contents = archives.Contents(**{"photos": photos, "max_unpacked_gb": 1.0} | changes)
    archives.unpack_archives(results / "images", results / "downloads", sources, contents, lambda *_: None)


def test_archives_of_another_sum_place_or_address(tmp_path: Path, results: Path, watch: Watch) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(hostile.zipped({"class/1.jpg": b"1"}))
    os.mkfifo(tmp_path / "pipe.zip")
    wrong = {"url": None, "sha256": "0" * 64}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"sources": [{"path": str(path), **wrong}]}, "its SHA-256 is"),
        ({"sources": [{"path": str(tmp_path / "pipe.zip"), **wrong}]}, "no such archive"),
        ({"sources": [{"path": None, **wrong, "url": f"file://{path}"}]}, "only https"),
        ({"labels": "../../secret.csv"}, hostile.PATH),
        ({"class_names": "/etc/passwd"}, hostile.PATH),
    ]
    for changes, line in cases:
        with watched(watch, results):
            refused(lambda changes=changes: unpack(path, results, **changes), line)


@pytest.mark.parametrize("key", ["labels", "photos", "class_names"])
def test_paths_that_leave_a_competition(results: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setattr(kaggle, "competition_download", lambda name: pytest.fail("downloaded"))
    given = {"labels": "train.csv", "photos": "images", "class_names": None} | {key: "../../../secret"}
    with watched(watch, results):
        refused(lambda: kaggle.fetch_competition(results / "images", "leaves", only=None, **given), hostile.PATH)


@pytest.mark.parametrize(("text", "line"), hostile.STUDIES.values(), ids=hostile.STUDIES)
def test_study_files(tmp_path: Path, results: Path, watch: Watch, text: str, line: str) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "other.yaml").write_text("extends: study.yaml\n")
    (tmp_path / "study.yaml").write_text(text)
    with watched(watch, results):
        refused(lambda: load(tmp_path / "study.yaml"), line)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_weights(tmp_path: Path, results: Path, watch: Watch) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    build.torchvision_network("squeezenet1_1")  # what it imports is not the files' doing
    for name, (content, line) in {**hostile.weight_files(tmp_path), "pipe.pth": (None, "does not exist")}.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with watched(watch, results):
            refused(lambda name=name: fetch(tmp_path / name, results), line)
        assert tree(results) == set(), name


def fetch(path: Path, results: Path) -> None:
    weights.fetch("squeezenet1_1", str(path), results / "out.safetensors", 1)


def test_weights_of_the_right_names(tmp_path: Path, results: Path, watch: Watch) -> None:
    import torch

    sound, bias = build.torchvision_network("squeezenet1_1").state_dict(), "classifier.1.bias"
    cases = {
        "has the shape": torch.zeros(1).expand(10**12),
        "are not finite": torch.full((1000,), 1e300, dtype=torch.float64),
        "not a plain tensor": torch.zeros(1000).to(torch.float8_e4m3fn),
        "is refused": hostile.Code(tmp_path),
    }
    for line, value in cases.items():
        torch.save(sound | {bias: value}, tmp_path / "a.pth")
        with watched(watch, results):
            refused(lambda: fetch(tmp_path / "a.pth", results), line)
    torch.save(sound, tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth") as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    (tmp_path / "compressed.pth").write_bytes(hostile.zipped(members))
    with watched(watch, results):
        refused(lambda: fetch(tmp_path / "compressed.pth", results), "is refused")
    same = torch.zeros(64)
    torch.save(sound | {"features.0.bias": same, "features.3.expand1x1.bias": same}, tmp_path / "a.pth")
    with watched(watch, results):
        fetch(tmp_path / "a.pth", results)
    assert len(load_file(results / "out.safetensors")) == len(sound)


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


EVIL = "</title></style><script>alert(1)</script><img src=https://example.org/x onerror='alert(1)'>\"><iframe>"


def shown(results: Path, text: str) -> Page:
    """The report of a small study whose every label, name, id, status, title and path is `text`, numbered."""
    names = [f"{text}{number}" for number in range(4)]
    photo = {
        "width": 60,
        "height": 40,
        "mode": "RGB",
        "bytes": 9,
        "sha256": "",
        "hash": "",
        "shard": 0,
        "row": 0,
        "group": 0,
        "copies": 0,
        "given_group": text,
        "site": text,
        "given_role": "",
        "given_fold": "",
    }
    rows = [
        {"dataset": "leaves", "image_id": name, "label": name, "name": name, **photo, "status": "ok"} for name in names
    ]
    table = pd.DataFrame([*rows, rows[0] | {"image_id": "aside", "status": text}])
    files.write_table(results / "catalog/leaves.csv", table)
    pair = {
        "image_id_a": names[0],
        "image_id_b": names[1],
        "label_a": names[0],
        "label_b": names[1],
        "kind": "near",
        "distance": 1,
        "angle": 0.0,
        "scale": 1.0,
    }
    files.write_rows(results / "catalog/leaves/duplicates.csv", list(pair), [pair])
    split = table.assign(role="pool", fold=1)[["dataset", "image_id", "label", "group", "role", "fold"]]
    files.write_table(results / "splits/main.csv", split)
    classes = [{"label": name, "name": name} for name in names]
    leak = {"border": "folds", "kind": "groups", "photos": 1, "pairs": [names[:2]], "excluded": False}
    record = {"classes": classes, "new_class": text, "counts": {"test": {}, "test_as_found": {}}, "conflicts": 1}
    record |= {"folds": 2, "given_groups": 1, "asked": {"test": 1}, "sites": [text, text], "leaks": [leak], "copied": 1}
    record["shares"] = dict.fromkeys(names, 1 / len(names))
    files.write_json(results / "splits/main.json", record)
    predicted = split.drop(columns=["group", "role"]).assign(p0=0.4, p1=0.3, p2=0.2, p3=0.1)
    files.write_table(results / "predictions/first/test.csv", predicted)
    looked = {"kind": "wrong", "image_id": names[0], "label": names[1], "predicted": names[0], "confidence": 0.4}
    drawn = {"network": text, "layer": text, "grid": [2, 2], "photos": [looked | {"silent": True, "picture": "AAAA"}]}
    files.write_json(results / "predictions/first/grad_cam.json", drawn)
    entry = {
        "split": "main",
        "dataset": "leaves",
        "folds": 1,
        "train_photos": 1,
        "size": 32,
        "epochs": 1,
        "batch_size": 1,
    }
    model = {"name": "first", "kind": "network", "family": "networks", "split": "main", "based_on": None, "experiment": "first",
             "backbone": None, "folds": [1], "sample": "first", "repeat": 0, "repeat_of": None, "leak": False}  # fmt: skip
    study = {
        "title": text, "description": text, "seed": 1, "resamples": 100, "device": "auto", "precision": "auto",
        "published": None, "photos": {"decode": "exact", "max_pixels": 10**6}, "experiments": {"first": {**entry, "network": "small_cnn", "tta": []}},
        "backbones": {}, "boosting": {}, "overfit": {}, "splits": {"main": entry},
        "costs": {text: {text: 2.0}}, "equivalence_margin": 2.0,
    }  # fmt: skip
    settings = {
        "title": text, "description": text, "protocol": "corrected", "seed": 1, "models": [model], "study": study,
        "datasets": {"leaves": {"root": str(results / "photos"), "source": text}}, "more_photos": [],
        "references": [], "looked": ["first"], "trials": [],
    }  # fmt: skip
    page.build(results, results / "report.html", settings, made=text, commit=text, versions={text: text})
    return Page((results / "report.html").read_text())


def test_labels_ids_and_names_are_text_in_the_report(results: Path, watch: Watch) -> None:
    plain = shown(results, "plain")
    with watched(watch, results):
        evil = shown(results, EVIL)
    plain.tags["text"] = evil.tags["text"]  # a chart shows a long name on several lines
    assert evil.tags == plain.tags and evil.tags["script"] == 1
    assert evil.text.count(EVIL) >= 20
    assert not [name for name, _ in evil.attributes if name.startswith("on")]
    for name, value in evil.attributes:
        assert name not in {"src", "href", "xlink:href"} or re.match(r"data:|#", value)


def test_a_formula_is_text_in_the_report(results: Path, watch: Watch) -> None:
    formula = "=HYPERLINK(\"https://example.org\",'x')"
    with watched(watch, results):
        page = shown(results, formula)
    assert page.text.count(formula) >= 20
    assert not {value for name, value in page.attributes if name in {"href", "src"} and "example" in value}


def test_a_link_out_of_the_photo_folder_is_not_shown(tmp_path: Path, results: Path, watch: Watch) -> None:
    hostile.picture().save(tmp_path / "secret.png")
    (results / "photos").mkdir()
    (results / "photos" / "link0").symlink_to(tmp_path / "secret.png")
    with watched(watch, results):
        page = shown(results, "link")
    # The one picture is the Grad-CAM that `shown` gives.
    assert page.tags["img"] == 1


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.full)])
@pytest.mark.parametrize("kind", ["jpeg", "png", "csv", "yaml"])
def test_mutated_files(tmp_path: Path, results: Path, watch: Watch, kind: str, count: int) -> None:
    """A quarter of `count` a kind: no error but StudyError, no hang, no file outside the results."""
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    draw, sound = random.Random(f"{kind} {count}"), hostile.seeds(STUDIES)[kind]
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for number in range(count // 4):
        path = inputs / f"{number % 2}.{kind}"
        path.write_bytes(hostile.mutated(draw.choice(sound), kind, draw))
        start = time.monotonic()
        with alone(watch, results):
            outcomes[READERS[kind](path, results)] += 1
        slowest = max(slowest, time.monotonic() - start)
    print(f"{outcomes.total()} mutated {kind} files, the slowest {slowest:.2f} s: {dict(outcomes.most_common(8))}")
    assert outcomes.total() == count // 4 and slowest < HANG and len(outcomes) > 1
    assert tree(tmp_path) - {f"work/results/{path}" for path in tree(results)} == {
        "inputs", f"inputs/0.{kind}", f"inputs/1.{kind}", "work", "work/results"
    }  # fmt: skip


def read_photo(path: Path, results: Path) -> str:
    files.write_rows(results / "0.csv", ["image_id", "bytes", "mtime_ns"], [(path.name, "", "")])
    rows, _ = inspect.catalog_shard(results / "0.csv", path.parent, hostile.MAX_PIXELS, lambda *_: None)
    return re.sub(r"\d+", "N", rows[0]["status"])


def read_table(path: Path, results: Path) -> str:
    def read() -> None:
        photo_labels.write_listing(results, photo_labels.read_labels(path), path.parent, 2)

    return outcome(read, path)


def read_study(path: Path, results: Path) -> str:
    return outcome(lambda: load(path).plain(), path)


def outcome(read: Callable[[], object], path: Path) -> str:
    try:
        read()
    except StudyError as error:
        message = str(error)
        assert message.isprintable() and len(message) < 2000
        return re.sub(r"'.*|\d+", "…", message.replace(str(path.parent), ""))[:40]
    return "ok"


READERS: dict[str, Callable[[Path, Path], str]] = {
    "jpeg": read_photo, "png": read_photo, "csv": read_table, "yaml": read_study,
}  # fmt: skip
