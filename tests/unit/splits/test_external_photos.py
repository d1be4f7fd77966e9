"""Other people's photos: those with a class, and none that the study has too."""

import pandas as pd
import pytest

from manihot.core.errors import StudyError
from manihot.splits.external import external_photos

KNOWN = [{"label": label, "name": label} for label in "12"]
MAP = {"mosaic": "1", "spot": "2", "other": None}


@pytest.fixture
def catalog():
    """Ten photos of three labels; 1.jpg and 2.jpg show the same picture, 9.jpg is damaged."""
    labels = ["mosaic"] * 4 + ["spot"] * 3 + ["other"] * 3
    table = pd.DataFrame({"dataset": "theirs", "image_id": [f"{n}.jpg" for n in range(10)], "label": labels})
    return table.assign(status=["ok"] * 9 + ["damaged"], copies=[0, 1, 1, *range(3, 10)])


def pairs(*names):
    return pd.DataFrame({"image_id_a": "a.jpg", "image_id_b": list(names), "label_a": "1", "label_b": "x"})


def test_labels_become_classes_and_some_are_left_out(catalog):
    photos, record = external_photos(catalog, MAP, [KNOWN], {"leaves": pairs()}, "here")
    assert list(photos) == ["dataset", "image_id", "label", "given"]
    assert list(photos["label"]) == ["1"] * 4 + ["2"] * 3 and list(photos["given"]) == ["mosaic"] * 4 + ["spot"] * 3
    assert record == {
        "dataset": "theirs", "listed": 10, "set_aside": 1, "left_out": {"other": 2}, "copies": {"leaves": 0},
        "copied": 0, "photos": {"1": 4, "2": 3}, "classes": {"mosaic": "1", "other": None, "spot": "2"},
    }  # fmt: skip


def test_copies_of_the_study_s_photos_and_their_copies_are_left_out_and_counted(catalog):
    """2.jpg is a copy of a photo of the study, so 1.jpg, a copy of that, is one too; 4.jpg is a copy in two data sets."""
    found = {"leaves": pairs("2.jpg", "4.jpg", "7.jpg"), "needles": pairs("4.jpg")}
    photos, record = external_photos(catalog, MAP, [KNOWN], found, "here")
    assert list(photos["image_id"]) == ["0.jpg", "3.jpg", "5.jpg", "6.jpg"]
    assert record["copies"] == {"leaves": 3, "needles": 1} and record["copied"] == 3
    with pytest.raises(StudyError, match="here: no photo is left: all that have a class are copies"):
        external_photos(catalog, MAP, [KNOWN], {"leaves": pairs(*catalog["image_id"])}, "here")


def test_a_class_must_be_known_to_every_split_whose_models_are_tried(catalog):
    with pytest.raises(StudyError, match=r"here.spot: 2 is no class; there are 1"):
        external_photos(catalog, MAP, [KNOWN, KNOWN[:1]], {}, "here")
    photos, record = external_photos(catalog, MAP, [KNOWN, [*KNOWN, {"label": "3", "name": "new"}]], {}, "here")
    assert len(photos) == 7 and record["copied"] == 0
