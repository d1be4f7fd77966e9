"""What is seen of somebody's photos: where the labels are, what can be used, what stands out."""

import json
import shutil
from pathlib import Path

import pytest
from photo_folders import classes, photo, table

from manihot.core.errors import StudyError
from manihot.study.looking import describe, find_source, look

SHARED = Path(__file__).parents[3].parent / "shared" / "data"


def told(photos: Path, labels: Path | None = None) -> str:
    source = find_source(photos, labels)
    return describe(source, look(source))


def test_a_folder_a_class(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    classes(folder, brown_rust=12, gesund=30, rare=3)
    photo(folder / "loose.jpg")
    (folder / "gesund" / "empty.png").touch()
    (folder / "gesund" / "text.png").write_text("no picture")
    said = told(folder)
    for words in (
        "47 labelled photos of 3 classes", "120x90", "30 gesund", "12 brown rust", "3 rare (too few: left out)",
        "1 empty, such as", "1 not readable as an image, such as 'gesund/text.png'",
        "1 photos lie beside", "no two files were seen to have the same bytes: a quick look",
    ):  # fmt: skip
        assert words in said


def test_equal_files_are_counted_at_a_glance(tmp_path: Path) -> None:
    classes(tmp_path, a=12, b=12)
    shutil.copy(tmp_path / "a" / "3.png", tmp_path / "b" / "copy.png")
    shutil.copy(tmp_path / "a" / "3.png", tmp_path / "b" / "another.png")
    found = look(find_source(tmp_path, None))
    assert found.copies == [("b/another.png", "a/3.png"), ("b/copy.png", "a/3.png")]
    assert "2 files have the same bytes as another, such as 'b/another.png' as 'a/3.png'" in told(tmp_path)


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
    said = told(folder, labels if given_labels else None)
    assert "image_column file, label_column Species" in said
    assert "1 missing, such as 'leaf 39.png'" in said
    assert "20 Quercus robur" in said
    keys = find_source(folder, labels if given_labels else None).keys
    assert (keys["image_column"], keys["label_column"], keys["prefix"]) == ("file", "Species", "images/")
    assert (keys["photos"], keys["labels"]) == (str(folder / "pictures"), str(labels))


def test_paths_within_the_project_are_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classes(tmp_path / "data" / "barley", a=10, b=10)
    monkeypatch.chdir(tmp_path)
    assert find_source(Path("data/barley"), None).keys["photos"] == "data/barley"


def test_a_benchmark_in_folders_of_roles(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    for role, count in (("train", 30), ("val", 12), ("test", 12)):
        classes(folder / role, rust=count, smut=count)
    assert find_source(folder, None).keys["role_folders"] is True
    said = told(folder)
    assert "train, validation and test, each with a sub-folder a class" in said
    assert "their own split: " in said and "24 validation" in said and "60 train" in said
    shutil.rmtree(folder / "test")
    with pytest.raises(StudyError, match="sub-folders are train, validation, a split without train or test"):
        find_source(folder, None)


def test_columns_that_say_more_than_the_label(tmp_path: Path) -> None:
    rows = []
    for number in range(120):
        photo(tmp_path / "set" / f"{number}.png")
        role = ("train", "train", "Test")[number // 4 % 3]
        rows.append(f"{number}.png,{'ab'[number // 4 % 2]},p{number // 4},{number % 2},{role},{number % 4},x")
    table(tmp_path / "set" / "train.csv", "image,label,Plant_ID,farm,split,fold,session", rows)
    said = told(tmp_path / "set")
    assert "30 groups of photos that stay together (Plant_ID)" in said
    assert "their own split: 80 train, 40 test" in said
    keys = find_source(tmp_path / "set", None).keys
    assert (keys["group_column"], keys["site_column"], keys["role_column"]) == ("Plant_ID", "farm", "split")
    assert "fold_column" not in keys
    # Folds alone are taken; a column with empty cells, or of one value, tells nothing.
    rows = [",".join([*row.split(",")[:4], "", row.split(",")[5], "x"]) for row in rows]
    table(tmp_path / "set" / "train.csv", "image,label,Plant_ID,farm,split,fold,session", rows)
    keys = find_source(tmp_path / "set", None).keys
    assert keys["fold_column"] == "fold" and "role_column" not in keys


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no sample photos at {SHARED}")
def test_the_sample_photos() -> None:
    assert "103 pinus_flexilis" in told(SHARED / "species")
    said = told(SHARED / "cassava")
    assert "850 Cassava Mosaic Disease (CMD)" in said and "800x600" in said
