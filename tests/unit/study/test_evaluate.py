"""`make evaluate`: which labels a folder's photos have, which classes these are, and what is refused in a line."""

import contextlib
from pathlib import Path

import pytest
import small_study

from manihot.applied.request import Request
from manihot.core import files
from manihot.core.errors import StudyError
from manihot.study import evaluate


def photos(folder: Path, *names: str) -> Path:
    """Files of these names in a folder; nobody opens them."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_a_labels_file_has_labels_plants_and_sites(tmp_path):
    (tmp_path / "labels.csv").write_text(
        "image_id,label,Plant,site,plot\na.jpg,3,p1,north,\nb.jpg,3,p1,north,1\nc.jpg,3,p2,south,2\n"
    )
    found = evaluate.labels_of(tmp_path, tmp_path / "labels.csv")
    # A single label will do: it is said which column has it.
    assert [(label.image_id, label.label, label.given_group, label.site) for label in found] == [
        ("a.jpg", "3", "p1", "north"), ("b.jpg", "3", "p1", "north"), ("c.jpg", "3", "p2", "south"),
    ]  # fmt: skip


def test_sub_folders_are_labels_and_a_labels_file_may_call_its_columns_otherwise(tmp_path):
    folder = photos(tmp_path / "photos", "rust/a.jpg", "fine/b.jpg")
    assert [(label.image_id, label.label) for label in evaluate.labels_of(folder, None)] == [
        ("fine/b.jpg", "fine"), ("rust/a.jpg", "rust"),
    ]  # fmt: skip
    # The photos lie in a folder of their own below the one that is asked about: names are as seen from that one.
    other = photos(tmp_path / "other", *(f"images/{n}.jpg" for n in range(6)))
    rows = "".join(f"{n}.jpg,{'ab'[n % 2]}\n" for n in range(6))
    (other / "table.csv").write_text(f"file,disease\n{rows}")
    assert [label.image_id for label in evaluate.labels_of(other, None)] == [f"images/{n}.jpg" for n in range(6)]


def test_labels_are_listed_for_the_jobs(tmp_path):
    photos(tmp_path / "photos", "rust/a.jpg")
    (tmp_path / "out").mkdir()
    asked = Request("../photos", "../model", labels="")
    evaluate.write_labels(asked, tmp_path / "out", tmp_path / "written")
    assert files.read_rows(tmp_path / "written/listing/labels.csv") == [
        {"image_id": "rust/a.jpg", "label": "rust", "given_group": "", "site": ""}
    ]


def test_a_map_has_a_class_or_null_for_each_label(tmp_path):
    (tmp_path / "map.yaml").write_text('mosaic: "3"\n4: 4\nbrown spot: null\n')
    assert evaluate.read_map(tmp_path / "map.yaml") == {"mosaic": "3", "4": "4", "brown spot": None}
    (tmp_path / "map.yaml").write_text("mosaic: [3]\n")
    with pytest.raises(StudyError, match="map.yaml: mosaic: must be the label of a class, or null"):
        evaluate.read_map(tmp_path / "map.yaml")
    with pytest.raises(StudyError, match="none.yaml: no such file: give a map of labels as CLASSES"):
        evaluate.read_map(tmp_path / "none.yaml")
    (tmp_path / "map.yaml").write_text("- mosaic\n")
    with pytest.raises(StudyError, match="map.yaml: must hold lines such as"):
        evaluate.read_map(tmp_path / "map.yaml")


def test_what_cannot_be_right_ends_in_one_line_before_anything_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with contextlib.chdir(tmp_path):
        small_study.make()
        small_study.network("net")
        small_study.answer("net", "network")
    folder = photos(tmp_path / "field", "9/a.jpg", "rust/b.jpg")
    (tmp_path / "map.yaml").write_text("9: 9\nrust: blight\n")
    asked = [str(folder), "--model", "net", "--out", str(tmp_path / "out")]
    for more, said in [
        ([], "error: CLASSES: the label rust is no class: name every label, and of each its class (9, 10, é), or null"),
        (["--classes", "map.yaml"], "error: map.yaml.rust: blight is no class; there are 9, 10, é"),
        (["--labels", "lost.csv"], "error: lost.csv: no such file"),
        (["--model", "nett"], "error: results/models/nett holds no model"),
    ]:
        assert evaluate.main([*asked, *more]) == 1
        line = capsys.readouterr().err.strip()
        assert line.startswith(said) and "\n" not in line
    assert not Path("out").exists()
