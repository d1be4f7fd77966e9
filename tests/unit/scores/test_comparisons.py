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
    assert all((m["difference"], m["low"], m["high"], m["p"]) == (0, 0, 0, 1) for m in same.values())
    # The spread of the seeds is in both sides and leaves no trace in their difference; in another order it does.
    shuffled = compare(tables, [*tables[1:], tables[0]], catalog)["metrics"]["accuracy"]
    assert shuffled["difference"] == 0 and shuffled["high"] - shuffled["low"] > 0.1


def test_several_seeds_have_the_variance_of_photos_and_of_seeds():
    tables, catalog = pair(3000, skills=(0.5, 1.0, 1.5, 1.0, 1.0, 1.0))
    result = compare(tables[:3], tables[3:], catalog, resamples=2000)
    fixed = compare(tables[:3], tables[3:], catalog, resamples=2000, fixed=True)
    assert result["seeds"] == 3
    values = np.array([right(table).mean() for table in tables])
    accuracy, only_photos = (found["metrics"]["accuracy"] for found in (result, fixed))
    assert accuracy["model_value"] == pytest.approx(values[:3].mean())
    # The seeds are most of it here: a t with about two degrees of freedom on their three differences.
    apart = values[:3] - values[3:]
    half = stats.t.ppf(0.975, 2) * apart.std(ddof=1) / np.sqrt(3)
    assert (accuracy["high"] - accuracy["low"]) / 2 == pytest.approx(half, rel=0.1)
    assert only_photos["high"] - only_photos["low"] < 0.2 * half
    # p and interval say one thing.
    assert (accuracy["p"] < 0.05) == (not accuracy["low"] <= 0 <= accuracy["high"])


def test_p_and_interval_agree_over_seeds():
    for seed in range(20):
        tables, catalog = pair(200, seed=seed, skills=(1.0, 1.1, 0.9, 1.4, 1.3))
        for metric in compare(tables[:3], tables[3:], catalog)["metrics"].values():
            assert (metric["p"] < 0.05) == (metric["low"] > 0 or metric["high"] < 0)


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
    table = comparisons.tabulate(compared, 2.0)
    assert ",".join(table.columns) == (
        "family,model,based_on,part,metric,n,groups,model_value,based_on_value,difference,low,high,p,p_holm,"
        "only_model_right,only_based_on_right,seeds,folds,equivalent"
    )
    assert len(table) == 6
    accuracy = table[table["metric"] == "accuracy"]
    assert accuracy["p_holm"].to_list() == comparisons.holm(accuracy["p"].to_list()).tolist()
    assert comparisons.tabulate([], 2.0).empty
