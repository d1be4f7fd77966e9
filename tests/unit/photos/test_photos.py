"""Label files, folders of classes and listings."""

import json
import os
import unicodedata
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.photos.facts import Label
from manihot.photos.labels import check_id, folder_labels, read_labels, shard_of, stamp, write_listing


def written(folder: Path, content: str | bytes, name: str = "train.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def pairs(labels: list[Label]) -> list[tuple[str, str]]:
    return [(label.image_id, label.label) for label in labels]


PLAIN = [("b.jpg", "3"), ("a.jpg", "10")]


@pytest.mark.parametrize(
    "content",
    [
        "image_id,label\nb.jpg,3\na.jpg,10\n",
        "\ufeffimage_id,label\r\nb.jpg,3\r\na.jpg,10\r\n",
        "image_id;label\nb.jpg;3\na.jpg;10",
        "label\timage_id\n3\tb.jpg\n10\ta.jpg\n",
        '"image_id", "label"\n"b.jpg", "3"\n\n"a.jpg", 10 \n',
        "image_id,label\rb.jpg,3\ra.jpg,10\r",
        "\nimage_id,label,remark\nb.jpg,3,\na.jpg,10,x,\n",
    ],
    ids=["plain", "bom-crlf", "semicolon", "tab", "quoted", "cr", "more-columns"],
)
def test_forms_of_a_labels_file(tmp_path: Path, content: str) -> None:
    assert pairs(read_labels(written(tmp_path, content))) == PLAIN


def test_a_separator_within_names_does_not_mislead(tmp_path: Path) -> None:
    path = written(tmp_path, "image_id;label\nleaf, old.jpg;rust, brown\n")
    assert pairs(read_labels(path)) == [("leaf, old.jpg", "rust, brown")]


def test_accents_stay_as_they_are_written(tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, "été 葉.jpg") for form in ("NFC", "NFD")]
    path = written(tmp_path, "image_id,label\n" + "".join(f"{name},Gesund ä\n" for name in names))
    assert [label.image_id for label in read_labels(path)] == names


def test_columns_prefix_names_and_selection(tmp_path: Path) -> None:
    path = written(tmp_path, "image,species\nimages/1.jpg,oak\nimages/2.jpg,pine\nimages/3.jpg,elm\n")
    names = written(tmp_path, json.dumps({"oak": "Quercus", "pine": "Pinus"}), "names.json")
    labels = read_labels(path, "image", "species", "images/", names, only=["elm", "oak"])
    assert labels == [Label("1.jpg", "oak", "Quercus"), Label("3.jpg", "elm", "elm")]
    table = written(tmp_path, "name;label\nQuercus;oak\n;pine\n", "names.csv")
    assert [label.name for label in read_labels(path, "image", "species", "images/", table)] == [
        "Quercus",
        "pine",
        "elm",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "train.csv: the file is empty"),
        ("image_id,label\n", "train.csv: no rows below the header"),
        ("image,label\na.jpg,1\n", "row 1: no column 'image_id', but 'image, label': did you mean 'image'?"),
        ("image_id,label,label\na,1,2\n", "row 1: two columns 'label'"),
        (
            "image_id,label\na.jpg,1\nb.jpg,2\na.jpg,2\n",
            "rows 2 and 4: 'a.jpg' is listed with two labels, '1'",
        ),
        ("image_id,label\na.jpg,1\n\na.jpg,1\n", "rows 2 and 4: 'a.jpg' is listed twice"),
        ("image_id,label\na.jpg,1\nb.jpg,\n", "row 3: no label for 'b.jpg'"),
        ("image_id,label\n,1\n", "row 2: nothing in column 'image_id'"),
        ("image_id,label\na.jpg\n", "row 2: 1 fields, but the header has 2"),
        ("image_id,label\nleaf, old.jpg,1\n", "row 2: 3 fields, but the header has 2: quote"),
        ('image_id,label\n"a.jpg,1\nb.jpg,2\n', "from row 1 on: not CSV"),
        ('"image_id,label\n' + "a.jpg,1\n" * 20_000, "from row 1 on: not CSV"),
        (b"image_id,label\na.jpg,1\n\xe9.jpg,1\n", "row 3: not UTF-8"),
        ("image_id,label\na.jpg,1\n../../x,1\n", "row 3: '../../x' is not a plain path"),
    ],
)
def test_bad_files_name_the_row_in_one_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        read_labels(written(tmp_path, content))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prefix": "imgs/"}, "no image id begins with 'imgs/', the first is 'images/1.jpg'"),
        ({"only": ["fir"]}, "no photo has label 'fir' of `only`; there are 'oak, pine'"),
        ({"class_names": "gone.json"}, "gone.json: no such file"),
        ({"class_names": "list.json"}, "list.json: not an object of names by label"),
        ({"class_names": "broken.json"}, "broken.json: not JSON"),
        ({"class_names": "other.json"}, "`class_names` names none of its labels, 'oak, pine'"),
    ],
)
def test_bad_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in [("list.json", '["oak"]'), ("broken.json", "{"), ("other.json", '{"0": "Oak"}')]:
        written(tmp_path, content, name)
    path = written(tmp_path, "image_id,label\nimages/1.jpg,oak\nimages/2.jpg,pine\n")
    with pytest.raises(StudyError, match=message.replace(".", r"\.")):
        read_labels(path, **arguments)  # type: ignore[arg-type]


def test_a_labels_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no such file"):
        read_labels(tmp_path / "gone.csv")
    with pytest.raises(StudyError, match="cannot be read"):
        read_labels(tmp_path)


def test_a_folder_a_class(tmp_path: Path) -> None:
    for name in [
        "brûlé leaf/b 2.JPG",
        "brûlé leaf/a.png",
        "brûlé leaf/notes.txt",
        "ok/x.jpeg",
        ".git/y.jpg",
        "z.jpg",
    ]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        written(tmp_path, "x", name)
    (tmp_path / "ok" / ".hidden.jpg").touch()
    assert folder_labels(tmp_path) == [
        Label("brûlé leaf/a.png", "brûlé leaf", "brûlé leaf"),
        Label("brûlé leaf/b 2.JPG", "brûlé leaf", "brûlé leaf"),
        Label("ok/x.jpeg", "ok", "ok"),
    ]
    assert pairs(folder_labels(tmp_path, only=["ok"])) == [("ok/x.jpeg", "ok")]


def test_folders_without_photos(tmp_path: Path) -> None:
    written(tmp_path, "x", "loose.jpg")
    with pytest.raises(StudyError, match="no photos in its sub-folders"):
        folder_labels(tmp_path)
    with pytest.raises(StudyError, match="no such photo folder"):
        folder_labels(tmp_path / "gone")


@pytest.mark.parametrize("name", [b"back\\slash.jpg", b"not-utf8-\xff.jpg", b"line\nbreak.jpg"])
def test_file_names_that_cannot_be_used_are_said(tmp_path: Path, name: bytes) -> None:
    (tmp_path / "class").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/class/" + name)).touch()
    with pytest.raises(StudyError, match="is not a plain path") as caught:
        folder_labels(tmp_path)
    assert str(caught.value).isprintable()


parts = st.sampled_from(["a", "b.jpg", "é", "..", ".", "...", "", " ", "\\", "\x00", "C:", "..\\x", "~"])


@given(st.lists(parts, min_size=1, max_size=6).map("/".join) | st.text(max_size=12))
def test_no_accepted_id_escapes(image_id: str) -> None:
    try:
        check_id(image_id, "x.csv, row 2")
    except StudyError as error:
        assert str(error).isprintable()
        return
    inside = os.path.normpath(f"/photos/{image_id}")
    assert inside == f"/photos/{image_id}"
    assert inside.startswith("/photos/")
    assert "\\" not in image_id
    image_id.encode()


def listed(target: Path, shards: int) -> list[list[dict[str, str]]]:
    return [files.read_rows(target / f"{shard}.csv") for shard in range(shards)]


ids = st.text("abcé1 ,;\"'", min_size=1, max_size=8).filter(lambda text: text.strip(".") != "")


@settings(max_examples=40, deadline=None)
@given(st.lists(ids, min_size=1, max_size=30, unique=True), st.integers(1, 7))
def test_shards_are_a_partition(tmp_path_factory: pytest.TempPathFactory, names: list[str], shards: int) -> None:
    folder = tmp_path_factory.mktemp("partition")
    (folder / "images").mkdir()
    for name in names[::2]:
        (folder / "images" / name).write_bytes(b"12345")
    write_listing(folder, [Label(name, "1", "1") for name in names], folder / "images", shards)
    tables = listed(folder, shards)
    assert [row["image_id"] for row in files.read_rows(folder / "labels.csv")] == names
    assert sorted(row["image_id"] for table in tables for row in table) == sorted(names)
    for shard, table in enumerate(tables):
        for row in table:
            assert shard == zlib.crc32(row["image_id"].encode()) % shards == shard_of(row["image_id"], shards)
            assert row["bytes"] == ("5" if row["image_id"] in names[::2] else "")


def test_a_listing_holds_sizes_and_times_and_blanks_for_missing(tmp_path: Path) -> None:
    root = tmp_path / "images"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "there.jpg").write_bytes(b"123")
    os.utime(root / "sub" / "there.jpg", ns=(5, 1_234_567_890_123))
    (root / "folder.jpg").mkdir()
    os.mkfifo(root / "pipe.jpg")
    names = ["sub/there.jpg", "gone.jpg", "no/where.jpg", "folder.jpg", "pipe.jpg"]
    write_listing(tmp_path, [Label(name, "0", 'Zero, "0"') for name in names], root, 1)
    blank = [{"image_id": name, "bytes": "", "mtime_ns": ""} for name in names[1:]]
    there = {"image_id": "sub/there.jpg", "bytes": "3", "mtime_ns": "1234567890123"}
    assert listed(tmp_path, 1) == [[there, *blank]]
    assert files.read_rows(tmp_path / "labels.csv")[0] == {
        "image_id": "sub/there.jpg",
        "label": "0",
        "name": 'Zero, "0"',
    }


def test_a_listing_is_written_only_where_it_changed(tmp_path: Path) -> None:
    root = tmp_path / "images"
    root.mkdir()
    labels = [Label(f"{number}.jpg", "0", "0") for number in range(40)]
    for label in labels:
        (root / label.image_id).write_bytes(b"x")
    write_listing(tmp_path, labels, root, 4)

    def inodes() -> dict[str, int]:
        return {path.name: path.stat().st_ino for path in tmp_path.glob("*.csv")}

    before = inodes()
    write_listing(tmp_path, labels, root, 4)
    assert inodes() == before
    (root / "7.jpg").write_bytes(b"longer")
    write_listing(tmp_path, labels, root, 4)
    after = inodes()
    assert {name for name in before if before[name] != after[name]} == {f"{shard_of('7.jpg', 4)}.csv"}


def test_links_may_stay_inside_but_not_leave(tmp_path: Path) -> None:
    root, outside = tmp_path / "images", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "real.jpg").write_bytes(b"123")
    (outside / "secret.jpg").write_bytes(b"1234")
    (root / "alias.jpg").symlink_to("real.jpg")
    (root / "dangling.jpg").symlink_to("gone.jpg")
    (tmp_path / "linked").symlink_to(root)
    inside = [Label(name, "0", "0") for name in ("alias.jpg", "dangling.jpg")]
    write_listing(tmp_path / "listing", inside, tmp_path / "linked", 1)
    assert [row["bytes"] for row in listed(tmp_path / "listing", 1)[0]] == ["3", ""]

    (root / "out.jpg").symlink_to(outside / "secret.jpg")
    (root / "album").symlink_to(outside)
    for name in ("out.jpg", "album/secret.jpg"):
        with pytest.raises(StudyError, match="a link that leaves the photo folder"):
            write_listing(tmp_path / "no", [Label(name, "0", "0")], root, 1)
    assert not (tmp_path / "no").exists()


def test_no_folder_and_no_photos(tmp_path: Path) -> None:
    labels = [Label("a.jpg", "0", "0"), Label("b.jpg", "0", "0")]
    with pytest.raises(StudyError, match="no such photo folder"):
        write_listing(tmp_path, labels, tmp_path / "gone", 1)
    with pytest.raises(StudyError, match="none of the 2 labelled photos .* the first would be 'a.jpg'"):
        write_listing(tmp_path, labels, tmp_path, 1)
    assert not list(tmp_path.iterdir())


def test_stamped_times_follow_the_content(tmp_path: Path) -> None:
    for name, content in [("a", b"1"), ("sub/b", b"1"), ("c", b"2")]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    stamp(tmp_path)
    times = [(tmp_path / name).stat().st_mtime_ns for name in ("a", "sub/b", "c")]
    assert times[0] == times[1] == zlib.crc32(b"1")
    assert times[2] == zlib.crc32(b"2")
