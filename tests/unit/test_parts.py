"""Which photos a fold trains on, and the tables of its predictions."""

import numpy as np
import pytest

from manihot import files, parts
from manihot.errors import StudyError

SPLIT = """dataset,image_id,label,group,role,fold
leaves,1.jpg,007,0,pool,1
leaves,2.jpg,NA,1,pool,1
leaves,3.jpg,007,2,pool,2
leaves,NA,NA,3,pool,2
needles,1.jpg,NA,4,pool,0
leaves,4.jpg,007,5,test,2
leaves,5.jpg,NA,6,test_as_found,
leaves,6.jpg,NA,7,unused,
"""
DRAW = """dataset,image_id,label,fold
leaves,1.jpg,007,1
leaves,3.jpg,007,2
leaves,NA,NA,2
needles,1.jpg,NA,0
"""


@pytest.fixture
def tables(tmp_path):
    for name, text in (("split", SPLIT), ("draw", DRAW)):
        (tmp_path / f"{name}.csv").write_text(text)
    return parts.read_photos(tmp_path / "draw.csv"), parts.read_photos(tmp_path / "split.csv")


def names(table):
    return (table["dataset"] + "/" + table["image_id"]).tolist()


def test_labels_and_ids_are_text_and_missing_folds_are_missing(tables):
    _, split = tables
    assert split["label"].tolist()[:2] == ["007", "NA"]
    assert split["image_id"].iloc[3] == "NA"
    assert split["fold"].isna().tolist() == [False] * 6 + [True] * 2


def test_a_fold_trains_on_the_others_and_is_validated_on_its_own(tables):
    draw, _ = tables
    assert names(parts.training_rows(draw, 1)) == ["leaves/3.jpg", "leaves/NA", "needles/1.jpg"]
    assert names(parts.validation_rows(draw, 1)) == ["leaves/1.jpg", "needles/1.jpg"]
    assert names(parts.training_rows(draw, 0)) == names(draw)
    assert names(parts.validation_rows(draw, 0)) == []


def test_the_tables_of_a_fold(tables):
    draw, split = tables
    asked = []

    def predict(photos):
        asked.append(names(photos))
        return np.tile(np.float32([0.25, 0.75]), (len(photos), 1))

    made = parts.part_tables(draw, split, 2, ["007", "NA"], predict)
    assert {part: names(table) for part, table in made.items()} == {
        "train": ["leaves/1.jpg", "needles/1.jpg"],
        "validation": ["leaves/3.jpg", "leaves/NA"],
        "test": ["leaves/4.jpg"],
        "test_as_found": ["leaves/5.jpg"],
    }
    assert asked == [names(table) for table in made.values()]
    for table in made.values():
        assert table.columns.tolist() == ["dataset", "image_id", "label", "fold", "p0", "p1"]
        assert (table["fold"] == 2).all() and np.allclose(table[["p0", "p1"]], [0.25, 0.75])


def test_the_refit_has_no_validation_and_an_empty_part_only_its_header(tables, tmp_path):
    draw, split = tables
    made = parts.part_tables(draw, split, 0, ["007", "NA"], lambda photos: np.full((len(photos), 2), 0.5))
    assert names(made["train"]) == names(draw)
    files.write_table(tmp_path / "validation.csv", made["validation"])
    assert (tmp_path / "validation.csv").read_text() == "dataset,image_id,label,fold,p0,p1\n"


def test_targets_are_places_among_the_classes(tables, tmp_path):
    draw, _ = tables
    files.write_json(tmp_path / "record.json", {"classes": [{"label": "NA", "name": "x"}, {"label": "007"}]})
    assert parts.class_labels(tmp_path / "record.json") == ["NA", "007"]
    assert parts.targets(draw, ["NA", "007"]).tolist() == [1, 1, 0, 0]
    with pytest.raises(StudyError, match=r"photo NA of leaves has the label 'NA'"):
        parts.targets(draw, ["007"])


def test_a_changed_fit_is_noticed(tmp_path):
    path, model = tmp_path / "w.safetensors", tmp_path / "m.json"
    path.write_bytes(b"weights")
    files.write_json(model, {"sha256": files.sha256(path)})
    assert parts.fitted(path, model) == b"weights"
    for damage in (lambda: path.write_bytes(b"weighty"), path.unlink, lambda: model.write_text("{")):
        damage()
        with pytest.raises(StudyError, match=r"w\.safetensors is missing or damaged: delete it and .*m\.json"):
            parts.fitted(path, model)
        path.write_bytes(b"weights")
