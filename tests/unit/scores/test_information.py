"""What a fact tells of the label: nothing by chance, all of it where it is the label, whatever its values are called."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score, mutual_info_score

from manihot.scores import information

LABELS = st.lists(st.integers(0, 3), min_size=8, max_size=60).filter(lambda labels: len(set(labels)) > 1)


def tell(facts, labels, groups=None, permutations=100):
    labels = np.unique(labels, return_inverse=True)[1]
    groups = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    return information.told(pd.DataFrame(facts), labels, groups, seed=1, permutations=permutations)


@settings(deadline=None, max_examples=40)
@given(LABELS)
def test_one_value_tells_nothing_and_the_label_tells_all(labels):
    told = tell({"same": ["a"] * len(labels), "label": list(map(str, labels))}, labels)
    assert told["same"]["share"] == pytest.approx(0, abs=1e-9) and told["same"]["p"] == 1
    # Where each photo has a class of its own, chance tells as much.
    assert told["label"]["share"] == pytest.approx(1) or len(set(labels)) == len(labels)
    assert told["label"]["values"] == len(set(labels))


@settings(deadline=None, max_examples=40)
@given(LABELS, st.randoms())
def test_new_names_for_values_change_nothing(labels, random):
    values = [str(random.randrange(3)) for _ in labels]
    names = random.sample(["x", "ä", "", "0", "zz"], 3)
    one = tell({"fact": values}, labels)["fact"]
    other = tell({"fact": [names[int(value)] for value in values]}, labels)["fact"]
    assert one == pytest.approx(other)


@pytest.mark.parametrize("values", [2, 20, 150, 400])
def test_chance_is_taken_off_however_many_values_there_are(values):
    shares, raw = [], []
    for seed in range(15):
        random = np.random.default_rng(seed)
        labels, fact = random.integers(0, 4, 400), random.integers(0, values, 400)
        shares.append(tell({"fact": fact.astype(str)}, labels, permutations=50)["fact"]["share"])
        raw.append(mutual_info_score(labels, fact))
    assert abs(np.mean(shares)) < 3 * np.std(shares) / np.sqrt(15) + 0.005 and max(shares) < 0.08
    assert values < 100 or min(raw) > 0.2  # what it seems to tell


def test_a_value_for_each_photo_tells_nothing():
    labels = [0, 1] * 20
    assert tell({"fact": [str(n) for n in range(40)]}, labels)["fact"]["share"] == 0


def test_it_is_scikit_learn_s_adjusted_information_but_for_the_bound():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 300)
    fact = np.where(random.random(300) < 0.5, labels, random.integers(0, 12, 300))
    share = tell({"fact": fact.astype(str)}, labels, permutations=2000)["fact"]
    entropy, found = mutual_info_score(labels, labels), mutual_info_score(labels, fact)
    # Their exact expectation follows from their own value, whose bound is the smaller entropy.
    bound = min(entropy, mutual_info_score(fact, fact))
    theirs = adjusted_mutual_info_score(labels, fact, average_method="min")
    expected = (found - theirs * bound) / (1 - theirs)
    assert share["by_chance"] == pytest.approx(expected / entropy, abs=0.002)
    assert share["share"] == pytest.approx((found - expected) / (entropy - expected), abs=0.003)
    assert share["p"] == pytest.approx(1 / 2001)


def test_a_group_counts_once():
    """Twelve plants, each of one class and photographed on one day: ten photos of a plant are no ten days."""
    random = np.random.default_rng(3)
    plants = np.arange(12)
    day, label = random.permutation(plants % 4), plants % 3
    ten = np.repeat(plants, 10)
    apart = tell({"day": day[ten].astype(str)}, label[ten])["day"]
    together = tell({"day": day[ten].astype(str)}, label[ten], groups=ten)["day"]
    alone = tell({"day": day.astype(str)}, label)["day"]
    assert together["share"] == pytest.approx(alone["share"], abs=0.1) and together["values"] == 4
    assert apart["p"] < 0.02 < 0.2 < together["p"]


def test_a_photo_that_is_there_fifty_times_counts_once():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 100)
    fact = np.where(random.random(100) < 0.4, labels, random.integers(0, 3, 100))
    many = np.concatenate([np.arange(100), np.repeat(7, 49)])
    once = tell({"fact": fact.astype(str)}, labels)["fact"]
    often = tell({"fact": fact[many].astype(str)}, labels[many], groups=many)["fact"]
    assert often["share"] == pytest.approx(once["share"], abs=0.01)


def test_groups_of_several_labels_keep_what_lies_within_them():
    """Plots that hold both classes, photographed with two cameras: the camera tells the class within each plot."""
    plot, label = np.repeat(np.arange(10), 8), np.tile([0, 1], 40)
    random = np.random.default_rng(0).integers(0, 2, 80)
    told = tell({"camera": label.astype(str), "other": random.astype(str)}, label, groups=plot)
    assert told["camera"]["share"] == pytest.approx(1) and told["camera"]["p"] < 0.02
    assert abs(told["other"]["share"]) < 0.1 and told["other"]["p"] > 0.02


def test_as_few_groups_as_labels_can_tell_nothing():
    told = tell({"fact": ["a"] * 5 + ["b"] * 5}, [0] * 5 + [1] * 5, groups=[0] * 5 + [1] * 5)
    assert told["fact"]["share"] == 0 and told["fact"]["p"] == 1


def test_the_example_is_the_pair_that_goes_together_most():
    counts = pd.DataFrame({"rust": [90, 10, 0], "spot": [50, 0, 50]}, index=["jpg", "png", "bmp"])
    assert information.example(counts) == {
        "value": "bmp", "label": "spot", "both": 50, "with_value": 50, "with_label": 100, "photos": 200,
    }  # fmt: skip
