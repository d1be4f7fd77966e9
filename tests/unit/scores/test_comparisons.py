"""Paired comparisons: the difference, its interval, its p and Holm's adjustment."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from manihot.scores import comparisons, intervals

CLASSES = [{"label": label, "name": label} for label in "abc"]


def pair(n, *, seed=0, skills=(1.0, 1.0), duplicates=1):
    """Predictions of models of given skills on the same n photos, and the photos' catalog."""
    generator = np.random.default_rng(seed)
    true = generator.integers(0, 3, n)
    hardness = generator.normal(size=n)
    keys = pd.DataFrame({"dataset": "leaves", "image_id": [f"{i}.jpg" for i in range(n)]})
    catalog = keys.assign(group=np.arange(n) // duplicates)
    keys["label"] = [CLASSES[index]["label"] for index in true]
    tables = []
    for skill in skills:
        logits = generator.normal(size=(n, 3))
        logits[np.arange(n), true] += skill - hardness
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        tables.append(keys.join(pd.DataFrame(p, columns=["p0", "p1", "p2"])))
    return tables, catalog


def compare(a, b, catalog, **changed):
    return comparisons.compare(a, b, catalog, CLASSES, **{"seed": 1, "resamples": 300, "permutations": 500, **changed})


def right(table):
    return table[["p0", "p1", "p2"]].to_numpy().argmax(axis=1) == table["label"].map(list("abc").index)


def test_the_difference_is_taken_on_the_photos_of_both():
    (a, b), catalog = pair(90)
    result = compare([a[:70].sample(frac=1, random_state=0)], [b[10:]], catalog)
    both_a, both_b = right(a[10:70]), right(b[10:70])
    assert result["n"] == 60 and result["groups"] == 60 and result["seeds"] == 1
    accuracy = result["metrics"]["accuracy"]
    assert accuracy["model_value"] == pytest.approx(both_a.mean())
    assert accuracy["difference"] == pytest.approx(both_a.mean() - both_b.mean())
    assert result["only_model_right"] == (both_a & ~both_b).sum()
    assert result["only_based_on_right"] == (~both_a & both_b).sum()
    assert result["both_right"] + result["both_wrong"] == (both_a == both_b).sum()
    assert compare([a[:10]], [b[10:]], catalog) == {"n": 0}


def test_a_model_that_is_better_is_found_and_a_model_is_not_better_than_itself():
    (good, poor), catalog = pair(300, skills=(2.5, 0.5))
    found = compare([good], [poor], catalog)["metrics"]
    assert found["accuracy"]["low"] > 0 and found["balanced_accuracy"]["low"] > 0 > found["log_loss"]["high"]
    assert all(metric["p"] == pytest.approx(1 / 501) for metric in found.values())
    turned = compare([poor], [good], catalog)["metrics"]
    assert turned["accuracy"]["difference"] == -found["accuracy"]["difference"]
    same = compare([good], [good], catalog)["metrics"]
    assert all((m["difference"], m["low"], m["high"], m["p"]) == (0, 0, 0, 1) for m in same.values())


def test_pairing_narrows_the_interval():
    (a, b), catalog = pair(400)
    noisy = a.assign(p0=a["p0"] + 0.01)
    paired = compare([a], [noisy], catalog)["metrics"]["log_loss"]
    apart = compare([a], [b], catalog)["metrics"]["log_loss"]
    assert paired["high"] - paired["low"] < 0.2 * (apart["high"] - apart["low"])


def test_p_is_uniform_where_nothing_differs():
    p = []
    for seed in range(300):
        difference = np.random.default_rng([seed, 1]).normal(size=(40, 1))
        p.append(intervals.swap_p_values(difference, seed=seed, permutations=199)[0])
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) <= 0.05) < 0.09


def test_groups_swap_whole():
    # Ten copies of four photos: with groups there are only 16 swaps, so p cannot be small.
    difference = np.ones((40, 1))
    assert intervals.swap_p_values(difference, seed=1, permutations=999)[0] == pytest.approx(0.001)
    whole = difference.reshape(4, 10).sum(axis=1, keepdims=True)
    assert intervals.swap_p_values(whole, seed=1, permutations=999)[0] == pytest.approx(2 / 16, abs=0.04)
    (good, poor), catalog = pair(40, skills=(9, -9))
    assert compare([good], [poor], catalog.assign(group=np.arange(40) // 10))["metrics"]["accuracy"]["p"] > 0.05


def test_the_balanced_difference_weighs_classes_alike():
    (a, b), catalog = pair(200, seed=4)
    common = a["label"] != "c"
    keep = common | (np.arange(200) % 10 == 0)
    result = compare([a[keep]], [b[keep]], catalog)["metrics"]["balanced_accuracy"]
    each = [right(t[keep]).groupby(t["label"][keep]).mean().mean() for t in (a, b)]
    assert result["difference"] == pytest.approx(each[0] - each[1])


def test_repeats_of_one_seed_are_paired():
    tables, catalog = pair(1000, skills=(0.5, 1.0, 1.5))
    same = compare(tables, tables, catalog)["metrics"]
    assert all((m["difference"], m["low"], m["high"]) == (0, 0, 0) for m in same.values())
    # The spread of the seeds is in both sides and leaves no trace in their difference; in another order it does.
    shuffled = compare(tables, [*tables[1:], tables[0]], catalog)["metrics"]["accuracy"]
    assert shuffled["difference"] == 0 and shuffled["high"] - shuffled["low"] > 0.1


def test_repeats_widen_the_interval_as_their_spread_asks():
    tables, catalog = pair(3000, skills=(0.5, 1.0, 1.5, 1.0, 1.0, 1.0))
    result = compare(tables[:3], tables[3:], catalog, resamples=2000)
    assert result["seeds"] == 3
    values = [right(table).mean() for table in tables]
    accuracy = result["metrics"]["accuracy"]
    assert accuracy["model_value"] == pytest.approx(np.mean(values[:3]))
    one = compare(tables[1:2], tables[3:4], catalog, resamples=2000)["metrics"]["accuracy"]
    assert accuracy["high"] - accuracy["low"] > 2 * (one["high"] - one["low"])
    weights = comparisons._repeat_weights(np.random.default_rng(0), 20_000, 3)
    drawn = weights @ np.array(values[:3])
    assert drawn.var() == pytest.approx(np.var(values[:3], ddof=1) / 3, rel=0.05)


def test_models_of_other_classes_are_compared_on_the_photos_of_both():
    (a, b), catalog = pair(100)
    old = b["label"] != "c"
    narrow = b[old].drop(columns="p2")
    assert compare([a], [narrow], catalog)["n"] == old.sum()
    assert compare([narrow], [a], catalog)["n"] == old.sum()


def test_holm():
    assert comparisons.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert comparisons.holm([0.6, 0.9]).tolist() == [1, 1]
    assert comparisons.holm([]).tolist() == []


def test_the_table_has_a_row_a_metric_and_adjusts_within_family_part_and_metric():
    tables, catalog = pair(120, skills=(1.0, 1.6, 0.9))
    better, worse = (compare([table], [tables[0]], catalog) for table in tables[1:])
    family = {"family": "networks", "based_on": "first", "part": "test"}
    compared = [({**family, "model": "better"}, better), ({**family, "model": "worse"}, worse)]
    compared += [({**family, "model": "none", "part": "validation"}, {"n": 0})]
    table = comparisons.tabulate(compared)
    assert ",".join(table.columns) == (
        "family,model,based_on,part,metric,n,groups,model_value,based_on_value,difference,low,high,p,p_holm,"
        "only_model_right,only_based_on_right,seeds"
    )
    assert len(table) == 6
    accuracy = table[table["metric"] == "accuracy"]
    assert accuracy["p_holm"].to_list() == comparisons.holm(accuracy["p"].to_list()).tolist()
    assert comparisons.tabulate([]).empty
