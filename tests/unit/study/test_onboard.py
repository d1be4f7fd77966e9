"""`make study`: what it finds, and that what it writes is a study that can be run."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from manihot.core.errors import StudyError
from manihot.photos.facts import Label
from manihot.splits.folding import Folding
from manihot.splits.roles import Corrected, Counts, split_photos
from manihot.splits.sampling import sample_photos
from manihot.study import onboard
from manihot.study.checks import check_counts
from manihot.study.load import build, load

SHARED = Path(__file__).parents[3].parent / "shared" / "data"


def photo(path: Path, size: tuple[int, int] = (120, 90)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def classes(folder: Path, **counts: int) -> None:
    for label, count in counts.items():
        for number in range(count):
            photo(folder / label.replace("_", " ") / f"{number}.png")


def table(path: Path, header: str, rows: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")


def test_a_folder_a_class(tmp_path: Path) -> None:
    folder = tmp_path / "Meine Blätter"
    classes(folder, brown_rust=12, gesund=30, rare=3)
    photo(folder / "loose.jpg")
    (folder / "gesund" / "empty.png").touch()
    (folder / "gesund" / "text.png").write_text("no picture")
    told = onboard.write_study(folder, None, tmp_path / "mine.yaml")
    for words in (
        "47 labelled photos", "120x90", "30 gesund", "12 brown rust", "3 rare (too few: left out)",
        "1 empty, such as", "1 not readable as an image, such as 'gesund/text.png'",
        "1 photos lie beside", "make report STUDY=",
    ):  # fmt: skip
        assert words in told
    study = load(tmp_path / "mine.yaml")
    data = study.data["Meine_Blatter"]
    assert data.source == "folder"
    assert sorted(data.only or []) == ["brown rust", "gesund"]
    assert Path(data.photos) == folder
    assert study.experiments["balanced"].size == 64
    assert study.photos.max_set_aside >= 2 / 47


@pytest.mark.parametrize("given_labels", [False, True])
def test_the_columns_of_a_labels_file_are_found(tmp_path: Path, given_labels: bool) -> None:
    folder = tmp_path / "set"
    rows = [f"{number};images/leaf {number}.png;{number % 7};{('oak', 'elm')[number % 2]}" for number in range(40)]
    for number in range(39):
        photo(folder / "pictures" / f"leaf {number}.png")
    labels = (tmp_path / "elsewhere" if given_labels else folder) / "train.csv"
    table(labels, "id;file;tree;Species", rows)
    table(folder / "weather.csv", "day,rain", ["1,2"])
    (labels.parent / "names.json").write_text(json.dumps({"oak": "Quercus robur", "elm": "Ulmus"}))
    (labels.parent / "other.json").write_text("[]")
    told = onboard.write_study(folder, labels if given_labels else None, tmp_path / "mine.yaml")
    assert "image_column file, label_column Species" in told
    assert "1 missing, such as 'leaf 39.png'" in told
    assert "20 Quercus robur" in told
    data = load(tmp_path / "mine.yaml").data["set"]
    assert (data.image_column, data.label_column, data.prefix) == ("file", "Species", "images/")
    assert (Path(data.photos), Path(data.labels)) == (folder / "pictures", labels)


def test_paths_within_the_project_are_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classes(tmp_path / "data" / "barley", a=10, b=10)
    monkeypatch.chdir(tmp_path)
    onboard.write_study(Path("data/barley"), None, Path("mine.yaml"))
    assert load(Path("mine.yaml")).data["barley"].photos == "data/barley"


def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    classes(tmp_path / "small", a=30, b=5)
    classes(tmp_path / "tables", a=10, b=10)
    for name in ("a.csv", "b.csv"):
        table(tmp_path / "tables" / name, "image,label", ["x.jpg,1"])
    photo(tmp_path / "flat" / "1.png")
    table(tmp_path / "strange.csv", "image,label", ["elsewhere.jpg,1"])
    table(tmp_path / "unlabelled.csv", "image,remark", ["a/0.png,x", "a/1.png,y", "a/2.png,z", "a/3.png,w"])
    (tmp_path / "there.yaml").write_text("precious")
    out = ["--out", str(tmp_path / "mine.yaml")]
    for arguments, words in [
        (["gone"], "no such folder"),
        (["small"], "two classes of at least 10 photos, found 1"),
        (["tables"], "which of a.csv, b.csv labels the photos"),
        (["flat"], "no photos in its sub-folders"),
        (["small", "--labels", str(tmp_path / "strange.csv")], "no column names files in"),
        (["small", "--labels", str(tmp_path / "unlabelled.csv")], "no column has labels that repeat"),
        (["small", "--labels", str(tmp_path / "gone.csv")], "no such file"),
        (["small", "--out", str(tmp_path / "there.yaml")], "is there already"),
    ]:
        folder, *more = arguments
        assert onboard.main([str(tmp_path / folder), *out, *more]) == 1
        told = capsys.readouterr().err
        assert told.startswith("error: ") and told.count("\n") == 1
        assert words in told
    assert (tmp_path / "there.yaml").read_text() == "precious"
    assert not (tmp_path / "mine.yaml").exists()


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no sample photos at {SHARED}")
def test_the_sample_photos(tmp_path: Path) -> None:
    told = onboard.write_study(SHARED / "species", None, tmp_path / "species.yaml")
    assert "103 pinus_flexilis" in told
    told = onboard.write_study(SHARED / "cassava", None, tmp_path / "cassava.yaml")
    assert "850 Cassava Mosaic Disease (CMD)" in told and "800x600" in told
    assert load(tmp_path / "cassava.yaml").splits["main"].test == 120


def test_a_benchmark_in_folders_of_roles(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    for role, count in (("train", 30), ("val", 12), ("test", 12)):
        classes(folder / role, rust=count, smut=count)
    told = onboard.write_study(folder, None, tmp_path / "mine.yaml")
    assert "train, validation and test, each with a sub-folder a class" in told
    assert "their own split: " in told and "24 validation" in told and "60 train" in told
    study = load(tmp_path / "mine.yaml")
    assert study.data["bench"].role_folders
    split = study.splits["main"]
    assert (split.test, split.test_as_found, split.folds, split.on_leak) == (None, 0, 1, "exclude")
    for path in (folder / "test").glob("*/*"):
        path.unlink()
    (folder / "test" / "rust").rmdir()
    (folder / "test" / "smut").rmdir()
    (folder / "test").rmdir()
    with pytest.raises(StudyError, match="sub-folders are train, validation, a split without train or test"):
        onboard.write_study(folder, None, tmp_path / "more.yaml")


def test_columns_that_say_more_than_the_label(tmp_path: Path) -> None:
    rows = []
    for number in range(120):
        photo(tmp_path / "set" / f"{number}.png")
        role = ("train", "train", "Test")[number // 4 % 3]
        rows.append(f"{number}.png,{'ab'[number // 4 % 2]},p{number // 4},{number % 2},{role},{number % 4},x")
    table(tmp_path / "set" / "train.csv", "image,label,Plant_ID,farm,split,fold,session", rows)
    told = onboard.write_study(tmp_path / "set", None, tmp_path / "mine.yaml")
    assert "30 groups of photos that stay together (Plant_ID)" in told
    assert "their own split: 80 train, 40 test" in told
    data = load(tmp_path / "mine.yaml").data["set"]
    assert (data.group_column, data.site_column, data.role_column) == ("Plant_ID", "farm", "split")
    assert data.fold_column is None
    # Folds alone are taken; a column with empty cells, or of one value, tells nothing.
    rows = [",".join([*row.split(",")[:4], "", row.split(",")[5], "x"]) for row in rows]
    table(tmp_path / "set" / "train.csv", "image,label,Plant_ID,farm,split,fold,session", rows)
    onboard.write_study(tmp_path / "set", None, tmp_path / "more.yaml")
    study = load(tmp_path / "more.yaml")
    assert (study.data["set"].fold_column, study.data["set"].role_column) == ("fold", None)
    assert study.splits["main"].folds == 4 and study.splits["main"].test


