"""Could it cheat? Facts that tell the label are found, in words; chance, tests and the label's own name are not."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manihot.core.errors import StudyError
from manihot.scores import fact_model, facts, probes

CLASSES = [{"label": label, "name": label} for label in ("Blight", "Gray_Leaf_Spot", "Healthy")]


def photos(n=240, seed=0, **columns):
    """A split and its catalog: photos of three classes in turn, in two folds; the last sixth are tested."""
    random = np.random.default_rng(seed)
    labels = [CLASSES[index % 3]["label"] for index in range(n)]
    ids = [f"{index:04}.jpg" for index in range(n)]
    table = pd.DataFrame({"dataset": "leaves", "image_id": ids, "label": labels})
    catalog = table.assign(
        width=800, height=600, mode="RGB", bytes=random.integers(50_000, 90_000, n), camera="", taken="", group=range(n), given_group="", site="",
    ).assign(**columns)  # fmt: skip
    role = np.where(np.arange(n) < n * 5 // 6, "pool", "test")
    fold = pd.array(np.where(role == "pool", np.arange(n) // 3 % 2 + 1, 0), "Int64")
    split = catalog[["dataset", "image_id", "label", "group"]].assign(role=role, fold=fold)
    split.loc[split["role"] == "test", "fold"] = pd.NA
    return split, catalog


def probe(split, catalog):
    found, predictions = probes.probe_facts(split, catalog, CLASSES, majority="Blight", seed=1, resamples=100)
    return {entry["key"]: entry for entry in found["facts"]}, found, predictions


def by_class(healthy, other, n=240):
    return [healthy if index % 3 == 2 else other for index in range(n)]


def test_photos_that_differ_in_nothing_but_chance_are_not_suspicious():
    told, found, predictions = probe(*photos())
    assert set(told) == {"bytes"} and told["bytes"]["sentence"] is None
    assert found["alike"] == ["width and height", "colour mode", "file ending", "pattern of the file's name"]
    assert found["unknown"] == ["camera", "day", "hour of the day", "folder", "site"]
    reached = found["score"]["metrics"]["balanced_accuracy"]
    assert reached["low"] < 1 / 3 < reached["high"]
    assert found["photos"] == found["score"]["n"] == len(predictions) == 200


def test_a_day_that_is_the_class_s_own_is_found_and_said():
    told, found, _ = probe(*photos(taken=by_class("2019-05-03T14", "2019-06-01T09")))
    assert told["day"]["share"] == pytest.approx(told["hour"]["share"]) and 0.5 < told["day"]["share"] < 0.7
    assert told["day"]["sentence"] == (
        "The day tells 58\u00a0% of the label: all 66 photos of “Healthy” are of 2019-05-03, and none of the others."
    )
    assert found["score"]["metrics"]["balanced_accuracy"]["low"] > 0.5
    assert found["score"]["per_class"][2]["recall"] == 1


def test_a_day_of_the_tests_alone_is_not_looked_at():
    split, catalog = photos()
    catalog["taken"] = np.where(
        (split["role"] == "test") & (split["label"] == "Healthy"), "2019-05-03T14", "2019-06-01T09"
    )
    told, found, _ = probe(split, catalog)
    assert "day" not in told and "day" in found["alike"]


def test_a_value_that_is_of_one_class_is_said_the_other_way_round():
    cameras = ["Canon" if index % 12 == 0 else "Nikon" for index in range(240)]
    told, *_ = probe(*photos(camera=cameras))
    assert told["camera"]["sentence"] == (
        "The camera tells 9\u00a0% of the label: all 17 photos that were taken with Canon are of “Blight”, and 34\u00a0% of "
        "all photos."
    )


def test_the_row_order_does_not_matter():
    split, catalog = photos(taken=by_class("2019-05-03T14", ""), camera=list("abcde") * 48)
    first = probe(split, catalog)
    again = probe(split.sample(frac=1, random_state=1), catalog.sample(frac=1, random_state=2))
    assert first[1] == again[1] and first[2].equals(again[2])


def test_a_new_class_s_photos_in_every_fold_are_learned_from_and_not_predicted():
    split, catalog = photos()
    split.loc[split["label"] == "Healthy", "fold"] = 0
    _, _, predictions = probe(split, catalog)
    assert set(predictions["label"]) == {"Blight", "Gray_Leaf_Spot"} and predictions["p2"].max() > 0


def test_an_old_catalog_without_cameras_will_do():
    split, catalog = photos()
    _, found, _ = probe(split, catalog.drop(columns=["camera", "taken"]))
    assert "camera" in found["unknown"]
    with pytest.raises(StudyError, match="in no catalog"):
        probe(split, catalog[1:])


def test_a_site_counts_where_the_catalog_has_one():
    told, *_ = probe(*photos(site=by_class("Kibaha", "Kigoma")))
    assert told["site"]["sentence"].endswith(
        "all 66 photos of “Healthy” are of the site Kibaha, and none of the others."
    )


def named(names):
    split, catalog = photos(len(names))
    return split.assign(image_id=names), catalog.assign(image_id=names)


def test_a_folder_and_a_name_that_spell_the_class_are_the_label_itself():
    spelled = {"Blight": "Corn_Blight", "Gray_Leaf_Spot": "Corn_Gray_Spot", "Healthy": "Corn_Health"}
    names = [f"{CLASSES[i % 3]['label']}/{spelled[CLASSES[i % 3]['label']]} ({i}).jpg" for i in range(240)]
    told, found, _ = probe(*named(names))
    assert not {"folder", "name"} & set(told) and found["score"]["metrics"]["balanced_accuracy"]["high"] < 0.5
    assert found["alike"][-2:] == ["folder", "pattern of the file's name"]


def test_a_deeper_folder_counts_and_one_that_is_the_label_in_other_words_is_not_told_to_the_classifier():
    names = [f"{CLASSES[i % 3]['label']}/{'lab' if i % 3 == 2 else 'field'}/{i}.jpg" for i in range(240)]
    told, found, _ = probe(*named(names))
    assert told["folder"]["sentence"].endswith("“Healthy” lie in …/lab, and none of the others.")
    assert not found["without"] and found["score"]["metrics"]["balanced_accuracy"]["low"] > 0.5
    told, found, _ = probe(*named([f"{'xyz'[i % 3]}/{i}.jpg" for i in range(240)]))
    assert told["folder"]["share"] == pytest.approx(1) and found["without"] == ["folder"]
    assert found["score"]["metrics"]["balanced_accuracy"]["high"] < 0.5


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Corn_Blight", "Corn_…"),
        ("Corn_Gray_Spot", "Corn_…"),
        ("Corn_Health", "Corn_…"),
        ("HEALTHY", "…"),
        ("cornblight7", "corn…7"),
        ("blights_7", "…_7"),
        ("blightx", "…x"),
        ("greyhound", "greyhound"),
        ("leafy greens", "…y greens"),
        ("IMG_20190503", "IMG_20190503"),
        ("", ""),
    ],
)
def test_words_of_classes_are_hidden(text, hidden):
    assert facts.without_classes(CLASSES)(text) == hidden


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("IMG_0042", "IMG_#"),
        ("0012b9d2-2130-4a06-a834-b1f3af34f57e___RS_HL 8389", "#-#-#-#-#___RS_HL #"),
        ("DSC00017 (2)", "DSC# (#)"),
        ("leaf", "leaf"),
        ("face", "face"),
    ],
)
def test_a_name_s_pattern_has_no_number(name, pattern):
    assert facts.pattern(name) == pattern


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e9), max_size=80))
def test_ranges_are_few_and_hold_equal_numbers_together(numbers):
    texts = facts.ranges(np.array(numbers))
    assert len(texts) == len(numbers) and len(set(texts)) <= facts.BINS
    assert all(texts[i] == texts[j] for i in range(len(numbers)) for j in range(i) if numbers[i] == numbers[j])


def test_the_classifier_learns_from_the_other_folds_alone():
    """A camera that only fold 1 has cannot tell its labels there, and rare values are one."""
    split, catalog = photos()
    fold = split["fold"].fillna(0).to_numpy(int)
    healthy = (split["label"] == "Healthy").to_numpy()
    catalog["camera"] = np.where(healthy, np.where(fold == 1, "A", "B"), np.where(fold == 1, "C", "D"))
    table = facts.facts_table(split[split["role"] == "pool"].drop(columns=["role", "group"]), catalog, CLASSES)
    labels = [entry["label"] for entry in CLASSES]
    alone = fact_model.out_of_fold(table, labels, [], seed=1)
    right = (alone[["p0", "p1", "p2"]].to_numpy().argmax(1) == [labels.index(label) for label in alone["label"]]).mean()
    assert right < 0.5
    assert fact_model.out_of_fold(table, labels, [], seed=1).equals(alone)


def test_photos_alike_in_everything_have_no_score():
    split, catalog = photos()
    _, found, predictions = probe(split, catalog.assign(bytes=7))
    assert found["score"] is None and found["facts"] == [] and predictions.empty
    assert list(predictions)[:4] == ["dataset", "image_id", "label", "fold"]


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(0, 9, "none"), (9, 9, "all"), (1, 900, "less than 1\u00a0%"), (899, 900, "more than 99\u00a0%"), (1, 3, "33\u00a0%"), (1.0, 1, "all")],
)  # fmt: skip
def test_shares_in_words(part, whole, said):
    assert probes.percent(part, whole) == said


def predictions(split, right):
    """Predictions out of fold that are right on the first `right` photos, and give the next class on the others."""
    pool = split[split["role"] == "pool"].reset_index(drop=True)
    true = np.array([[entry["label"] for entry in CLASSES].index(label) for label in pool["label"]])
    given = np.where(np.arange(len(pool)) < right, true, (true + 1) % 3)
    values = pd.DataFrame(np.eye(3)[given] * 0.8 + 0.1, columns=["p0", "p1", "p2"])
    return pool[["dataset", "image_id", "label", "fold"]].join(values)


def test_a_head_without_the_middle_stands_beside_the_whole_one():
    split, catalog = photos()
    masked, whole = predictions(split, 120), predictions(split, 180)
    weighed = probes.weigh_masked(masked, whole, catalog, CLASSES, size=224, seed=1, resamples=200)
    assert weighed["n"] == 200 and weighed["area"] == pytest.approx(0.36, abs=0.003)
    assert (weighed["masked"]["accuracy"]["value"], weighed["whole"]["accuracy"]["value"]) == (0.6, 0.9)
    change = weighed["compared"]["accuracy"]
    assert change["difference"] == pytest.approx(-0.3) and change["low"] < -0.3 < change["high"] < 0
    assert probes.weigh_masked(masked[:0], whole[:0], catalog, CLASSES, size=9, seed=1, resamples=9) == {"n": 0}
