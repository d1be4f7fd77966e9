"""Exactly what changed: a table of edits to a finished study, each with the very jobs that it must cause."""

import os
import shutil
from pathlib import Path

import pytest
from conftest import CODE, ROOT

from manihot.core.digest import code_digest

FOLDS = ("1", "2")
NETWORKS = {"imbalanced": FOLDS, "balanced": FOLDS, "new_class": FOLDS, "frozen": ("1",)}
BASED_ON_BALANCED = ["balanced", "new_class", "frozen"]
BOOSTERS = {"xgboost_1": FOLDS, "xgboost_1_refit": ("0",)}
HEADS = {"squeezenet_head": FOLDS}
# What ends every change of a score. The head is compared with nothing.
END = {"summarise_scores", "build_report"}
# Its booster is refitted: that is a switch.
COMPARED = END | {"compare_models", "weigh_switches"}
REPORT = {"build_report"}
# The splits that models are fitted on, and the one whose photos are also tried without their middle.
PROBED, MASKED = ("main", "with_needles"), ("main",)
MASKED_HEAD = {f"{rule} {split}" for rule in ("probe_masked", "weigh_masked") for split in MASKED}
# Its head is fitted again on fewer photos, too.
FEWER = {f"{rule} {split}" for rule in ("fit_fewer_photos", "weigh_more_photos") for split in MASKED}


def scored(*models):
    """The jobs that follow a model's predictions."""
    rules = ("ensemble_folds", "score_model")
    # No head is compared, and trees only where they are refitted.
    end = END if set(models) <= set(HEADS) else END | {"weigh_switches"} if set(models) <= set(BOOSTERS) else COMPARED
    looked = {"draw_grad_cams"} if set(models) & {*NETWORKS, *HEADS} else set()
    return {f"{rule} {model}" for rule in rules for model in models} | chosen(*models) | looked | end


def chosen(*models):
    """The choices that models are in: one a split."""
    return {f"choose_model {'with_needles' if model == 'new_class' else 'main'}" for model in models}


def predicted(*experiments):
    """The jobs that follow an experiment's weights: its predictions, and those of its views."""
    models = [m for e in experiments for m in ([e, f"{e}_tta"] if e == "balanced" else [e])]
    folds = {f"predict_fold {m} {fold}" for m in models for fold in NETWORKS[m.removesuffix("_tta")]}
    return folds | scored(*models)


def trained(*experiments):
    """The jobs that follow from an experiment's settings or photos."""
    folds = {f"train_fold {e} {fold}" for e in experiments for fold in NETWORKS[e]}
    return folds | predicted(*experiments)


def fitted(**models):
    """The jobs that follow from the settings of heads and boosters, or from their features."""
    jobs = set()
    for model, folds in models.items():
        kind = "head" if model in HEADS else "booster"
        jobs |= {f"{verb}_{kind} {model} {fold}" for verb in ("fit", "predict") for fold in folds}
    return jobs | scored(*models)


def append(path, text):
    """An edit that adds a line of code to a file."""

    return lambda project: project.append(path, text)


def swap(old, new, path="tests/studies/tiny.yaml"):
    """An edit that replaces a text."""
    return lambda project: project.edit(path, old, new)


def touch(*paths):
    """An edit that changes nothing but times."""

    def edit(project):
        for path in paths:
            for file in project.folder.glob(path):
                os.utime(file)

    return edit


OVERFIT = {"check_overfit small_cnn_overfit"}

# Edits of the study file, and the jobs that each must cause. Edits that stand together are tried together: each has jobs
# of its own. Settings of the report hold the whole study.
STUDY_EDITS = [
    {
        "one experiment's learning rate": (swap("new_class: {based_on: balanced,", "new_class: {based_on: balanced, learning_rate: 2e-3,"), trained("new_class") | REPORT),
        "an experiment's epochs": (swap("frozen: {based_on: balanced,", "frozen: {based_on: balanced, epochs: 3,"), trained("frozen")),
        "an experiment's views": (swap("tta: [identity, hflip]", "tta: [identity, vflip]"), {f"predict_fold balanced_tta {f}" for f in FOLDS} | scored("balanced_tta")),
        "the overfit check": (swap("epochs: 4, learning_rate: 1e-3", "epochs: 5, learning_rate: 1e-3"), OVERFIT | REPORT),
        "a head's epochs": (swap("head: {kind: adam, epochs: 2", "head: {kind: adam, epochs: 3"), fitted(**HEADS) | MASKED_HEAD | FEWER),
        "a booster's trees": (swap("n_estimators: 4", "n_estimators: 5"), fitted(**BOOSTERS)),
    },
    {
        "an experiment's augmentation": (swap("new_class: {based_on: balanced,", "new_class: {based_on: balanced, augment: {vertical_flip: true},"), trained("new_class") | {"show_augmentation new_class"}),
        "an experiment's dropout": (swap("frozen: {based_on: balanced,", "frozen: {based_on: balanced, dropout: 0.1,"), trained("frozen")),
        "a new experiment": (swap("experiments:\n", "experiments:\n  more: {draw: balanced, learning_rate: 1e-2}\n"), {
            "sample_photos main more", "ensemble_folds more", "score_model more",
            *(f"{r} more {f}" for r in ("train_fold", "predict_fold") for f in FOLDS), *chosen("more"), *END, "weigh_switches", "draw_grad_cams"}),
        "a head's views, which the probe's heads have not": (swap("views: [identity, hflip]}}", "views: [identity]}}"), fitted(**HEADS) | FEWER),
    },
    {
        "a learning rate that others inherit": (swap("balanced: {based_on: imbalanced,", "balanced: {based_on: imbalanced, learning_rate: 2e-3,"), trained(*BASED_ON_BALANCED)),
        "nothing of more photos": (swap("photos: {shards: 2}\n", "photos: {shards: 2}\nmore_photos: false\n"), REPORT),
        "no photos without their middle": (swap("photos: {shards: 2}\n", "photos: {shards: 2}\nprobes: {masked: false}\n"), REPORT),
    },
    {
        "the title": (swap("title: Tiny", "title: Small"), REPORT),
        "no refit": (swap("max_depth: 2}", "max_depth: 2, refit: false}"), chosen("xgboost_1_refit") | END),
    },
    {
        "an experiment's batch size, which predictions share": (swap("frozen: {based_on: balanced,", "frozen: {based_on: balanced, batch_size: 8,"), trained("frozen")),
    },
    {
        "an experiment's run folds": (swap("run_folds: [1]", "run_folds: [1, 2]"), {"train_fold frozen 2", "predict_fold frozen 2"} | scored("frozen")),
    },
    {
        "the coverage of sets": (swap("resamples: 200", "resamples: 200\ncoverage: 0.8"), {f"score_model {m}" for m in [*NETWORKS, "balanced_tta", *HEADS, *BOOSTERS]} | chosen("balanced", "new_class") | END),
    },
    {
        "other people's photos to try models on": (swap("boosting:\n", "external:\n  others: {dataset: needles, classes: {needle: '1', round leaf: null, lobed leaf: null}, models: [balanced_tta, xgboost_1_refit]}\nboosting:\n"), {
            "map_external others", "extract_features squeezenet needles 32 identity", "predict_external others xgboost_1_refit 0",
            *(f"predict_external others balanced_tta {f}" for f in FOLDS), *(f"score_external others {m}" for m in ("balanced_tta", "xgboost_1_refit"))}),
    },
    {
        "an experiment's family": (swap("frozen: {based_on: balanced,", "frozen: {based_on: balanced, family: others,"), chosen("frozen") | COMPARED),
    },
    {
        "an experiment removed": (swap("  new_class: {based_on: balanced, split: with_needles}\n", ""), COMPARED | {"measure_speeds", "draw_reference main", "draw_grad_cams"}),
    },
    {
        "the resamples": (swap("resamples: 200", "resamples: 300"), {f"score_model {m}" for m in [*NETWORKS, "balanced_tta", *HEADS, *BOOSTERS]} | COMPARED
            | {f"{rule} {split}" for rule in ("probe_facts", "choose_model") for split in PROBED} | {f"{rule} {split}" for rule in ("weigh_masked", "weigh_more_photos") for split in MASKED}),
    },
]  # fmt: skip


@pytest.mark.parametrize("edits", STUDY_EDITS, ids=", ".join)
def test_edits_of_the_study_cause_their_very_jobs(finished_copy, edits):
    shared = COMPARED | REPORT | chosen("balanced", "new_class") | {"draw_grad_cams"}
    own = [jobs - shared for _, jobs in edits.values()]
    assert sum(map(len, own)) == len(set().union(*own)), "edits that are tried together have no job in common"
    wanted = set(REPORT)
    for edit, jobs in edits.values():
        edit(finished_copy)
        wanted |= jobs
    assert set(finished_copy.jobs()) == wanted


def test_edits_that_change_no_result_cause_nothing(finished_copy):
    augment = "src/manihot/networks/augment.py"
    for edit in (
        append("src/manihot/splits/roles.py", "\n# a comment\n"),
        swap('"""The tables that', '"""Those tables that', "src/manihot/core/tables.py"),
        append("src/manihot/core/job.py", CODE),
        append("src/manihot/core/progress.py", CODE),
        # An edit and its revert.
        append(augment, CODE),
        swap(CODE, "", augment),
        touch("src/manihot/**/*.py", "workflow/scripts/*.py", "Snakefile", "tests/studies/*"),
    ):
        edit(finished_copy)
    assert not finished_copy.jobs()


# The rules whose code an edit of a module changes, and some whose code it leaves as it is.
MODULES = {
    "networks/augment.py": ({"train_fold", "predict_fold", "extract_features", "fit_head"}, {"catalog_shard", "split_photos", "cache_pixels"}),
    "catalog/inspect.py": ({"catalog_shard", "cache_pixels"}, {"list_photos", "fetch_weights"}),
    "catalog/fingerprints.py": ({"catalog_shard", "build_catalog", "find_copies"}, {"list_photos", "fetch_weights"}),
    "catalog/duplicates.py": ({"build_catalog", "find_copies"}, {"catalog_shard", "cache_pixels", "list_photos", "fetch_weights"}),
    "catalog/exif.py": ({"catalog_shard", "build_catalog"}, {"list_photos", "fetch_weights"}),
    "pixels/cache.py": ({"cache_pixels"}, {"catalog_shard", "build_catalog", "split_photos", "sample_photos"}),
    "splits/roles.py": ({"split_photos"}, {"build_catalog", "cache_pixels", "extract_features"}),
    "splits/folding.py": ({"split_photos"}, {"build_catalog", "cache_pixels", "extract_features"}),
    "splits/whole_groups.py": ({"split_photos"}, {"build_catalog", "cache_pixels", "extract_features"}),
    "splits/folds.py": ({"train_fold", "fit_head", "predict_booster"}, {"split_photos", "sample_photos", "cache_pixels"}),
    "splits/sampling.py": ({"split_photos", "sample_photos"}, {"build_catalog", "cache_pixels", "extract_features"}),
    "splits/as_published.py": ({"split_photos"}, {"build_catalog", "cache_pixels", "catalog_shard"}),
    "networks/build.py": ({"train_fold", "predict_fold", "extract_features", "check_overfit"}, {"split_photos", "cache_pixels"}),
    "training/trainer.py": ({"train_fold", "check_overfit"}, {"fit_head", "fit_booster", "extract_features", "sample_photos"}),
    "features/boosting.py": ({"fit_booster", "predict_booster"}, {"train_fold", "fit_head", "extract_features"}),
    "features/heads.py": ({"fit_head", "predict_head"}, {"train_fold", "fit_booster", "extract_features"}),
    "features/masking.py": ({"extract_features"}, {"train_fold", "cache_pixels", "probe_facts"}),
    "networks/grad_cam.py": ({"draw_grad_cams"}, {"train_fold", "predict_fold"}),
    "predictions/telling.py": ({"draw_grad_cams", "build_report"}, {"ensemble_folds"}),
    "predictions/masked.py": ({"probe_masked"}, {"extract_features", "fit_head", "predict_head", "probe_facts"}),
    "scores/probes.py": ({"probe_facts", "weigh_masked"}, {"probe_masked", "score_model", "summarise_scores"}),
    "predictions/fewer_photos.py": ({"fit_fewer_photos"}, {"fit_head", "predict_head", "probe_masked"}),
    "scores/more_photos.py": ({"weigh_more_photos"}, {"fit_fewer_photos", "score_model", "choose_model"}),
    "scores/facts.py": ({"probe_facts"}, {"probe_masked", "score_model", "catalog_shard", "split_photos"}),
    "scores/score.py": ({"score_model"}, {"ensemble_folds", "predict_fold", "train_fold"}),
    "scores/choice.py": ({"choose_model"}, {"score_model", "summarise_scores", "compare_models"}),
    "scores/intervals.py": ({"score_model", "choose_model", "summarise_scores", "compare_models"}, {"ensemble_folds", "predict_fold", "train_fold"}),
    "scores/comparisons.py": ({"compare_models"}, {"score_model", "ensemble_folds"}),
    "photos/demo.py": ({"list_photos"}, set()),
    "applied/sets.py": ({"ensemble_folds", "score_model"}, {"draw_reference", "predict_fold", "compare_models"}),
    "applied/unlike.py": ({"draw_reference"}, {"ensemble_folds", "score_model", "extract_features"}),
    "applied/looked.py": ({"draw_grad_cams"}, {"predict_fold", "score_model"}),
    "applied/members.py": (set(), {"draw_reference", "ensemble_folds", "score_model"}),
    "scores/coverage.py": ({"score_model", "score_external"}, {"ensemble_folds", "draw_reference"}),
    "scores/external.py": ({"score_external"}, {"score_model", "map_external", "predict_external"}),
    "splits/external.py": ({"map_external"}, {"split_photos", "predict_external", "score_external"}),
    "predictions/external.py": ({"predict_external"}, {"predict_fold", "score_external"}),
}  # fmt: skip
# The rules that have this code and no other.
ONE_RULE = {
    "figures/plots.py": {"build_report"},
    "report/tables.py": {"build_report"},
    "report/style.css": {"build_report"},
    "report/template.html": {"build_report"},
    "study/schema.py": set(),
    "study/plan.py": set(),
}


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """A copy of the package that a test may change."""
    return Path(shutil.copytree(ROOT / "src/manihot", tmp_path_factory.mktemp("package") / "manihot"))


def changed_rules(package: Path, module: str) -> set[str]:
    """The rules whose code in `results/settings` another line in a module would change."""
    scripts = sorted((ROOT / "workflow/scripts").glob("*.py"))
    before = {script.stem: code_digest(script, package) for script in scripts}
    text = (package / module).read_text()
    (package / module).write_text(text + CODE)
    after = {script.stem: code_digest(script, package) for script in scripts}
    (package / module).write_text(text)
    return {rule for rule, code in after.items() if code != before[rule]}


@pytest.mark.parametrize("module", MODULES)
def test_an_edit_of_a_module_changes_the_code_of_the_rules_that_import_it(package, module):
    changes, stays = MODULES[module]
    rules = changed_rules(package, module)
    assert changes <= rules and not stays & rules


@pytest.mark.parametrize("module", ONE_RULE)
def test_an_edit_of_the_report_or_of_the_study_changes_no_other_code(package, module):
    assert changed_rules(package, module) == ONE_RULE[module]


# The rules that the engine must start after an edit of a module, what follows included, and some that it must leave.
FOLLOWING = {
    "catalog/duplicates.py": ({"build_catalog", "find_copies", "split_photos", "probe_facts"}, {"catalog_shard", "list_photos", "fetch_weights"}),
    "pixels/cache.py": ({"cache_pixels", "train_fold", "extract_features"}, {"catalog_shard", "build_catalog", "split_photos", "sample_photos"}),
    "splits/roles.py": ({"split_photos", "sample_photos", "train_fold"}, {"build_catalog", "cache_pixels", "extract_features"}),
    "features/boosting.py": ({"fit_booster", "predict_booster", "score_model"}, {"train_fold", "fit_head", "extract_features"}),
    "features/masking.py": ({"extract_features", "probe_masked", "weigh_masked"}, {"train_fold", "cache_pixels", "probe_facts"}),
    "predictions/masked.py": ({"probe_masked", "weigh_masked"}, {"extract_features", "fit_head", "predict_head", "probe_facts"}),
    "scores/probes.py": ({"probe_facts", "weigh_masked", "build_report"}, {"probe_masked", "score_model", "summarise_scores"}),
    "scores/score.py": ({"score_model", "choose_model", "summarise_scores"}, {"ensemble_folds", "predict_fold", "train_fold", "compare_models"}),
    "applied/unlike.py": ({"draw_reference", "build_report"}, {"ensemble_folds", "score_model", "extract_features"}),
}  # fmt: skip


@pytest.mark.parametrize("module", FOLLOWING)
def test_an_edit_of_a_module_reruns_what_follows_from_it(finished_copy, module):
    reruns, stays = FOLLOWING[module]
    append(f"src/manihot/{module}", CODE)(finished_copy)
    rules = set(finished_copy.rules())
    assert reruns <= rules and not stays & rules


def test_an_edit_of_the_report_reruns_the_report(finished_copy):
    append("src/manihot/report/template.html", "<!-- more -->\n")(finished_copy)
    assert set(finished_copy.jobs()) == REPORT


def test_settings_serve_after_the_engine_lost_its_records(finished_copy):
    shutil.rmtree(finished_copy.folder / ".snakemake")
    assert not finished_copy.jobs()
    swap("n_estimators: 4", "n_estimators: 5")(finished_copy)
    assert set(finished_copy.jobs()) == fitted(**BOOSTERS)
