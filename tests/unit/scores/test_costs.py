"""What mistakes cost: by hand, by default the error, and the answer of least expected cost."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manihot.core.classes import check_costs
from manihot.core.errors import StudyError
from manihot.scores import score as scores
from manihot.scores.costs import cost_matrix, expected_costs
from manihot.scores.outcomes import outcomes

CLASSES = [{"label": label, "name": f"leaf {label}"} for label in "abc"]
few = settings(max_examples=20, deadline=None, derandomize=True)


def photos(p, true, size=1):
    """A table of predictions and the catalog, groups of `size` photos."""
    keys = pd.DataFrame({"dataset": "leaves", "image_id": [f"{n}.jpg" for n in range(len(true))]})
    catalog = keys.assign(group=np.arange(len(true)) // size, given_group="", site="")
    p = pd.DataFrame(np.asarray(p, dtype=float), columns=["p0", "p1", "p2"])
    return keys.assign(label=list(true), fold=1).join(p), catalog


def costs_of(p, true, costs, size=1, resamples=200):
    table, catalog = photos(p, true, size)
    scored = outcomes(table, catalog, CLASSES)
    accuracy = {"value": 0.5, "low": 0.3, "high": 0.6}
    p = table[["p0", "p1", "p2"]].to_numpy()
    return expected_costs(scored, p, cost_matrix(costs, CLASSES), accuracy, seed=1, resamples=resamples)


def drawn(n, seed=0):
    generator = np.random.default_rng(seed)
    true = generator.integers(0, 3, n)
    logits = generator.normal(size=(n, 3))
    logits[np.arange(n), true] += 1
    p = np.exp(logits)
    return p / p.sum(axis=1, keepdims=True), [CLASSES[index]["label"] for index in true]


def test_what_is_not_named_costs_one_and_right_answers_nothing():
    assert cost_matrix({}, CLASSES).tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    named = {"a": {"b": 5, "a": 0.5}, "c": {"a": 0}, "of another split": {"a": 9}}
    assert cost_matrix(named, CLASSES).tolist() == [[0.5, 5, 1], [1, 0, 1], [0, 1, 0]]


@few
@given(st.integers(4, 60), st.integers(0, 99))
def test_by_default_the_cost_is_the_error_with_its_interval_turned(n, seed):
    table, catalog = photos(*drawn(n, seed))
    record = scores.score(table, catalog, CLASSES, seed=1, resamples=50, marked=scores.Marked(majority="a"))
    accuracy = record["metrics"]["accuracy"]
    for way in ("answer", "least"):
        paid = record["cost"][way]
        assert [paid[key] for key in ("value", "low", "high")] == pytest.approx(
            [1 - accuracy[key] for key in ("value", "high", "low")]
        )
    assert record["cost"]["least"]["changed"] == 0
    assert record["baseline"]["cost"] == pytest.approx(1 - record["baseline"]["accuracy"]["value"])


def test_the_least_expected_cost_by_hand():
    # To miss an a costs 10: at p(a) = 0.2 the answer a costs 0.8 on average, b 10 * 0.2 + 0.1 = 2.1.
    found = costs_of([[0.2, 0.7, 0.1], [0.2, 0.7, 0.1], [0.0, 0.9, 0.1]], "abb", {"a": {"b": 10, "c": 10}})
    assert found["answer"]["value"] == pytest.approx(10 / 3)
    assert found["least"]["value"] == pytest.approx(1 / 3)
    assert found["least"]["changed"] == pytest.approx(2 / 3)


def test_the_least_expected_cost_is_no_dearer_where_probabilities_are_true():
    generator = np.random.default_rng(1)
    p = generator.dirichlet([0.6] * 3, 4000)
    true = ["abc"[generator.choice(3, p=row)] for row in p]
    found = costs_of(p, true, {"a": {"b": 6, "c": 3}, "b": {"a": 2}})
    assert found["least"]["high"] < found["answer"]["low"]


def test_intervals_are_of_groups_within_classes():
    p, true = drawn(120)
    p, true = np.repeat(p, 4, axis=0), [label for label in true for _ in range(4)]
    named = {"a": {"b": 5}}
    alone, together = (costs_of(p, true, named, size, 1000)["answer"] for size in (1, 4))
    assert alone["value"] == together["value"]
    assert (together["high"] - together["low"]) / (alone["high"] - alone["low"]) == pytest.approx(2, rel=0.15)
    # Within a class all answers cost the same here: another draw of its photos changes nothing.
    always = np.tile([1.0, 0.0, 0.0], (30, 1))
    fixed = costs_of(always, ["a", "b", "c"] * 10, {"b": {"a": 4}})["answer"]
    assert (fixed["low"], fixed["value"], fixed["high"]) == pytest.approx((5 / 3, 5 / 3, 5 / 3))


def test_folds_have_their_cost():
    p, true = drawn(40)
    table, catalog = photos(p, true)
    folds = [table[:20], table[20:]]
    marked = scores.Marked(costs={"a": {"b": 3}})
    record = scores.score(table, catalog, CLASSES, seed=1, resamples=20, marked=marked, folds=folds)
    assert np.mean([fold["cost"] for fold in record["folds"]]) == pytest.approx(record["cost"]["answer"]["value"])


def test_a_label_that_nothing_has_is_one_line_that_lists_the_known():
    check_costs({"a": {"b": 2}}, {"a", "b"}, "mine.yaml: ")
    for costs, key in (({"d": {}}, "costs.d"), ({"a": {"d": 1}}, "costs.a.d")):
        with pytest.raises(StudyError, match=rf"^mine.yaml: {key}: no photo has the label d; there are a, b$"):
            check_costs(costs, {"b", "a"}, "mine.yaml: ")
