"""Paired comparisons: the difference, its interval, its p and Holm's adjustment."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from manihot.scores import comparisons, intervals
from manihot.scores.resampled import corrected_mean

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


def in_folds(tables, k):
    """The tables as predicted out of fold, photo i in fold i mod k."""
    return [table.assign(fold=np.arange(len(table)) % k + 1) for table in tables]


def test_out_of_fold_the_folds_are_compared_and_the_interval_is_around_the_difference_of_all():
    tables, catalog = pair(203, skills=(1.0, 1.2, 0.7, 0.6))
    a, b = in_folds(tables[:2], 5), in_folds(tables[2:], 5)
    result = compare(a, b, catalog)
    assert result["folds"] == 5 and result["seeds"] == 2
    each = [np.mean([right(t) for t in side], axis=0) for side in (a, b)]
    by_fold = [(each[0] - each[1])[np.arange(203) % 5 == fold].mean() for fold in range(5)]
    _, low, high, _ = corrected_mean(np.array(by_fold), 1 / 4)
    accuracy = result["metrics"]["accuracy"]
    assert accuracy["difference"] == pytest.approx((each[0] - each[1]).mean())
    assert accuracy["high"] - accuracy["low"] == pytest.approx(high - low)
    assert (accuracy["high"] + accuracy["low"]) / 2 == pytest.approx(accuracy["difference"])
    error = (high - low) / 2 / stats.t.ppf(0.975, 4)
    assert accuracy["high_90"] == pytest.approx(accuracy["difference"] + stats.t.ppf(0.95, 4) * error)
    assert accuracy["p"] == pytest.approx(2 * stats.t.sf(abs(accuracy["difference"]) / error, 4))


def test_folds_count_only_where_all_tables_have_the_same():
    (a, b), catalog = pair(90)
    (a3,), (b3,), (b2,) = in_folds([a], 3), in_folds([b], 3), in_folds([b], 2)
    assert compare([a3], [b3], catalog)["folds"] == 3
    # Another split, folds that are not known, one fold, one side without them; and the models themselves are asked about.
    plain = compare([a], [b], catalog)["metrics"]
    for other, changed in ((b2, {}), (b3.assign(fold=pd.NA), {}), (b, {}), (b3, {"fixed": True})):
        result = compare([a3], [other], catalog, **changed)
        assert result["folds"] == 0 and result["metrics"] == plain
    one = a3["fold"] == 1
    assert compare([a3[one]], [b3[one]], catalog)["folds"] == 0


def test_a_difference_of_shares_of_two_folds_stays_between_its_ends():
    (a, b), catalog = pair(30, skills=(2.5, 0.5))
    found = compare(in_folds([a], 2), in_folds([b], 2), catalog)["metrics"]
    assert (found["accuracy"]["low"], found["accuracy"]["high"]) == (-1, 1)
    assert found["balanced_accuracy"]["low"] >= -1 and found["balanced_accuracy"]["high"] <= 1
    assert found["log_loss"]["low"] < -1, "a loss has no such ends"


def test_folds_that_differ_by_exactly_the_same_are_no_certainty():
    # One more right in each of two folds of ten photos.
    (a, _), catalog = pair(20, skills=(20.0, 1.0))
    b = a.copy()
    for row in (0, 1):
        b.loc[row, ["p0", "p1", "p2"]] = [float(b["label"][row] != label) / 2 for label in "abc"]
    accuracy = compare(in_folds([a], 2), in_folds([b], 2), catalog)["metrics"]["accuracy"]
    assert accuracy["difference"] == pytest.approx(0.1) and accuracy["low"] < 0 < accuracy["high"]
    same = compare(in_folds([a], 2), in_folds([a], 2), catalog)["metrics"]["accuracy"]
    assert (same["low"], same["high"], same["p"]) == (0, 0, 1)


def test_the_90_percent_interval_lies_in_that_of_95_in_every_way():
    tables, catalog = pair(300, skills=(1.0, 1.1, 0.9, 1.2))
    ways = ((tables[:1], tables[1:2]), (tables[:2], tables[2:]), (in_folds(tables[:1], 5), in_folds(tables[1:2], 5)))
    for a, b in ways:
        for metric in compare(a, b, catalog)["metrics"].values():
            assert metric["low"] < metric["low_90"] < metric["difference"] < metric["high_90"] < metric["high"]


@pytest.mark.parametrize("shift", [0.0, 0.004, 0.006, 0.008, 0.010, 0.012, 0.02])
def test_no_difference_that_matters_is_two_one_sided_t_tests(shift):
    # 4,000 photos, of which some are right with one model only.
    n, margin = 4000, 2.0
    better, worse = round(n * (0.05 + shift)), round(n * 0.05)
    apart = np.repeat([1.0, -1.0, 0.0], [better, worse, n - better - worse])
    label = np.repeat(list("ab"), n // 2)
    keys = pd.DataFrame({"dataset": "leaves", "image_id": [f"{i}.jpg" for i in range(n)], "label": label})
    sides = [
        keys.assign(
            p0=np.where((label == "a") == is_right, 0.8, 0.1), p1=np.where((label == "a") == is_right, 0.1, 0.8), p2=0.1
        )
        for is_right in (apart >= 0, apart <= 0)
    ]
    found = compare(sides[:1], sides[1:], keys.assign(group=np.arange(n)), resamples=4000)["metrics"]["accuracy"]
    tests = [
        stats.ttest_1samp(apart, sign * margin / 100, alternative=side).pvalue
        for sign, side in ((-1, "greater"), (1, "less"))
    ]
    assert comparisons.equivalent(found, margin) == (max(tests) < 0.05)


def test_few_photos_do_not_show_that_nothing_differs():
    (a, _), catalog = pair(400)
    assert not comparisons.equivalent(compare([a[:149]], [a[:149]], catalog)["metrics"]["accuracy"], 2.0)
    assert comparisons.equivalent(compare([a[:152]], [a[:152]], catalog)["metrics"]["accuracy"], 2.0)
    # Pairs of copies are half as many photos, and classes that count alike are as good as their smallest.
    twins = catalog.assign(group=np.arange(400) // 2)
    assert not comparisons.equivalent(compare([a[:298]], [a[:298]], twins)["metrics"]["accuracy"], 2.0)
    assert comparisons.equivalent(compare([a[:304]], [a[:304]], twins)["metrics"]["accuracy"], 2.0)
    few = pd.concat([a[a["label"] != "c"], a[a["label"] == "c"][:10]])
    metrics = compare([few], [few], catalog)["metrics"]
    assert comparisons.equivalent(metrics["accuracy"], 2.0) and not comparisons.equivalent(
        metrics["balanced_accuracy"], 2.0
    )
    assert comparisons.equivalent(metrics["log_loss"], 2.0) is None
    # In the table: 1, 0 and empty.
    table = comparisons.tabulate(
        [({"family": "f", "model": "m", "based_on": "b", "part": "test"}, {**compare([few], [few], catalog)})], 2.0
    )
    assert table["equivalent"].to_list()[:2] == [1, 0] and table["equivalent"].isna().to_list() == [False, False, True]
