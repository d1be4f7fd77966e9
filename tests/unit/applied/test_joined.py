"""What is said of the answers to new photos: which to look at first, and one answer a plant."""

import pandas as pd
import pytest

from manihot.applied import joined
from manihot.core.errors import StudyError

LABELS = ["9", "10"]
MODEL = {"name": "net", "kind": "network", "classes": [{"label": label, "name": label} for label in LABELS]}


def shard(*rows, **columns):
    ids, first = zip(*rows, strict=True)
    best = [max(p, 1 - p) for p in first]
    answers = ["9" if p >= 0.5 else "10" for p in first]
    table = pd.DataFrame({"image_id": ids, "answer": answers, "probability": best})
    return table.assign(p0=first, p1=[1 - p for p in first], problem="", **columns)


def test_answers_are_sorted_and_problems_apart():
    one, other = shard(("b", 0.9), ("d", 0.2)), shard(("a", 0.4))
    bad = pd.DataFrame({"image_id": ["c"], "problem": ["empty file"], "answer": [""]})
    found = joined.join([one, bad, other], LABELS, 99)
    assert list(found.predictions["image_id"]) == ["a", "b", "d"] and list(found.predictions["answer"]) == [
        "10",
        "9",
        "10",
    ]
    assert list(found.predictions) == ["image_id", "answer", "probability", "review", "p0", "p1"]
    assert found.problems.to_dict("records") == [{"image_id": "c", "problem": "empty file"}] and found.groups is None
    record = joined.record(found, MODEL, {"shares": "equal"}, {".txt": 2})
    assert {key: record["photos"][key] for key in ("listed", "answered", "not_usable")} == {
        "listed": 4, "answered": 3, "not_usable": 1,
    }  # fmt: skip
    assert record["classes"] == {"9": [1, 0], "10": [2, 0]}


def test_a_strange_or_ambiguous_photo_and_a_copy_are_to_be_looked_at_first():
    given = shard(
        ("a", 0.9), ("b", 0.6), ("c", 0.9), ("d", 0.9), set=["9", "9;10", "9", "9"], unlike=[98.0, 99.0, 99.5, 1.0]
    )
    copies = pd.DataFrame({"image_id": ["d"], "copy_of": ["leaves/1.jpg"]})
    found = joined.join([given], LABELS, 99, copies=copies)
    assert list(found.predictions["review"]) == [
        "",
        "2 classes possible",
        "none of these",
        "copy of a photo of the study",
    ]
    assert list(found.predictions["copy_of"]) == ["", "", "", "leaves/1.jpg"]
    assert joined.record(found, MODEL, {}, {})["classes"] == {"9": [4, 3], "10": [0, 0]}


def test_a_plant_has_one_answer_of_all_its_photos():
    given = shard(("p1_a", 0.6), ("p1_b", 0.6), ("p1_c", 0.1), ("p2_a", 0.8), ("other", 0.3))
    found = joined.join([given], LABELS, 99, r"^(p\d)_")
    assert list(found.predictions["group"]) == ["", "p1", "p1", "p1", "p2"]
    plants = found.groups.set_index("group")
    assert list(plants.index) == ["p1", "p2"] and list(plants["photos"]) == [3, 1]
    # Two of three say 9, and are less sure of it than the third is of 10.
    assert plants.loc["p1", "answer"] == "10" and plants.loc["p1", "agree"] == 1
    assert plants.loc["p1", "probability"] == pytest.approx((0.4 + 0.4 + 0.9) / 3)
    with pytest.raises(StudyError, match="finds no plant in any path; the first is 'other'"):
        joined.join([given], LABELS, 99, r"plant(\d)")


def test_no_photo_at_all_can_be_used():
    bad = pd.DataFrame({"image_id": ["c"], "answer": [""], "probability": [float("nan")], "p0": [float("nan")]})
    found = joined.join([bad.assign(p1=float("nan"), problem="empty file")], LABELS, 99, "(.)")
    assert len(found.predictions) == 0 and len(found.problems) == 1 and len(found.groups) == 0
    assert joined.record(found, MODEL, {}, {})["photos"]["answered"] == 0
