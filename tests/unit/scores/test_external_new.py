"""A model on labelled photos in a folder says of them what it says of a data set of its study file."""

import numpy as np
import pandas as pd
import pytest

from manihot.applied.answers import Answering
from manihot.core.errors import StudyError
from manihot.scores.external import Asked
from manihot.scores.external_new import Labelled, evaluate

CLASSES = [{"label": label, "name": f"{label} leaf"} for label in "ab"]
MODEL = {"name": "net", "kind": "network", "classes": CLASSES}
ANSWERING = Answering(["a", "b"], [[0.5, 0.5], [0.8, 0.2]], 1.0, {"a": 0.5, "b": 0.5}, None)
ASKED = Asked(0.9, 1, 100)
# Two photos of plant p1, one each of rust and of other; e.jpg cannot be opened, f.jpg has no label, g.jpg is not there.
LABELS = pd.DataFrame(
    {"image_id": [f"{n}.jpg" for n in "abcdeg"], "label": ["a", "a", "rust", "other", "a", "a"], "site": ""}
).assign(given_group=["p1", "p1", "", "", "", ""])
TOLD = pd.DataFrame({"image_id": [f"{n}.jpg" for n in "fedcba"], "problem": ["", "empty file", "", "", "", ""]})
# Of f, d, c, b and a, from two members.
OWN = np.float32([[[0.5, 0.5], [0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]]] * 2)
MAP = {"a": "a", "rust": "b", "other": None}
NO_COPIES = pd.DataFrame({"image_id": [], "copy_of": [], "kind": []}, dtype="str")


def own_test(fold):
    keys = {"dataset": "leaves", "image_id": [f"{n}.jpg" for n in range(4)], "label": list("aabb"), "fold": fold}
    return pd.DataFrame(keys).assign(p0=[0.9, 0.8, 0.2, 0.6], p1=[0.1, 0.2, 0.8, 0.4])


def test_photos_are_found_by_their_names_and_stand_beside_the_own_test():
    catalogs = own_test(1)[["dataset", "image_id", "label"]].assign(group=range(4), given_group="", site="")
    told = TOLD.assign(unlike=[99.0, np.nan, 98.0, 10.0, 20.0, 96.0])
    new = Labelled(LABELS, told, OWN, NO_COPIES, MAP)
    found = evaluate(MODEL, ANSWERING, new, {"test": [own_test(1), own_test(2)]}, catalogs, ASKED)
    assert (found["model"], found["kind"], found["own_part"]) == ("net", "network", "test")
    photos = found["photos"]
    assert photos["photos"] == {"a": 2, "b": 1} and photos["left_out"] == {"other": 1}
    assert (photos["listed"], photos["set_aside"], photos["unlabelled"], photos["compared"]) == (6, 2, 1, True)
    # The two of a plant are one group; a, b and c are right, by the first member at least.
    assert (found["tried"]["n"], found["tried"]["groups"], found["own"]["n"]) == (3, 2, 4)
    assert found["tried"]["metrics"]["log_loss"]["value"] == pytest.approx(
        -np.mean([np.log((p + q) / 2) for p, q in [(0.6, 0.6 / 4 / (0.6 / 4 + 0.4)), (0.7, 0.7 / 4 / (0.7 / 4 + 0.3)),
                                                   (0.8, 0.8 / (0.8 + 0.2 / 4))]])
    )  # fmt: skip
    # Of a, b and c.
    assert found["unlike"] == {"n": 3, "limit": 95.0, "median": 20.0, "far": pytest.approx(1 / 3)}
    assert found["tried"]["sets"] is None and found["difference"]["accuracy"]["value"] is not None


def test_without_the_study_s_photos_copies_and_its_test_are_not_known():
    found = evaluate(MODEL, ANSWERING, Labelled(LABELS, TOLD, OWN, None, MAP), {"test": [own_test(1)]}, None, ASKED)
    assert found["own"] is None and found["own_part"] is None and found["photos"]["compared"] is False
    assert found["unlike"] is None


def test_copies_of_the_study_s_photos_are_left_out():
    copies = pd.DataFrame(
        {"image_id": ["a.jpg", "d.jpg"], "copy_of": ["leaves/1.jpg", "needles/a/2.jpg"], "kind": "exact"}
    )
    found = evaluate(MODEL, ANSWERING, Labelled(LABELS, TOLD, OWN, copies, MAP), {}, None, ASKED)["photos"]
    # That of the label that is left out does not count.
    assert found["copied"] == 1 and found["copies"] == {"leaves": 1, "needles": 0}
    assert found["photos"] == {"a": 1, "b": 1}


def test_a_copy_of_what_the_model_s_own_split_has_not_is_new_to_it():
    copies = pd.DataFrame(
        {"image_id": ["a.jpg", "b.jpg"], "copy_of": ["leaves/1.jpg", "theirs/2.jpg"], "kind": "exact"}
    )
    beside = {"test": [own_test(1), own_test(2)]}
    found = evaluate(MODEL, ANSWERING, Labelled(LABELS, TOLD, OWN, copies, MAP), beside, None, ASKED)["photos"]
    assert found["copied"] == 1 and found["copies"] == {"leaves": 1}


def test_labels_that_are_no_classes_are_refused():
    with pytest.raises(StudyError, match="CLASSES: the label other is no class: name every label"):
        evaluate(MODEL, ANSWERING, Labelled(LABELS, TOLD, OWN, None, None), {}, None, ASKED)
