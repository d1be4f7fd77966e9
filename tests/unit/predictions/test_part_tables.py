"""The tables of a fold's predictions: which photos each part has."""

import numpy as np
import pytest
from photo_tables import names, write

from manihot.core import files
from manihot.core.tables import read_photos
from manihot.predictions.parts import part_tables
from manihot.splits.folds import Fold


@pytest.fixture
def tables(tmp_path):
    """A function that reads a fold, and the split."""
    write(tmp_path)
    split = read_photos(tmp_path / "split.csv")
    return lambda number: Fold.read(number, tmp_path / "sample.csv", tmp_path / "split.json"), split


def test_the_tables_of_a_fold(tables):
    fold, split = tables
    asked = []

    def predict(part, photos):
        asked.append((part, names(photos)))
        return np.tile(np.float32([0.25, 0.75]), (len(photos), 1))

    made = part_tables(fold(2), split, predict)
    assert {part: names(table) for part, table in made.items()} == {
        "train": ["leaves/1.jpg", "needles/1.jpg"],
        "validation": ["leaves/3.jpg", "leaves/NA"],
        "test": ["leaves/4.jpg"],
        "test_as_found": ["leaves/5.jpg"],
    }
    assert asked == [(part, names(table)) for part, table in made.items()]
    for table in made.values():
        assert table.columns.tolist() == ["dataset", "image_id", "label", "fold", "p0", "p1"]
        assert (table["fold"] == 2).all() and np.allclose(table[["p0", "p1"]], [0.25, 0.75])


def test_the_refit_has_no_validation_and_an_empty_part_only_its_header(tables, tmp_path):
    fold, split = tables
    made = part_tables(fold(0), split, lambda part, photos: np.full((len(photos), 2), 0.5))
    assert names(made["train"]) == names(fold(0).sample)
    files.write_table(tmp_path / "validation.csv", made["validation"])
    assert (tmp_path / "validation.csv").read_text() == "dataset,image_id,label,fold,p0,p1\n"
