"""The scores of answers for other class shares."""

import numpy as np
import pandas as pd
import pytest

from manihot.scores.answers import score_answers

CLASSES = [{"label": label, "name": label} for label in "ab"]


def test_each_kind_is_scored_and_weighted_to_the_shares_of_all_photos():
    keys = pd.DataFrame({"dataset": "d", "image_id": list("123456"), "label": list("aaaabb"), "fold": 1})
    raw = keys.assign(p0=[0.9, 0.8, 0.7, 0.6, 0.6, 0.2], p1=[0.1, 0.2, 0.3, 0.4, 0.4, 0.8])
    corrected = keys.assign(p0=[0.9, 0.8, 0.7, 0.4, 0.3, 0.1], p1=[0.1, 0.2, 0.3, 0.6, 0.7, 0.9])
    catalog = keys[["dataset", "image_id"]].assign(group=np.arange(6), site="")
    tables = {"raw": raw, "corrected": corrected}
    found = score_answers(
        tables, catalog, CLASSES, as_found=[0.9, 0.1], target=None, costs={"a": {"b": 3}}, seed=1, resamples=50
    )
    assert set(found) == {"raw", "corrected"}
    # Recalls 1 and 1/2; 3/4 and 1.
    assert found["raw"]["as_found"]["value"] == pytest.approx(0.95)
    assert found["corrected"]["as_found"]["value"] == pytest.approx(0.9 * 0.75 + 0.1)
    assert found["raw"]["metrics"]["accuracy"]["value"] == pytest.approx(5 / 6)
    assert found["raw"]["as_found"]["low"] < 0.95 < found["raw"]["as_found"]["high"]
    assert found["raw"]["confidence"] == pytest.approx(raw[["p0", "p1"]].max(axis=1).mean())
    # One of four photos of class a is answered b, which costs 3.
    assert found["corrected"]["cost"]["answer"]["value"] == pytest.approx(0.5)
    everything, accuracy = found["raw"]["answering"]["at"][0], found["raw"]["metrics"]["accuracy"]
    assert {key: everything[key] for key in accuracy} == accuracy and accuracy["value"] == pytest.approx(5 / 6)
    assert found["corrected"]["confusion"] == [[3, 1], [0, 2]]
    assert (
        score_answers(
            {"raw": raw[:0]},
            catalog,
            CLASSES,
            as_found=[0.9, 0.1],
            target=None,
            costs={"a": {"b": 3}},
            seed=1,
            resamples=50,
        )
        == {}
    )


def test_answers_for_other_shares_than_the_photos_are_scored_as_if_photos_had_them():
    """Honest answers for classes alike, of photos of which four fifths are of one class: only weighted are they honest."""
    generator = np.random.default_rng(0)
    n = 4000
    true = generator.choice(2, n, p=[0.8, 0.2])
    seen = generator.normal(size=n) * (1 + true) + 1.2 * true
    # The posterior where both classes are equally common.
    p1 = 1 / (1 + 2 * np.exp(-(seen**2) / 2 + (seen - 1.2) ** 2 / 8))
    keys = pd.DataFrame({"dataset": "d", "image_id": [f"{i}" for i in range(n)], "label": np.array(["a", "b"])[true]})
    table = keys.assign(fold=1, p0=1 - p1, p1=p1)
    catalog = keys[["dataset", "image_id"]].assign(group=np.arange(n), site=np.where(np.arange(n) % 2, "x", "y"))
    settings = {"as_found": [0.8, 0.2], "costs": {"a": {"b": 3.0}}, "seed": 1, "resamples": 100}
    tables = {"raw": table, "calibrated": table}
    found = score_answers(tables, catalog, CLASSES, target=[0.5, 0.5], **settings)
    raw, own = found["raw"], found["calibrated"]
    right = (p1 > 0.5) == (true == 1)
    balanced = (right[true == 0].mean() + right[true == 1].mean()) / 2
    assert own["metrics"]["accuracy"] == pytest.approx(own["metrics"]["balanced_accuracy"])
    assert own["metrics"]["accuracy"]["value"] == pytest.approx(balanced) != raw["metrics"]["accuracy"]["value"]
    assert abs(own["confidence"] - balanced) < 0.02 < abs(raw["confidence"] - right.mean())
    assert own["calibration"]["ece"] < 0.03 < raw["calibration"]["ece"]
    loss = -np.log(np.where(true, p1, 1 - p1))
    expected = (loss[true == 0].mean() + loss[true == 1].mean()) / 2
    assert own["metrics"]["log_loss"]["value"] == pytest.approx(expected)
    # Its low and high are those of the weighted loss, too.
    assert own["metrics"]["log_loss"]["low"] < expected < own["metrics"]["log_loss"]["high"]
    paid = (3 * (1 - right[true == 0].mean()) + 1 - right[true == 1].mean()) / 2
    assert own["cost"]["answer"]["value"] == pytest.approx(paid)
    assert own["as_found"] is None and raw["as_found"]["value"] == pytest.approx(
        0.8 * right[true == 0].mean() + 0.2 * right[true == 1].mean()
    )
    assert [site["site"] for site in sorted(own["sites"], key=lambda row: row["site"])] == ["x", "y"]


def test_all_that_is_answered_has_the_interval_of_the_accuracy():
    keys = pd.DataFrame({"dataset": "d", "image_id": list("123456"), "label": list("aaabbb"), "fold": 1})
    tied = keys.assign(p0=[0.7, 0.7, 0.3, 0.3, 0.3, 0.7], p1=[0.3, 0.3, 0.7, 0.7, 0.7, 0.3])
    catalog = keys[["dataset", "image_id"]].assign(group=np.arange(6), site="")
    settings = {"as_found": [0.5, 0.5], "target": None, "costs": {}, "seed": 1, "resamples": 50}
    found = score_answers({"raw": tied}, catalog, CLASSES, **settings)["raw"]
    whole = found["metrics"]["accuracy"]
    assert len(found["answering"]["at"]) == 7
    assert all({key: entry[key] for key in whole} == whole for entry in found["answering"]["at"])
