"""The tables between stages: read, joined, and their columns."""

import numpy as np
import pandas as pd
import pytest

from manihot.core import tables
from manihot.core.errors import StudyError

SPLIT = """dataset,image_id,label,fold
leaves,1.jpg,007,1
leaves,NA,NA,
"""


def catalog(dataset, *image_ids):
    return pd.DataFrame({"dataset": dataset, "image_id": image_ids, "row": range(len(image_ids)), "fold": pd.NA})


def test_labels_and_ids_are_text_and_missing_folds_are_missing(tmp_path):
    (tmp_path / "split.csv").write_text(SPLIT)
    table = tables.read_photos(tmp_path / "split.csv")
    assert table["label"].tolist() == ["007", "NA"] and table["image_id"].tolist() == ["1.jpg", "NA"]
    assert table["fold"].dtype == "Int64" and table["fold"].isna().tolist() == [False, True]
    both = tables.read_catalogs([tmp_path / "split.csv"] * 2)
    assert both["image_id"].tolist() == ["1.jpg", "NA"] * 2 and both.index.tolist() == [0, 1, 2, 3]


def test_photos_are_located_in_their_order():
    catalogs = pd.concat([catalog("leaves", "a", "b", "c"), catalog("needles", "b")])
    keys = [("needles", "b"), ("leaves", "c"), ("leaves", "b"), ("leaves", "c")]
    photos = pd.DataFrame(keys, columns=["dataset", "image_id"], index=[7, 7, 1, 0]).assign(row="mine")
    located = tables.locate(photos, catalogs, ["row", "fold"])
    assert list(located.columns) == ["dataset", "image_id", "row", "fold"] and located.index.tolist() == [0, 1, 2, 3]
    assert list(zip(located["dataset"], located["image_id"], strict=True)) == keys
    assert located["row"].tolist() == [0, 2, 1, 2] and located["row"].dtype == np.int64
    assert tables.locate(photos[:0], catalogs, ["row"]).empty


def test_a_photo_of_no_catalog_is_told():
    photos = pd.DataFrame({"dataset": ["leaves", "needles"], "image_id": "a"})
    with pytest.raises(StudyError, match="photo a of needles is in no catalog: run the split again"):
        tables.locate(photos, catalog("leaves", "a"), ["row"])


def test_a_photo_twice_in_the_catalogs_is_refused():
    photos = catalog("leaves", "a")
    with pytest.raises(pd.errors.MergeError):
        tables.locate(photos, pd.concat([photos, photos]), ["row"])


def test_a_history_begins_with_its_step():
    epochs, rounds = map(tables.history_columns, ("epoch", "round"))
    assert epochs[0] == "epoch" and rounds[0] == "round" and epochs[1:] == rounds[1:]


def test_probabilities_are_in_the_order_of_the_classes():
    table = pd.DataFrame({"p1": [1, 0], "fold": [1, 2], "p0": [0, 1], "p10": [5, 5]})
    assert tables.probability_columns(3) == ["p0", "p1", "p2"]
    given = tables.probabilities(table, 3)
    assert given.dtype == np.float64 and given.tolist() == [[0, 1, 0], [1, 0, 0]]
    assert np.isnan(tables.probabilities(table.assign(p0=np.nan), 2)[:, 0]).all()
    assert tables.probabilities(table[:0], 3).shape == (0, 3)
