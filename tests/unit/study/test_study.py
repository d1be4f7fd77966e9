"""The study file: every mistake is one line with its place; inheritance, sweeps and repeats do what they say."""

import copy
import sys
from pathlib import Path

import pytest
import yaml

from manihot.core.errors import StudyError
from manihot.photos.facts import Label
from manihot.study import checks
from manihot.study import load as load_module
from manihot.study.jobs import RULES, all_jobs
from manihot.study.load import build, load
from manihot.study.plan import Plan, starts_from_weights
from manihot.study.protocols import PROTOCOLS
from manihot.study.recipes import FINETUNE
from manihot.study.schema import Experiment
from manihot.study.yaml_files import merge

FILE = Path("mine.yaml")
ROOT = Path(__file__).parents[3]
STUDIES = sorted([*ROOT.glob("config/*.yaml"), *ROOT.glob("tests/studies/*.yaml")])
BASE = {
    "data": {"leaves": {"source": "demo"}, "needles": {"source": "demo", "kind": "needles"}},
    "splits": {
        "main": {"dataset": "leaves", "test": 100},
        "more": {
            "like": "main",
            "new_class": {"dataset": "needles", "label": "needle", "photos": 10, "test": 3},
        },
    },
    "defaults": {"split": "main", "size": 64},
    "experiments": {"first": {"learning_rate": 1e-4}, "second": {"based_on": "first", "epochs": 3}},
    "backbones": {"frozen": {"network": "squeezenet1_1", "weights": "none"}},
    "boosting": {"trees": {"backbone": "frozen"}},
}

# A backbone that an experiment trained.
OWN = {"network": "small_cnn", "weights": "first/fold1", "size": 64, "run_folds": [1]}

# A network that is trained from a cut on.
CUT = {"network": "mobilenet_v2", "weights": "imagenet", "train_from": "features.14"}

# A network whose last layer starts from a head.
HEADED = {"network": "squeezenet1_1", "weights": "none", "head_from": "frozen_head"}

# Two backbones whose features stand side by side.
OTHER = {"network": "resnet18", "weights": "none"}


def joining(*names, **settings):
    """The frozen backbone, another one, and one that joins what is named."""
    return {"backbones": {"other": OTHER, "both": {"join": list(names), **settings}}}


def own_folds(*folds):
    """A backbone an experiment and fold that its network did not learn from, and one that joins them."""
    backbones = {f"own{n}": OWN | {"weights": f"first/fold{n}", "run_folds": [n]} for n in folds}
    return {"backbones": backbones | {"both": {"join": [*backbones, "frozen"], "run_folds": [folds[0]]}}}


CSV = {"source": "csv", "photos": "photos", "labels": "labels.csv"}
ARCHIVE = {"source": "archive", "files": [{"path": "a.zip", "sha256": "0" * 64}]}


def changed(**sections):
    return build(merge(copy.deepcopy(BASE), sections), FILE)


MISTAKES = {
    "unknown key": ({"experiments": {"first": {"learning_rat": 1}}}, "experiments.first.learning_rat: unknown key; did you mean learning_rate?"),
    "unknown section": ({"experimets": {}}, "experimets: unknown key; did you mean experiments?"),
    "unknown default": ({"defaults": {"epoch": 1}}, "defaults.epoch: unknown key; did you mean epochs?"),
    "unknown nested key": ({"experiments": {"first": {"augment": {"hflip": True}}}}, "experiments.first.augment.hflip: unknown key"),
    "wrong type": ({"seed": "x"}, "seed: should be a valid integer, not the text 'x'"),
    "truth for a number": ({"experiments": {"first": {"epochs": True}}}, "experiments.first.epochs: should be a valid integer, not true"),
    "list for a number": ({"experiments": {"first": {"epochs": [1, 2]}}}, "experiments.first.epochs: should be a valid integer, not a list"),
    "list for a section": ({"experiments": [1]}, "experiments: must hold keys, not a list"),
    "too small": ({"splits": {"main": {"folds": 0}}}, "splits.main.folds"),
    "no such split": ({"experiments": {"first": {"split": "mian"}}}, "experiments.first.split: no split is called mian; did you mean main?"),
    "no such base": ({"experiments": {"first": {"based_on": "secnd"}}}, "no experiment is called secnd; did you mean second?"),
    "circle": ({"experiments": {"first": {"based_on": "second"}}}, "a circle: "),
    "split circle": ({"splits": {"main": {"like": "more"}}}, "a circle"),
    "Adam's keys in a tuned head": ({"backbones": {"frozen": {"head": {"epochs": 3}}}}, "backbones.frozen.head.epochs: is a key of kind: adam, and this head's kind is logistic; take it out, or add kind: adam"),
    "an unknown key of a head": ({"backbones": {"frozen": {"head": {"kind": "adam", "epoch": 3}}}}, "backbones.frozen.head.epoch: unknown key; did you mean epochs"),
    "a head of no kind": ({"backbones": {"frozen": {"head": {"kind": "ridge"}}}}, "backbones.frozen.head.kind: is ridge; it must be logistic or adam"),
    "a head that is no keys": ({"backbones": {"frozen": {"head": 3}}}, "backbones.frozen.head"),
    "no such backbone": ({"boosting": {"trees": {"backbone": "resnet"}}}, "boosting.trees.backbone: no backbone is called resnet"),
    "no such data": ({"splits": {"main": {"dataset": "leafs"}}}, "splits.main.dataset: no data set is called leafs; did you mean leaves?"),
    "no such fold": ({"experiments": {"first": {"run_folds": [9]}}}, "experiments.first.run_folds: there is no fold 9"),
    "sweep of nothing": ({"experiments": {"third": {"sweep": {"epochs": 3}}}}, "experiments.third.sweep"),
    "sweep of an unknown key": ({"experiments": {"third": {"sweep": {"epoch": [3]}}}}, "experiments.third.sweep.epoch: unknown key; did you mean epochs?"),
    "missing source": ({"data": {"third": {"photos": 3}}}, "data.third.source: is missing"),
    "no competition": ({"data": {"third": {"source": "kaggle"}}}, "data.third.competition: is missing"),
    "key of another source": ({"data": {"leaves": {"labels": "x.csv"}}}, "data.leaves.labels: unknown key"),
    "name that is a path": ({"experiments": {"../x": {}}}, "experiments.../x"),
    "published as found": ({"protocol": "published", "splits": {"main": {"test_as_found": 5, "per_class": 9}}}, "splits.main.test_as_found: must be 0"),
    "no such protocol": ({"protocol": "right"}, "protocol: is 'right'"),
    "name given twice": ({"experiments": {"trees": {}}}, "trees: two models would be called so"),
    "new class of the same data": ({"splits": {"more": {"new_class": {"dataset": "leaves"}}}}, "must be another data set"),
    "backbone of no experiment": ({"backbones": {"frozen": OWN | {"weights": "furst/fold1"}}}, "backbones.frozen.weights: no experiment is called furst"),
    "backbone of no fold": ({"backbones": {"frozen": OWN | {"weights": "first/fold9"}}}, "backbones.frozen.weights: first trains no fold 9"),
    "backbone of another network": ({"backbones": {"frozen": OWN | {"network": "vgg_small"}}}, "backbones.frozen.network: is vgg_small, but its network was trained as first"),
    "a package of another network": ({"backbones": {"frozen": {"network": "timm/regnetx_002", "weights": "package"}}}, "backbones.frozen.weights: no package has those of timm/regnetx_002, but of timm/tf_efficientnet_lite0"),
    "a package for a check": ({"overfit": {"check": {"split": "main", "weights": "package"}}}, "overfit.check.weights: there are no published ones of small_cnn: take them out"),
    "network that is a path": ({"experiments": {"first": {"network": "timm/../x"}}}, "experiments.first.network"),
    "backbone of another split": ({"backbones": {"frozen": OWN | {"split": "more"}}}, "backbones.frozen.split: is more, but"),
    "backbone that saw the test": ({"experiments": {"first": {"leak": True}}, "backbones": {"frozen": OWN}}, "backbones.frozen.leak: is False, but its network was trained as first"),
    "backbone that saw its fold": ({"backbones": {"frozen": OWN | {"run_folds": [1, 2]}}}, "backbones.frozen.run_folds: must be [1]: the network first/fold1 was trained"),
    "trees on a backbone that saw their fold": ({"backbones": {"frozen": OWN}, "boosting": {"trees": {"run_folds": [2]}}}, "boosting.trees.run_folds: must be [1]"),
    "Apple's GPU": ({"device": "mps"}, "device: mps (Apple's GPU) is not supported: take auto or cpu"),
    "two ways to the groups": ({"data": {"third": CSV | {"group_column": "plant", "group_pattern": "(p)"}}}, "data.third: takes one of the keys group_column and group_pattern"),
    "two ways to the sites": ({"data": {"third": CSV | {"site_column": "farm", "site_from_exif": True}}}, "data.third: takes one of the keys site_column and site_from_exif"),
    "a pattern of nothing": ({"data": {"third": CSV | {"group_pattern": "p.*"}}}, "data.third.group_pattern: needs one group in parentheses, not 0"),
    "a pattern that is none": ({"data": {"third": CSV | {"site_pattern": "(p"}}}, "data.third.site_pattern: is no regular expression"),
    "columns of no labels file": ({"data": {"third": ARCHIVE | {"role_column": "split"}}}, "data.third: needs the key labels for role_column"),
    "roles in folders and in a file": ({"data": {"third": ARCHIVE | {"labels": "a.csv", "role_folders": True}}}, "data.third: takes one of the keys labels and role_folders"),
    "no test": ({"splits": {"main": {"test": None}}}, "splits.main.test: is missing"),
    "a test beside the given one": ({"data": {"leaves": None, "given": CSV | {"role_column": "split"}}, "splits": {"main": {"dataset": "given"}}}, "splits.main.test: given gives its own test (roles); take test out"),
    "one fold": ({"splits": {"main": {"folds": 1}}}, "splits.main.folds: must be 2 or more, unless"),
    "sites that nobody knows": ({"splits": {"main": {"fold_kind": "by_site"}}}, "splits.main.fold_kind: by_site needs site_column or site_pattern in data.leaves"),
    "groups in the paper's split": ({"protocol": "published", "data": {"given": CSV | {"group_column": "plant"}}, "splits": {"main": {"dataset": "given", "per_class": 9}}}, "take the groups of given out"),
    "a new class in given folds": ({"data": {"given": CSV | {"fold_column": "fold"}}, "splits": {"more": {"dataset": "given"}}}, "splits.more.new_class: the photos of needles have no place in the given roles, folds or sites of given"),
    "what is done with leaks": ({"splits": {"main": {"on_leak": "forget"}}}, "splits.main.on_leak: should be 'exclude', 'report' or 'stop'"),
    "a margin of nothing": ({"equivalence_margin": 0}, "equivalence_margin: should be greater than 0, not 0"),
    "a mistake that pays": ({"costs": {"rust": {0: -1}}}, "costs.rust.0: should be greater than or equal to 0, not -1"),
    "a cost without an answer": ({"costs": {"rust": 5}}, "costs.rust: should be a valid dictionary, not 5"),
    "an endless cost": ({"costs": {"rust": {"blight": float("inf")}}}, "costs.rust.blight: should be a finite number"),
    "seeds": ({"experiments": {"first": {"seeds": 0}}}, "experiments.first.seeds"),
    "classes evened out twice": ({"experiments": {"first": {"loss": "logit_adjusted", "class_weights": "balanced"}}}, "experiments.first: loss: logit_adjusted and class_weights: balanced both"),
    "augmented activations": ({"experiments": {"first": CUT | {"augment": {"rotation": 5}}}}, "experiments.first: train_from: trains on stored activations, which augment cannot change"),
    "cut and mixed activations": ({"experiments": {"first": CUT | {"augment": {"mixup": 0.2, "cutmix": 1, "hue": 0.1}}}}, "but by mixup: set hue, cutmix to false or 0"),
    "a hue all round": ({"experiments": {"first": {"augment": {"hue": 0.6}}}}, "experiments.first.augment.hue: should be less than or equal to 0.5, not 0.6"),
    "a crop of more than all": ({"experiments": {"first": {"augment": {"random_crop": 1.5}}}}, "experiments.first.augment.random_crop: should be less than or equal to 1"),
    "a larger cache without crops": ({"experiments": {"first": {"cache_size": 96}}}, "experiments.first: cache_size: whole photos of 96 pixels are resized to size (64), and show no more than smaller ones: set augment.random_crop"),
    "a larger cache and crops of all": ({"experiments": {"first": {"cache_size": 96, "augment": {"random_crop": 1}}}}, "experiments.first: cache_size: whole photos"),
    "joined with nobody": (joining("frozen"), "backbones.both.join: must name two backbones or more, each once"),
    "joined with itself": (joining("frozen", "frozen"), "backbones.both.join: must name two backbones or more, each once"),
    "joined with no backbone": (joining("frozen", "othr"), "backbones.both.join: no backbone is called othr; did you mean other?"),
    "joined once more": (merge(joining("frozen", "other"), {"backbones": {"three": {"join": ["both", "other"]}}}), "backbones.three.join: both is joined itself; name its backbones in its place: frozen, other"),
    "joined of two splits": (joining("frozen", "other", split="more"), "backbones.both.split: is more, but frozen, which it joins, has main"),
    "joined with a leak": (joining("frozen", "other", leak=True), "backbones.both.leak: is True, but frozen, which it joins, has False"),
    "joined of two folds": (own_folds(1, 2), "backbones.both.join: the network of own1 knows all folds but 1, that of own2 all but 2"),
    "joined with a network that knows its folds": (merge(own_folds(1), {"backbones": {"both": {"run_folds": None}}}), "backbones.both.run_folds: must be [1]: the network first/fold1 was trained"),
    "trees on joined ones that know their folds": (merge(own_folds(1), {"boosting": {"trees": {"backbone": "both", "run_folds": [2]}}}), "boosting.trees.run_folds: must be [1]"),
    "a size of joined ones": (joining("frozen", "other", size=64), "backbones.both.size: unknown key; there are split, draw, train_photos, per_class, leak, run_folds, family, based_on, join, head"),
    "joined as text": ({"backbones": {"both": {"join": "frozen"}}}, "backbones.both.join: should be a valid list, not the text 'frozen'"),
    "Adam's keys on joined ones": (joining("frozen", "other", head={"epochs": 3}), "backbones.both.head.epochs: is a key of kind: adam"),
    "an unknown key of a joined head": (joining("frozen", "other", head={"kind": "adam", "epoch": 3}), "backbones.both.head.epoch: unknown key; did you mean epochs"),
    "joined without the key": ({"backbones": {"both": {"joins": ["frozen"]}}}, "backbones.both.network: is missing"),
    "a start of a joined head": (merge(joining("frozen", "other"), {"experiments": {"first": HEADED | {"head_from": "both_head"}}}), "experiments.first.head_from: both_head is fitted on joined features (frozen, other), which no network's last layer takes in"),
    "a smaller cache": ({"experiments": {"first": {"cache_size": 32, "augment": {"random_crop": 0.5}}}}, "experiments.first: cache_size: is 32, less than the 64 pixels that the network sees"),
    "a cache of activations": ({"experiments": {"first": CUT | {"cache_size": 96}}}, "experiments.first: cache_size: train_from trains on stored activations, not on photos; take cache_size out"),
    "a cache of a check": ({"overfit": {"check": {"split": "main", "cache_size": 96}}}, "overfit.check.cache_size: unknown key"),
    "a negative alpha": ({"experiments": {"first": {"augment": {"mixup": -1}}}}, "experiments.first.augment.mixup: should be greater than or equal to 0"),
    "activations of a frozen network": ({"experiments": {"first": CUT | {"frozen": True}}}, "experiments.first: takes one of the keys train_from and frozen"),
    "activations of no published network": ({"experiments": {"first": CUT | {"network": "vgg_small"}}}, "experiments.first: train_from: vgg_small has no published weights"),
    "views of no activations": ({"experiments": {"first": {"views": ["hflip"]}}}, "experiments.first: views: are those of train_from"),
    "views without the photo as it is": ({"experiments": {"first": CUT | {"views": ["hflip", "identity"]}}}, "experiments.first: views: begin with identity"),
    "a view twice": ({"experiments": {"first": CUT | {"views": ["identity", "hflip", "hflip"]}}}, "experiments.first: views: begin with identity, in which photos are judged, and name each once"),
    "no such view": ({"experiments": {"first": CUT | {"views": ["identity", "rot45"]}}}, "experiments.first.views.1: should be"),
    "a layer that is a path": ({"experiments": {"first": CUT | {"train_from": "../x"}}}, "experiments.first.train_from: "),
    "no such head": ({"experiments": {"first": HEADED | {"head_from": "frozn_head"}}}, "experiments.first.head_from: no head is called frozn_head; did you mean frozen_head?"),
    "a head of another network": ({"experiments": {"first": HEADED | {"network": "resnet18"}}}, "experiments.first.network: is resnet18, but frozen_head was fitted on features of frozen with squeezenet1_1"),
    "a head of another split": ({"experiments": {"first": HEADED | {"split": "more"}}}, "experiments.first.split: is more, but frozen_head"),
    "a head of a refit": ({"experiments": {"first": HEADED | {"refit": True}}}, "experiments.first.refit: takes no head_from"),
    "the name of a refit": ({"experiments": {"first": {"refit": True}, "first_refit": {}}}, "first_refit: two models would be called so"),
    "a head without the fold": ({"experiments": {"first": HEADED}, "backbones": {"frozen": {"run_folds": [1, 3]}}}, "experiments.first.head_from: frozen_head has no fold 2: see backbones.frozen"),
    "a head of other views alone": ({"backbones": {"frozen": {"head": {"views": ["hflip"]}}}}, "backbones.frozen.head.views: lacks identity, in which photos are judged: add it"),
    "a view of a head twice": ({"backbones": {"frozen": {"head": {"kind": "adam", "views": ["identity", "identity"]}}}}, "backbones.frozen.head.views: names identity more than once"),
    "a view of TTA twice": ({"experiments": {"first": {"tta": ["identity", "hflip", "hflip"]}}}, "experiments.first.tta: names hflip more than once"),
    "weights that nobody published": ({"experiments": {"first": {"weights": "imagenet"}}}, "experiments.first.weights: there are no published ones of small_cnn: take them out"),
    "a backbone that nobody trained": ({"backbones": {"frozen": {"network": "vgg_small"}}}, "backbones.frozen.weights: there are no published ones of vgg_small: take a network of an experiment"),
    "no such recipe": ({"experiments": {"first": {"recipe": "finetoon"}}}, "experiments.first.recipe: should be 'scratch' or 'finetune'"),
    "a sweep of recipes": ({"experiments": {"third": {"sweep": {"recipe": ["finetune"]}}}}, "experiments.third.sweep.recipe: cannot be swept"),
}  # fmt: skip


@pytest.mark.parametrize("sections, line", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_with_its_place(sections, line):
    with pytest.raises(StudyError) as caught:
        changed(**sections)
    assert line in str(caught.value)
    assert str(caught.value).startswith("mine.yaml: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text, line",
    {
        "a: [1": "line 1",
        "a: 1\na: 2": "line 2: not valid YAML: the key a is given twice",
        "- 1": "is no study file",
        "": "is no study file",
        "a: !!python/object/apply:os.system ['true']": "could not determine a constructor",
        "extends: self.yaml": "extends itself",
        "extends: nowhere.yaml": "no such study file",
        "extends: [1]": "extends: must be the path",
    }.items(),
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path, text, line):
    file = tmp_path / "self.yaml"
    file.write_text(text)
    with pytest.raises(StudyError) as caught:
        load(file)
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_an_experiment_states_only_what_differs():
    study = changed(defaults={"epochs": 7}, experiments={"third": {"based_on": "second", "batch_size": 8}})
    third = study.experiments["third"]
    assert (third.learning_rate, third.epochs, third.batch_size, third.based_on) == (1e-4, 3, 8, "second")
    assert study.experiments["first"].epochs == 7


def test_a_recipe_wins_over_what_an_entry_starts_from_and_its_own_keys_over_the_recipe():
    study = changed(
        defaults={"epochs": 7},
        experiments={
            "tuned": {"based_on": "first", "recipe": "finetune", "clip_norm": 5.0},
            "more": {"based_on": "tuned", "epochs": 30},
            "plain": {"based_on": "more", "recipe": "scratch"},
        },
        overfit={"check": {"split": "main", "recipe": "scratch"}, "tuned_check": {"split": "main", "recipe": "finetune"}},
    )  # fmt: skip
    tuned, more, plain = (study.experiments[name] for name in ("tuned", "more", "plain"))
    assert {key: getattr(tuned, key) for key in FINETUNE} == FINETUNE | {"clip_norm": 5.0}
    assert {key: getattr(more, key) for key in FINETUNE} == FINETUNE | {"clip_norm": 5.0, "epochs": 30}
    assert {key: getattr(plain, key) for key in FINETUNE} == {
        key: Experiment.model_fields[key].default for key in FINETUNE
    }
    # Each kind of entry has its own plain defaults.
    assert (study.overfit["check"].epochs, study.overfit["tuned_check"].epochs) == (30, FINETUNE["epochs"])
    assert study.plain()["experiments"]["tuned"]["schedule"] == "cosine"
    for_all = changed(defaults={"recipe": "finetune", "epochs": 7}).experiments["first"]
    assert (for_all.epochs, for_all.schedule, for_all.learning_rate) == (7, "cosine", 1e-4)


def test_the_plain_recipe_takes_back_what_the_other_set_and_nothing_else():
    study = changed(defaults={"epochs": 7}, experiments={"plain": {"recipe": "scratch"}})
    assert (study.experiments["plain"].epochs, study.experiments["plain"].learning_rate) == (7, 5e-5)


def test_an_untrained_network_below_a_head_is_the_one_that_the_head_is_of():
    study = changed(experiments={"first": HEADED})
    starts = {name: starts_from_weights(entry) for name, entry in study.experiments.items()}
    assert starts == {"first": True, "second": True}  # which is based on it
    assert Plan.weights_name("squeezenet1_1", "none") in Plan(study, ROOT).weights


def test_weights_that_are_no_file_are_told_before_a_run():
    with pytest.raises(StudyError, match="weights: imagnet is not there, as resnet18 has it: give imagenet"):
        Plan(changed(experiments={"first": {"network": "resnet18", "weights": "imagnet"}}), ROOT)


def test_a_sweep_is_an_experiment_a_value_and_seeds_repeat():
    study = changed(
        experiments={"third": {"based_on": "first", "sweep": {"epochs": [1, 2], "dropout": [0.1]}, "seeds": 2}}
    )
    assert [n for n in study.experiments if n.startswith("third")] == [
        "third_epochs_1_dropout_0.1", "third_epochs_1_dropout_0.1_seed2",
        "third_epochs_2_dropout_0.1", "third_epochs_2_dropout_0.1_seed2",
    ]  # fmt: skip
    assert study.experiments["third_epochs_2_dropout_0.1_seed2"].repeat == 1


def test_the_plan_says_which_model_each_one_repeats():
    views = {"tta": ["identity", "hflip"]}
    experiments = {
        "again": {"based_on": "first", "repeat": 1},
        "third": {"based_on": "first", "repeat": 1, "seeds": 2, **views},
        "third_seed3": {"based_on": "third", "epochs": 9},
        "second_seed2": {"split": "more"},
    }
    plan = Plan(changed(experiments=experiments), ROOT)
    assert {name: model.repeat_of for name, model in plan.models.items() if model.repeat_of} == {
        "third_seed2": "third", "third_seed2_tta": "third_tta",
    }  # fmt: skip
    pairs = {pair["model"]: (pair["models"], pair["based_on_models"]) for pair in plan.pairs()}
    assert pairs["again"] == (["again"], ["first"]) and pairs["third"] == (["third", "third_seed2"], ["first"])
    assert pairs["third_tta"] == (["third_tta", "third_seed2_tta"], ["third", "third_seed2"])
    assert pairs["third_seed3"] == (["third_seed3"], ["third", "third_seed2"]) and "third_seed2" not in pairs
    told = dict(RULES["choose_model"](plan))["main"]["models"]
    assert {model["name"]: model["repeat_of"] for model in told if model["name"].startswith("third_seed")} == {
        "third_seed2": "third", "third_seed2_tta": "third_tta", "third_seed3": None,
    }  # fmt: skip


def test_a_repeat_of_a_repeat_is_one_of_the_first():
    plan = Plan(changed(experiments={"a": {}, "a_seed2": {"repeat": 1, "seeds": 2}}), ROOT)
    assert plan.models["a_seed2"].repeat_of == plan.models["a_seed2_seed2"].repeat_of == "a"


def test_numbers_in_scientific_notation_are_numbers(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text(
        "data: {d: {source: demo}}\nsplits: {main: {dataset: d, test: 9}}\n"
        "experiments: {a: {split: main, learning_rate: 5e-5}}\n"
    )
    assert load(file).experiments["a"].learning_rate == 5e-5


def test_a_protocol_sets_the_switches_and_a_key_wins():
    base = {"splits": {"main": {"per_class": 20}}, "experiments": {"third": {"draw": "as_found"}}}
    published = changed(protocol="published", **base)
    corrected = changed(**base)
    for study, name in ((published, "published"), (corrected, "corrected")):
        preset = PROTOCOLS[name]
        assert study.splits["main"].fold_kind == preset["split"]["fold_kind"]
        assert study.splits["more"].new_class.in_every_fold == preset["new_class"]["in_every_fold"]
        assert study.experiments["third"].leak == preset["sampling"]["leak"]
        assert study.experiments["third"].normalisation == preset["learning"]["normalisation"]
        trees = study.boosting["trees"].model_dump()
        assert {key: trees[key] for key in preset["boosting"]} == preset["boosting"]
        assert study.backbones["frozen"].head.kind == preset["head"]["kind"]
    assert not published.experiments["first"].leak, "a balanced draw comes from the pool in the published study too"
    mixed = changed(protocol="published", splits={"main": {"per_class": 20, "fold_kind": "stratified"}})
    assert mixed.splits["main"].fold_kind == "stratified"


def test_the_published_study_grows_its_trees_and_fits_its_heads_as_it_did():
    """Under either protocol, and on the sample: what is tuned by default is not in it."""
    for file in (
        "config/cassava",
        "config/cassava-published",
        "tests/studies/cassava",
        "tests/studies/cassava-published",
    ):
        study = load(ROOT / f"{file}.yaml")
        assert {backbone.head.kind for backbone in study.backbones.values() if backbone.head} <= {"adam"}
        for booster in study.boosting.values():
            assert (booster.early_stopping, booster.subsample, booster.colsample_bynode) == (None, 1, 1)


def test_a_null_entry_takes_out_what_the_extended_file_has(tmp_path):
    (tmp_path / "below.yaml").write_text(
        "data: {d: {source: demo}}\nsplits: {main: {dataset: d, test: 9}}\n"
        "defaults: {split: main}\nexperiments: {a: {}, b: {}}\n"
    )
    (tmp_path / "above.yaml").write_text("extends: below.yaml\nexperiments: {a: null, c: {}}\n")
    assert list(load(tmp_path / "above.yaml").experiments) == ["b", "c"]


@pytest.mark.parametrize("counts, line", [
    ({"a": 200, "b": 39}, "class b has 39 photos"),
    ({"a": 70, "b": 70}, "experiments.first.train_photos: 90 asked for"),
])  # fmt: skip
def test_more_photos_than_there_are(counts, line):
    study = changed(splits={"main": {"test": 60}}, experiments={"first": {"train_photos": 90}})
    with pytest.raises(StudyError, match=line):
        checks.check_counts(study, FILE, {"leaves": counts})


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_every_study_that_comes_along_is_right(file):
    study = load(file) if file.stem != "cassava-data" else None
    if study is not None:
        plan = Plan(study, ROOT)
        names = [(rule, name) for rule, name, _ in all_jobs(plan)]
        assert len(names) == len(set(names)), "two jobs would share a settings file"


def test_the_published_study_has_every_experiment_of_its_table():
    table = (ROOT / "config" / "published" / "experiments.csv").read_text().splitlines()[1:]
    models = Plan(load(ROOT / "config" / "cassava.yaml"), ROOT).models
    assert {line.split(",")[0] for line in table} <= set(models)


def test_a_competition_says_nothing_of_its_photos_but_what_it_is_told():
    data = changed(data={"third": {"source": "kaggle", "competition": "leaves"}}).data["third"]
    assert (data.labels, data.photos, data.class_names) == ("train.csv", ".", None)


def test_fits_are_named_fold_by_fold():
    plan = Plan(changed(), ROOT)
    assert plan.fitted("head") == [("frozen_head", fold) for fold in range(1, 6)]
    assert plan.fitted("network", "boosting")[4:6] == [("first", 5), ("second", 1)]
    assert plan.fitted("boosting")[-1] == ("trees_refit", 0)


def test_a_refit_is_paired_with_the_single_models_of_its_folds():
    plan = Plan(
        changed(boosting={"trees": {"run_folds": [2, 3]}, "other": {"backbone": "frozen", "refit": False}}), ROOT
    )
    assert [(pair["model"], pair["based_on"], pair["split"], pair["part"]) for pair in plan.refits] == [
        ("trees_refit", "trees", "main", part) for part in ("test", "test_as_found")
    ]
    assert all(pair["models"] == ["trees_refit"] for pair in plan.refits)
    assert all(pair["based_on_models"] == ["trees/fold2", "trees/fold3"] for pair in plan.refits)
    assert plan.refit_predictions == [
        (name, part) for part in ("test", "test_as_found") for name in ("trees_refit", "trees/fold2", "trees/fold3")
    ]


@pytest.mark.parametrize(
    ("found", "study", "jobs"),
    [(4, {"gpu_slots": 2}, 8), (4, {}, 4), (0, {"gpu_slots": 3}, 3), (4, {"device": "cpu"}, 1)],
)
def test_as_many_gpu_jobs_run_as_gpus_and_slots_make(found, study, jobs, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(load_module.gpus, "count", lambda: found)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(BASE | study))
    monkeypatch.setattr(sys, "argv", ["load", str(tmp_path / "mine.yaml")])
    assert load_module.main() == 0
    # `make report` takes what is printed as the number; the title goes to the terminal.
    told = capsys.readouterr()
    assert told.out == f"{jobs}\n" and "A study of leaf photos" in told.err


def test_a_data_set_gives_what_its_keys_name():
    assert changed(data={"given": CSV | {"site_from_exif": True}}).data["given"].gives == {"site"}
    study = changed(data={"given": CSV | {"site_column": "farm", "group_pattern": "(p)", "fold_column": "fold"}})
    assert study.data["given"].gives == {"site", "given_group", "given_fold"}
    assert study.data["leaves"].gives == set()
    folder = {"source": "folder", "photos": "photos", "role_folders": True}
    assert changed(data={"given": folder}).data["given"].gives == {"given_role"}


def test_labels_are_held_against_the_roles_of_a_split():
    study = changed(data={"given": CSV | {"role_column": "split"}}, splits={"own": {"dataset": "given", "folds": 3}})
    roles = ["train", "validation", "test"] * 20
    labels = [Label(f"{n}.jpg", "ab"[n % 2], "", given_role=role) for n, role in enumerate(roles)]
    with pytest.raises(StudyError, match=r"^mine.yaml: splits.own.folds: 20 photos have the role validation.*folds: 1"):
        checks.check_labels(study, FILE, {"given": labels})
    checks.check_labels(study, FILE, {"given": [label for label in labels if label.given_role != "validation"]})
    assert Plan(study, ROOT).study.splits["own"].test is None


def test_labels_that_costs_name_are_held_against_those_of_all_splits():
    study = changed(costs={1: {"needle": 3}}, splits={"main": {"test": 2}})
    assert study.costs == {"1": {"needle": 3.0}}
    labels = [Label(f"{n}.jpg", str(n % 2), "") for n in range(200)]
    checks.check_labels(study, FILE, {"leaves": labels})
    study = changed(costs={1: {"2": 3}}, splits={"main": {"test": 2}})
    with pytest.raises(StudyError, match=r"^mine.yaml: costs.1.2: no photo has the label 2; there are 0, 1, needle$"):
        checks.check_labels(study, FILE, {"leaves": labels})
    # Not before all labels are known.
    checks.check_labels(study, FILE, {})


def test_costs_and_the_margin_reach_the_jobs_that_use_them():
    plan = Plan(changed(costs={1: {"needle": 3}}, equivalence_margin=1), ROOT)
    told = {rule: settings for rule, _, settings in all_jobs(plan)}
    assert {rule for rule, settings in told.items() if "costs" in settings} == {"score_model", "summarise_scores"}
    assert [rule for rule, settings in told.items() if "equivalence_margin" in settings] == ["compare_models"]
