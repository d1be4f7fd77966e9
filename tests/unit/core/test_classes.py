"""The order of classes and their titles."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manihot.core.classes import class_order, class_title, full_title, map_labels
from manihot.core.errors import StudyError

labels = st.lists(st.text(max_size=4) | st.integers(-200, 200).map(str) | st.sampled_from(["007", "7", "-0", "0", "٣"]))


@given(labels, st.randoms())
def test_the_order_is_that_of_the_labels_alone(given_labels, random):
    ordered = class_order(given_labels)
    assert sorted(ordered) == sorted(given_labels)
    assert ordered == class_order(ordered[::-1])
    random.shuffle(given_labels)
    assert class_order(given_labels) == ordered
    numbers = [label for label in ordered if re.fullmatch(r"-?\d+", label)]
    texts = ordered[len(numbers) :]
    assert ordered == numbers + texts
    assert numbers == sorted(numbers, key=lambda label: (int(label), label))
    assert texts == sorted(texts)


@pytest.mark.parametrize(
    ("given_labels", "ordered"),
    [
        (["10", "9", "-1"], ["-1", "9", "10"]),
        (["b", "B", "a"], ["B", "a", "b"]),
        (["a", "10", "2"], ["2", "10", "a"]),
        (["7", "007", "8"], ["007", "7", "8"]),
        (["9" * 40, "1" + "0" * 39 + "1", "1" + "0" * 40], ["9" * 40, "1" + "0" * 40, "1" + "0" * 39 + "1"]),
    ],
    ids=["numbers", "text", "both", "the same number", "beyond what a float tells apart"],
)
def test_numbers_come_by_value_and_before_text(given_labels, ordered):
    assert class_order(given_labels) == ordered


@pytest.mark.parametrize(
    ("label", "name", "short", "full"),
    [
        ("0", "Cassava Bacterial Blight (CBB)", "0 CBB", "0 Cassava Bacterial Blight (CBB)"),
        ("1", "healthy", "1 healthy", "1 healthy"),
        ("rust", "rust", "rust", "rust"),
        ("2", "a name of many letters", "2 a name of many …", "2 a name of many letters"),
    ],
)
def test_a_class_is_called_by_label_and_name(label, name, short, full):
    assert class_title(label, name) == short and full_title(label, name) == full


def test_labels_of_other_photos_are_classes_as_they_are_named():
    given = {"mosaic": "3", "spot": None, "10": "2", "9": "2"}
    found = map_labels(given, {"spot", "mosaic", "9", "10"}, ["2", "3"], "here")
    assert found == {"9": "2", "10": "2", "mosaic": "3", "spot": None} and list(found)[:2] == ["9", "10"]
    assert map_labels(None, {"3", "2"}, ["1", "2", "3"], "here") == {"2": "2", "3": "3"}


@pytest.mark.parametrize(
    ("given", "labels", "said"),
    [
        (None, {"2", "spot"}, "here: the label spot is no class: name every label, and of each its class (2, 3), or null"),
        ({"2": "2"}, {"2", "spot"}, "here: the label spot is not named: name it, and its class (2, 3), or null"),
        # A label that is a class is named like the others.
        ({"spot": None}, {"3", "spot"}, "here: the label 3 is not named"),
        ({"spot": "2", "sopt": None}, {"spot"}, "here.sopt: no photo has this label; did you mean spot?"),
        ({"spot": "4"}, {"spot"}, "here.spot: 4 is no class; there are 2, 3"),
        ({"spot": None}, {"spot"}, "here: leaves out every label: give one of them its class"),
    ],
)  # fmt: skip
def test_a_map_of_labels_that_cannot_be_right_is_refused(given, labels, said):
    with pytest.raises(StudyError) as refused:
        map_labels(given, labels, ["3", "2"], "here")
    assert str(refused.value).startswith(said)
