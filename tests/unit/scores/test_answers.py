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
    catalog = keys[["dataset", "image_id"]].assign(group=np.arange(6))
    tables = {"raw": raw, "corrected": corrected}
    found = score_answers(tables, catalog, CLASSES, as_found=[0.9, 0.1], costs={"a": {"b": 3}}, seed=1, resamples=50)
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
            {"raw": raw[:0]}, catalog, CLASSES, as_found=[0.9, 0.1], costs={"a": {"b": 3}}, seed=1, resamples=50
        )
        == {}
    )
