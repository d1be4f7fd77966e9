"""The area under the ROC curve of strange photos, with an interval that holds it as often as it says."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from manihot.scores.strangers import auroc, weigh


def test_the_area_is_scikit_learns_ties_and_all():
    random = np.random.default_rng(1)
    own, strange = random.integers(0, 20, 80), random.integers(5, 25, 50)
    expected = roc_auc_score(np.repeat([0, 1], [80, 50]), np.concatenate([own, strange]))
    assert auroc(own, strange)["value"] == pytest.approx(expected)
    assert auroc(strange, own)["value"] == pytest.approx(1 - expected)


def test_the_interval_holds_the_area_about_as_often_as_it_says():
    random, held = np.random.default_rng(2), 0
    for _ in range(400):
        found = auroc(random.normal(size=30), random.normal(1.0, 1, size=40))
        held += found["low"] <= 0.7602 <= found["high"]  # Phi(1 / sqrt(2))
    assert 0.92 <= held / 400 <= 0.985


def test_where_no_pair_is_wrong_the_interval_is_no_point():
    few, many = (auroc(np.zeros(n), np.ones(n)) for n in (10, 100))
    assert few["value"] == few["high"] == 1.0 and 0.6 < few["low"] < many["low"] < 1
    turned = auroc(np.ones(10), np.zeros(10))
    assert turned["value"] == turned["low"] == 0 and turned["high"] == pytest.approx(1 - few["low"])
    assert auroc(np.zeros(0), np.ones(3)) == {"value": None, "low": None, "high": None}


def test_photos_of_one_group_are_one_witness():
    own, strange = np.linspace(0, 99, 60), np.full(20, 90.0)
    apart, together = (weigh(own, groups, {"noise": strange}) for groups in (np.arange(60), np.arange(60) // 6))
    assert together["own"]["groups"] == 10 and apart["own"]["n"] == together["own"]["n"] == 60
    [wide], [narrow] = together["kinds"], apart["kinds"]
    assert wide["auroc"]["value"] == narrow["auroc"]["value"] and wide["auroc"]["low"] < narrow["auroc"]["low"]
    assert (narrow["kind"], narrow["n"], narrow["median"], narrow["far"]) == ("noise", 20, 90.0, 0.0)
    assert apart["own"]["far"] == pytest.approx(3 / 60)
    assert weigh(own, np.arange(60), {"none": np.empty(0)})["kinds"][0]["median"] is None
