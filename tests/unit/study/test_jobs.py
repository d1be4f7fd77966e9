"""Every rule has a function that says what its jobs know, and no function is without a rule."""

import re
from dataclasses import fields
from pathlib import Path

import yaml

from manihot.features import boosting
from manihot.networks.augment import Augmentation, parts
from manihot.study.jobs import RULES, all_jobs
from manihot.study.load import build, load
from manihot.study.paths import Paths
from manihot.study.plan import Plan
from manihot.training.recipe import Recipe

ROOT = Path(__file__).parents[3]
WRITTEN = "\n".join(path.read_text() for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")))


def test_every_rule_has_its_settings_and_no_settings_are_without_a_rule():
    written = re.findall(r"^rule (\w+):(.*?)(?=^rule |\Z)", WRITTEN, re.MULTILINE | re.DOTALL)
    asked = {rule: re.findall(r'settings_of\("(\w+)"', body) for rule, body in written}
    assert asked == {rule: [rule] for rule in asked}
    assert set(asked) == set(RULES)


def test_every_rule_of_settings_has_a_script():
    assert set(RULES) == {path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py")}


def test_jobs_come_in_the_order_of_the_rules_and_the_study():
    plan = Plan(load(ROOT / "tests" / "studies" / "tiny.yaml"), ROOT)
    jobs = [(rule, name) for rule, name, _ in all_jobs(plan)]
    assert list(dict.fromkeys(rule for rule, _ in jobs)) == [rule for rule in RULES if rule in dict(jobs)]
    assert [name for rule, name in jobs if rule == "score_model"] == list(plan.models)


def test_trainings_are_told_what_a_recipe_holds():
    for study in ("tiny", "tuned"):
        told = [settings for rule, _, settings in all_jobs(Plan(load(ROOT / f"tests/studies/{study}.yaml"), ROOT))]
        recipes = [
            settings["recipe"]
            for settings in told
            if "epochs" in settings.get("recipe", {}) and "input" in settings["recipe"]
        ]
        assert recipes and all(set(recipe) == {field.name for field in fields(Recipe)} for recipe in recipes)


def test_activations_are_stored_once_for_all_experiments_of_a_cut():
    plan = Plan(load(ROOT / "tests" / "studies" / "tuned.yaml"), ROOT)
    told = {(rule, name): settings for rule, name, settings in all_jobs(plan)}
    (cut,) = [name for rule, name in told if rule == "store_activations"]
    assert cut == "shufflenet_v2_x0_5-none-weights-32px-stage4"
    assert set(told["store_activations", cut]) == {"input", "train_from", "compute"}
    # Views that are stored are predicted from activations, others from pixels.
    asked = {name: told["predict_fold", name]["viewing"]["train_from"] for name in plan.of_kind("network", "tta")}
    layer = "stage4"
    assert asked == {
        "whole": None, "from_cut": layer, "from_cut_refit": layer, "from_cut_tta": layer, "other_views": layer, "other_views_tta": None,
    }  # fmt: skip
    assert plan.weights.keys() == {"shufflenet_v2_x0_5-none"}


def test_augmented_photos_are_shown_once_an_experiment_and_validated_on_without_the_new_changes():
    study = yaml.safe_load((ROOT / "tests" / "studies" / "tiny.yaml").read_text())
    cut = {"network": "resnet18", "train_from": "layer4", "augment": {"mixup": 0.2}, "size": 64}
    study["experiments"] |= {
        "cropped": {"augment": {"vertical_flip": True, "random_crop": 0.5}, "flips_at_validation": True, "seeds": 2, "run_folds": [2]},
        "from_cut": cut,
    }  # fmt: skip
    plan = Plan(build(study, Path("mine.yaml")), ROOT)
    told = {(rule, name): settings for rule, name, settings in all_jobs(plan)}
    assert [name for rule, name in told if rule == "show_augmentation"] == plan.augmented == ["cropped"]
    assert told["show_augmentation", "cropped"]["fold"] == 2
    assert Paths(plan).report_inputs()["augmented"] == ["results/training/augmented/cropped.jpg"]
    validated = told["predict_fold", "cropped"]["viewing"]["validation_augment"]
    assert validated == {"horizontal_flip": False, "vertical_flip": True, "right_angles": False, "rotation": 0.0}
    assert Augmentation(**validated) == parts(told["train_fold", "cropped"]["recipe"]["augment"])[0].at_validation()


def test_a_job_is_told_only_what_concerns_it():
    plan = Plan(load(ROOT / "tests" / "studies" / "tiny.yaml"), ROOT)
    known = {(rule, name): set(settings) for rule, name, settings in all_jobs(plan)}
    told = {(rule, name): settings for rule, name, settings in all_jobs(plan)}
    for name in plan.of_kind("boosting"):
        assert set(told["fit_booster", name]["recipe"]) == {field.name for field in fields(boosting.Recipe)}
        # A change of the precision, which trees do not have, grows none again.
        assert set(told["fit_booster", name]["compute"]) == {"device", "gpu_slots", "threads"}
    assert all("root" not in keys for (rule, _), keys in known.items() if rule == "train_fold")
