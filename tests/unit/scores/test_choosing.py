"""The choice of one model of a split: who can be chosen, how sure it is, and what it makes of the score."""

import json

import numpy as np
import pandas as pd
import pytest

from manihot.core.names import PARTS
from manihot.scores import choice, intervals
from manihot.scores import score as scores

CLASSES = [{"label": label, "name": f"leaf {label}"} for label in "abc"]
PHOTOS = 120


def answers(skill, seed=3, n=PHOTOS):
    """Out-of-fold predictions of n photos that favour the true class by `skill`; all of one seed know the same photos."""
    generator = np.random.default_rng(seed)
    true = np.arange(n) % 3
    logits = generator.normal(size=(n, 3))
    logits[np.arange(n), true] += skill
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    keys = pd.DataFrame({"dataset": "leaves", "image_id": [f"{i}.jpg" for i in range(n)]})
    return keys.assign(label=np.array(list("abc"))[true], fold=1).join(pd.DataFrame(p, columns=["p0", "p1", "p2"]))


def catalog(groups=None):
    keys = answers(0)[["dataset", "image_id"]]
    return keys.assign(group=np.arange(PHOTOS) if groups is None else groups, given_group="", site="")


class Study:
    """Models of a split with their predictions and scores: a skill each, or a table."""

    def __init__(self, groups=None, repeats=None, **skills):
        self.catalog = catalog(groups)
        self.tables = {n: skill if isinstance(skill, pd.DataFrame) else answers(skill) for n, skill in skills.items()}
        self.models = [
            {"name": name, "family": "networks", "repeat_of": (repeats or {}).get(name), "leak": False}
            for name in skills
        ]
        self.records = {}
        for name, table in self.tables.items():
            record = scores.score(table, self.catalog, CLASSES, seed=1, resamples=50)
            # What a model is chosen by; its own answers have no say.
            record["answers"] = {"calibrated": {"metrics": record.pop("metrics")}}
            self.records |= {(name, part): record for part in PARTS[1:]}
            self.records[name, "test_as_found"] = {"n": 0}

    def choose(self, **settings):
        drawn = {"seed": 1, "resamples": 200, **settings}
        return choice.choose(self.models, self.records, self.tables.__getitem__, self.catalog, CLASSES, **drawn)

    def value(self, name, metric="balanced_accuracy"):
        return self.records[name, "validation"]["answers"]["calibrated"]["metrics"][metric]["value"]


def of(made, key):
    return {candidate["model"]: candidate[key] for candidate in made["candidates"]}


def test_the_choice_is_made_out_of_fold_and_only_it_is_estimated():
    study = Study(weak=0.5, strong=2.0, twin=2.0)
    study.records["weak", "test"] = study.records["strong", "test"]
    made = study.choose()
    assert made["chosen"] == "strong" and list(made["estimate"]) == ["test"]
    assert (
        made["estimate"]["test"]["accuracy"]
        == study.records["strong", "test"]["answers"]["calibrated"]["metrics"]["accuracy"]
    )
    assert of(made, "chosen_share") == {"weak": 0, "strong": 1, "twin": 0}
    json.dumps(made, allow_nan=False)


def test_a_tie_goes_to_the_smaller_log_loss():
    sure = answers(2.0)
    p = sure[["p0", "p1", "p2"]]
    sure[["p0", "p1", "p2"]] = 0.9 * p + 0.1 * (p.to_numpy() == p.to_numpy().max(axis=1, keepdims=True))
    study = Study(strong=answers(2.0), twin=sure)
    assert study.value("strong") == study.value("twin")
    better = min(("strong", "twin"), key=lambda name: study.value(name, "log_loss"))
    made = study.choose()
    assert better == "twin" == made["chosen"] and of(made, "chosen_share")["twin"] > 0.9


def test_the_choice_is_across_families_and_each_has_its_best():
    study = Study(weak=0.5, weaker=0.2, strong=2.0)
    study.models[2]["family"] = "backbones"
    made = study.choose()
    assert made["chosen"] == "strong" and made["families"] == {"networks": "weak", "backbones": "strong"}


def test_a_model_that_was_trained_on_tested_photos_is_not_chosen():
    study = Study(weak=0.5, strong=2.0)
    study.models[1]["leak"] = True
    made = study.choose()
    assert made["chosen"] == "weak" and of(made, "why_not") == {"weak": None, "strong": "leak"}
    study.models[0]["leak"] = True
    made = study.choose()
    assert made["chosen"] is None and made["estimate"] == {} and made["families"] == {}


def test_a_single_candidate_is_not_a_choice():
    study = Study(weak=0.5, strong=2.0)
    study.models[1]["leak"] = True
    made = study.choose()
    assert made["out_of_fold"] is None and of(made, "chosen_share") == {"weak": None, "strong": None}


def test_repeats_count_in_the_mean():
    repeats = {"two_seed2": "two", "two_seed2_tta": "two_tta"}
    study = Study(repeats=repeats, one=1.0, two=1.2, two_seed2=-1.0, two_tta=0.9, two_seed2_tta=1.9)
    made = study.choose()
    assert of(made, "repeats") == {"one": ["one"], "two": ["two", "two_seed2"], "two_tta": ["two_tta", "two_seed2_tta"]}
    assert made["chosen"] == "two_tta"
    assert of(made, "balanced_accuracy")["two"] == (study.value("two") + study.value("two_seed2")) / 2
    assert study.value("two") > study.value("one") > (study.value("two") + study.value("two_seed2")) / 2
    for metric, own in made["out_of_fold"]["own"].items():
        assert own == pytest.approx((study.value("two_tta", metric) + study.value("two_seed2_tta", metric)) / 2)


def test_repeats_and_models_of_some_folds_are_not_chosen():
    study = Study(repeats={"weak_seed2": "weak"}, weak=0.5, weaker=0.4, strong=2.0, weak_seed2=0.4)
    study.records["strong", "validation"] = {**study.records["strong", "validation"], "photos": "some", "n": 60}
    study.models[2]["family"] = "backbones"
    made = study.choose()
    assert made["chosen"] == "weak" and of(made, "why_not") == {"weak": None, "weaker": None, "strong": "photos"}
    assert made["families"] == {"networks": "weak", "backbones": "strong"}
    assert of(made, "chosen_share")["strong"] is None


@pytest.mark.parametrize(
    ("partial", "n", "comparable"), [("bc", 60, "ad"), ("bcd", 60, "a"), ("bcd", PHOTOS, "bcd"), ("b", PHOTOS, "acd")]
)
def test_those_validated_on_the_most_photos_are_compared_or_as_most_were(partial, n, comparable):
    study = Study(b=0.4, a=0.5, c=0.6, d=0.3)
    for name in partial:
        study.records[name, "validation"] = {**study.records[name, "validation"], "photos": "some", "n": n}
    assert {name for name, fair in of(study.choose(), "comparable").items() if fair} == set(comparable)


def test_the_order_of_the_photos_and_models_without_out_of_fold_predictions_change_nothing():
    study = Study(one=1.0, two=1.1, refit=9.0)
    study.records["refit", "validation"] = {"n": 0}
    before = study.choose()
    study.tables["two"] = study.tables["two"].sample(frac=1, random_state=1)
    assert study.choose() == before and list(of(before, "n")) == ["one", "two"]


def test_resamples_are_those_of_a_plain_loop():
    """The same draws, one resample at a time and with scikit-learn's definitions."""
    groups = np.arange(PHOTOS) // 6  # of two photos of each class
    study = Study(groups, one=answers(1.0, seed=1), two=answers(1.0, seed=2), three=answers(1.1, seed=5))
    made = study.choose(resamples=40)
    true = np.arange(PHOTOS) % 3
    right = [t[["p0", "p1", "p2"]].to_numpy().argmax(axis=1) == true for t in study.tables.values()]
    order = study.tables["one"].sort_values(["dataset", "image_id"]).index.to_numpy()
    codes = pd.factorize(groups[order])[0]
    generator = np.random.default_rng(1)
    first = np.zeros(20, dtype=int)
    drawn = generator.integers(first, first + 20, size=(40, 20), dtype=np.int32)
    values, winners = [], []
    for row in drawn:
        inside = np.concatenate([order[codes == group] for group in row])
        outside = order[~np.isin(codes, row)]

        def balanced(model, photos):
            return np.mean([right[model][photos[true[photos] == c]].mean() for c in range(3)])

        winners.append(max(range(3), key=lambda model: round(balanced(model, inside), 9)))
        values.append(balanced(winners[-1], outside))
    found = made["out_of_fold"]["corrected"]["balanced_accuracy"]
    assert found["value"] == pytest.approx(np.mean(values))
    assert [found["low"], found["high"]] == pytest.approx(np.percentile(values, [2.5, 97.5]).tolist())
    assert list(of(made, "chosen_share").values()) == pytest.approx((np.bincount(winners, minlength=3) / 40).tolist())


def test_one_group_for_all_photos_of_a_class_leaves_the_correction_open():
    groups = np.where(np.arange(PHOTOS) % 3 == 0, 0, 1 + np.arange(PHOTOS))
    found = Study(groups, one=1.0, two=1.1).choose()["out_of_fold"]["corrected"]
    assert found["balanced_accuracy"] == found["log_loss"] == {"value": None, "low": None, "high": None}


def test_a_class_that_some_resamples_lack_counts_with_its_mean():
    groups = np.where(np.arange(PHOTOS) % 3 == 0, np.arange(PHOTOS) % 2, 2 + np.arange(PHOTOS))
    wrong = answers(9.0)
    wrong.loc[wrong["label"] == "a", ["p0", "p1"]] = [0.0, 1.0]
    found = Study(groups, one=wrong, two=wrong).choose()["out_of_fold"]["corrected"]["balanced_accuracy"]
    # Class a is never right, and left out of half of the resamples: it still counts in all of them.
    assert found == {name: pytest.approx(2 / 3) for name in ("value", "low", "high")}


def test_photos_that_are_not_drawn_are_the_rest():
    sums = intervals.group_sums(choice.sparse.csr_array(np.eye(12)), np.arange(12) // 2)
    strata = np.array([0, 1, 0, 1, 1, 0])
    drawn, rest = intervals.bootstrap_and_rest(sums, seed=1, resamples=30, strata=strata)
    np.testing.assert_array_equal(drawn, intervals.bootstrap(sums, seed=1, resamples=30, strata=strata))
    np.testing.assert_array_equal(np.sort(rest, axis=1), np.sort(drawn == 0, axis=1))
    assert (drawn.sum(axis=1) == 12).all()
