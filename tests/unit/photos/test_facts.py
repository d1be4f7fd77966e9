"""What labels files, patterns and folders tell of photos besides the label."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.photos.facts import FACTS, Label, by_folder, by_patterns
from manihot.photos.labels import folder_labels, read_labels, role_folders, write_listing

COLUMNS = {"given_group": "plant", "site": "farm", "given_role": "split", "given_fold": "fold"}
HEADER = "fold,image_id,split,label,plant,farm\n"


def written(folder: Path, content: str) -> Path:
    path = folder / "train.csv"
    path.write_text(content)
    return path


def test_columns_of_facts(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + "01,a.jpg,Train,rust,p1,north\n2,b.jpg,VAL,rust,p1,south\n,c.jpg,test,rust,7,s\n")
    assert read_labels(path, facts=COLUMNS) == [
        Label("a.jpg", "rust", "rust", "p1", "north", "train", "1"),
        Label("b.jpg", "rust", "rust", "p1", "south", "validation", "2"),
        Label("c.jpg", "rust", "rust", "7", "s", "test", ""),
    ]
    assert read_labels(path, facts=COLUMNS | {"site": None})[0].site == ""
    # One column may be two facts.
    assert read_labels(path, facts={"given_group": "farm", "site": "farm"})[1][3:5] == ("south", "south")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("1,b.jpg,train,rust,,north", "row 3: nothing in column 'plant': write a value"),
        ("1,b.jpg,train,rust,p1,", "row 3: nothing in column 'farm'"),
        ("1,b.jpg,,rust,p1,north", "row 3: nothing in column 'split'"),
        (",b.jpg,train,rust,p1,north", "row 3: nothing in column 'fold'"),
        ("1,b.jpg,dev,rust,p1,north", "row 3, column 'split': 'dev' is no role: write train, validation or test"),
        ("1.5,b.jpg,train,rust,p1,north", "row 3, column 'fold': '1.5' is no fold: write a whole number"),
        ("-1,b.jpg,train,rust,p1,north", "'-1' is no fold"),
        ("1,a.jpg,train,rust,p2,north", "rows 2 and 3: 'a.jpg' is listed with two groups, 'p1' and 'p2': keep one"),
        ("1,a.jpg,train,rust,p1,south", "with two sites, 'north' and 'south'"),
        ("1,a.jpg,test,rust,p1,north", "with two roles, 'train' and 'test'"),
        ("2,a.jpg,train,rust,p1,north", "with two folds, '1' and '2'"),
        ("1,a.jpg,train,smut,p1,north", "with two labels, 'rust' and 'smut'"),
        ("1,a.jpg,train,rust,p1,north", "is listed twice"),
        ("1,b.jpg,train,rust,=1+2,north", "begins as a spreadsheet's formula"),
        (f"1,b.jpg,train,rust,{'p' * 201},north", "is too long"),
    ],
)
def test_cells_that_cannot_be(tmp_path: Path, row: str, says: str) -> None:
    path = written(tmp_path, f"{HEADER}1,a.jpg,train,rust,p1,north\n{row}\n")
    with pytest.raises(StudyError) as error:
        read_labels(path, facts=COLUMNS)
    assert says in str(error.value)


def test_a_column_that_is_missing(tmp_path: Path) -> None:
    path = written(tmp_path, "image_id,label,plants\na.jpg,rust,p1\n")
    with pytest.raises(StudyError, match="no column 'plant'.*did you mean 'plants'"):
        read_labels(path, facts={"given_group": "plant"})


def test_patterns(tmp_path: Path) -> None:
    for name in ("rust/north_p1_1.jpg", "rust/north_p1_2.jpg", "smut/south_p12_1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    patterns = {"given_group": r"_(p\d+)_", "site": r"/(\w+?)_"}
    labels = folder_labels(tmp_path, patterns=patterns)
    assert [(label.given_group, label.site) for label in labels] == [("p1", "north"), ("p1", "north"), ("p12", "south")]
    assert folder_labels(tmp_path, patterns={"given_group": None, "site": None})[0].given_group == ""
    with pytest.raises(StudyError) as error:
        folder_labels(tmp_path, patterns={"given_group": r"(p\d\d)_"})
    assert str(error.value) == (
        f"{tmp_path}: group_pattern '(p\\\\d\\\\d)_' finds nothing in the paths of 2 of 3 photos; "
        "the first is 'rust/north_p1_1.jpg': mend the pattern"
    )
    with pytest.raises(StudyError, match="site_pattern .* finds nothing in the paths of 3 of 3"):
        by_patterns(labels, {"site": "n?(y)?"}, "here")


@given(st.lists(st.from_regex(r"[a-z]{1,3}/p\d{1,3}_\d\.jpg", fullmatch=True), min_size=1, unique=True))
def test_a_pattern_takes_what_its_group_matches(names: list[str]) -> None:
    labels = by_patterns([Label(name, "a", "a") for name in names], {"given_group": r"(p\d+)"}, "here")
    assert [label.given_group for label in labels] == [name.split("/")[1].split("_")[0] for name in names]
    assert [label._replace(given_group="") for label in labels] == [Label(name, "a", "a") for name in names]


def test_folders_of_roles(tmp_path: Path) -> None:
    for role in ("Train", "valid", "test"):
        for label in ("rust", "smut"):
            (tmp_path / role / label).mkdir(parents=True)
            (tmp_path / role / label / "1.jpg").touch()
    assert role_folders(tmp_path) == {"train", "validation", "test"}
    labels = folder_labels(tmp_path, by_role=True)
    assert [(label.image_id, label.label, label.given_role) for label in labels][:3] == [
        ("Train/rust/1.jpg", "rust", "train"),
        ("Train/smut/1.jpg", "smut", "train"),
        ("test/rust/1.jpg", "rust", "test"),
    ]
    (tmp_path / "rust" / "oak").mkdir(parents=True)
    (tmp_path / "rust" / "oak" / "1.jpg").touch()
    assert role_folders(tmp_path) == set()
    with pytest.raises(StudyError, match="rust/oak/1.jpg: 'rust' is no role: write train, validation or test"):
        folder_labels(tmp_path, by_role=True)
    with pytest.raises(StudyError, match="is no role"):
        by_folder([Label("x.jpg", "a", "a")], "here")


def test_a_listing_has_the_columns_that_are_given(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    labels = [Label("a.jpg", "rust", "Rust")]
    write_listing(tmp_path / "plain", labels, tmp_path, 1)
    assert files.read_rows(tmp_path / "plain/labels.csv") == [{"image_id": "a.jpg", "label": "rust", "name": "Rust"}]
    write_listing(tmp_path / "known", [labels[0]._replace(given_group="p1", given_fold="2")], tmp_path, 1)
    [row] = files.read_rows(tmp_path / "known/labels.csv")
    assert set(row) - {"image_id", "label", "name"} == {"given_group", "given_fold"} <= set(FACTS)
