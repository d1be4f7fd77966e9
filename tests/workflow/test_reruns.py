"""Exactly what changed: a table of edits to a finished study, each with the very jobs that it must cause."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import Project

from manihot.core import files

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
    return {f"{rule} {model}" for rule in rules for model in models} | chosen(*models) | end


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

    def edit(project):
        with (project.folder / path).open("a") as handle:
            handle.write(text)

    return edit


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


def both(*edits):
    def edit(project):
        for one in edits:
            one(project)

    return edit


CODE = "\n\ndef added() -> int:\n    return 1\n"
OVERFIT = {"check_overfit small_cnn_overfit"}

# An edit of the study file, and the jobs that it must cause. Settings of the report hold the whole study.
STUDY_EDITS = {
    "one experiment's learning rate": (swap("new_class: {based_on: balanced,", "new_class: {based_on: balanced, learning_rate: 2e-3,"), trained("new_class") | REPORT),
    "a learning rate that others inherit": (swap("balanced: {based_on: imbalanced,", "balanced: {based_on: imbalanced, learning_rate: 2e-3,"), trained(*BASED_ON_BALANCED)),
    "one experiment's epochs": (swap("frozen: {based_on: balanced,", "frozen: {based_on: balanced, epochs: 3,"), trained("frozen")),
    "its dropout": (swap("frozen: {based_on: balanced,", "frozen: {based_on: balanced, dropout: 0.1,"), trained("frozen")),
    "its augmentation": (swap("new_class: {based_on: balanced,", "new_class: {based_on: balanced, augment: {vertical_flip: true},"), trained("new_class") | {"show_augmentation new_class"}),
    "its views": (swap("tta: [identity, hflip]", "tta: [identity, vflip]"), {f"predict_fold balanced_tta {f}" for f in FOLDS} | scored("balanced_tta")),
    "its batch size, which predictions share": (swap("frozen: {based_on: balanced,", "frozen: {based_on: balanced, batch_size: 8,"), trained("frozen")),
    "its run folds": (swap("run_folds: [1]", "run_folds: [1, 2]"), {"train_fold frozen 2", "predict_fold frozen 2"} | scored("frozen")),
    "its family": (swap("frozen: {based_on: balanced,", "frozen: {based_on: balanced, family: others,"), chosen("frozen") | COMPARED),
    "a new experiment": (swap("experiments:\n", "experiments:\n  more: {draw: balanced, learning_rate: 1e-2}\n"), {
        "sample_photos main more", "ensemble_folds more", "score_model more",
        *(f"{r} more {f}" for r in ("train_fold", "predict_fold") for f in FOLDS), *chosen("more"), *END, "weigh_switches"}),
    "an experiment removed": (swap("  new_class: {based_on: balanced, split: with_needles}\n", ""), COMPARED),
    "the title": (swap("title: Tiny", "title: Small"), REPORT),
    "the overfit check": (swap("epochs: 4, learning_rate: 1e-3", "epochs: 5, learning_rate: 1e-3"), OVERFIT | REPORT),
    "a head's epochs": (swap("head: {kind: adam, epochs: 2", "head: {kind: adam, epochs: 3"), fitted(**HEADS) | MASKED_HEAD | FEWER),
    "a head's views, which the probe's heads have not": (swap("views: [identity, hflip]}}", "views: [identity]}}"), fitted(**HEADS) | FEWER),
    "nothing of more photos": (swap("photos: {shards: 2}\n", "photos: {shards: 2}\nmore_photos: false\n"), REPORT),
    "no photos without their middle": (swap("photos: {shards: 2}\n", "photos: {shards: 2}\nprobes: {masked: false}\n"), REPORT),
    "a booster's trees": (swap("n_estimators: 4", "n_estimators: 5"), fitted(**BOOSTERS)),
    "no refit": (swap("max_depth: 2}", "max_depth: 2, refit: false}"), chosen("xgboost_1_refit") | END),
    "the resamples": (swap("resamples: 200", "resamples: 300"), {f"score_model {m}" for m in [*NETWORKS, "balanced_tta", *HEADS, *BOOSTERS]} | COMPARED
        | {f"{rule} {split}" for rule in ("probe_facts", "choose_model") for split in PROBED} | {f"{rule} {split}" for rule in ("weigh_masked", "weigh_more_photos") for split in MASKED}),
}  # fmt: skip


CODE_EDITS = {
    "a comment": (append("src/manihot/splits/roles.py", "\n# why\n"), set()),
    "a docstring": (swap('"""The tables that', '"""Those tables that', "src/manihot/core/tables.py"), set()),
    "a touch of every source": (touch("src/manihot/**/*.py", "workflow/scripts/*.py", "Snakefile", "tests/studies/*"), set()),
    "job.py and progress.py": (both(append("src/manihot/core/job.py", CODE), append("src/manihot/core/progress.py", CODE)), set()),
    "an edit and its revert": (both(append("src/manihot/networks/augment.py", CODE), swap(CODE, "", "src/manihot/networks/augment.py")), set()),
    "the report": (append("src/manihot/report/tables.py", CODE), REPORT),
    "its style": (append("src/manihot/report/style.css", "\np { margin: 1px }\n"), REPORT),
    "its template": (append("src/manihot/report/template.html", "<!-- more -->\n"), REPORT),
}  # fmt: skip


@pytest.mark.parametrize("edit, jobs", STUDY_EDITS.values(), ids=STUDY_EDITS)
def test_an_edit_of_the_study_causes_its_very_jobs(finished_copy, edit, jobs):
    edit(finished_copy)
    wanted = jobs | REPORT
    assert set(finished_copy.jobs()) == wanted


@pytest.mark.parametrize("edit, jobs", CODE_EDITS.values(), ids=CODE_EDITS)
def test_an_edit_of_the_code_reruns_what_uses_it(finished_copy, edit, jobs):
    edit(finished_copy)
    assert set(finished_copy.jobs()) == jobs


# The rules that an edit of a module must start, and some that it must leave alone.
MODULES = {
    "networks/augment.py": ({"train_fold", "predict_fold", "extract_features", "fit_head"}, {"catalog_shard", "split_photos", "cache_pixels"}),
    "catalog/inspect.py": ({"catalog_shard", "cache_pixels"}, {"list_photos", "fetch_weights"}),
    "catalog/fingerprints.py": ({"catalog_shard", "build_catalog", "find_copies"}, {"list_photos", "fetch_weights"}),
    "catalog/duplicates.py": ({"build_catalog", "find_copies"}, {"catalog_shard", "cache_pixels", "list_photos", "fetch_weights"}),
    "pixels/cache.py": ({"cache_pixels"}, {"catalog_shard", "build_catalog", "split_photos", "sample_photos"}),
    "splits/roles.py": ({"split_photos"}, {"build_catalog", "cache_pixels", "extract_features"}),
    "splits/folding.py": ({"split_photos"}, {"build_catalog", "cache_pixels", "extract_features"}),
    "splits/whole_groups.py": ({"split_photos"}, {"build_catalog", "cache_pixels", "extract_features"}),
    "splits/folds.py": ({"train_fold", "fit_head", "predict_booster"}, {"split_photos", "sample_photos", "cache_pixels"}),
    "splits/sampling.py": ({"split_photos", "sample_photos"}, {"build_catalog", "cache_pixels", "extract_features"}),
    "networks/build.py": ({"train_fold", "predict_fold", "extract_features", "check_overfit"}, {"split_photos", "cache_pixels"}),
    "training/trainer.py": ({"train_fold", "check_overfit"}, {"fit_head", "fit_booster", "extract_features", "sample_photos"}),
    "features/boosting.py": ({"fit_booster", "predict_booster"}, {"train_fold", "fit_head", "extract_features"}),
    "features/heads.py": ({"fit_head", "predict_head"}, {"train_fold", "fit_booster", "extract_features"}),
    "features/masking.py": ({"extract_features", "probe_masked", "weigh_masked"}, {"train_fold", "cache_pixels", "probe_facts"}),
    "predictions/masked.py": ({"probe_masked", "weigh_masked"}, {"extract_features", "fit_head", "predict_head", "probe_facts"}),
    "scores/probes.py": ({"probe_facts", "weigh_masked", "build_report"}, {"probe_masked", "score_model", "summarise_scores"}),
    "predictions/fewer_photos.py": ({"fit_fewer_photos", "weigh_more_photos"}, {"fit_head", "predict_head", "probe_masked"}),
    "scores/more_photos.py": ({"weigh_more_photos"}, {"fit_fewer_photos", "score_model", "choose_model"}),
    "scores/facts.py": ({"probe_facts"}, {"probe_masked", "score_model", "catalog_shard", "split_photos"}),
    "catalog/exif.py": ({"catalog_shard", "build_catalog", "probe_facts"}, {"list_photos", "fetch_weights"}),
    "scores/score.py": ({"score_model"}, {"ensemble_folds", "predict_fold", "train_fold"}),
    "scores/choice.py": ({"choose_model"}, {"score_model", "summarise_scores", "compare_models"}),
    "scores/intervals.py": ({"score_model", "choose_model", "summarise_scores", "compare_models"}, {"ensemble_folds", "predict_fold", "train_fold"}),
    "scores/comparisons.py": ({"compare_models"}, {"score_model", "ensemble_folds"}),
    "splits/as_published.py": ({"split_photos"}, {"build_catalog", "cache_pixels", "catalog_shard"}),
    "figures/plots.py": ({"build_report"}, {"score_model", "compare_models", "summarise_scores"}),
    "photos/demo.py": ({"list_photos"}, set()),
    "study/schema.py": (set(), {"train_fold", "build_report", "list_photos"}),
    "study/plan.py": (set(), {"train_fold", "build_report", "list_photos"}),
}  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
def test_an_edit_of_a_module_reruns_the_stages_that_import_it(finished_copy, module):
    reruns, stays = MODULES[module]
    append(f"src/manihot/{module}", CODE)(finished_copy)
    rules = {job.split()[0] for job in finished_copy.jobs()}
    assert reruns <= rules and not stays & rules


def test_settings_serve_after_the_engine_lost_its_records(finished_copy):
    shutil.rmtree(finished_copy.folder / ".snakemake")
    assert not finished_copy.jobs()
    swap("n_estimators: 4", "n_estimators: 5")(finished_copy)
    assert set(finished_copy.jobs()) == fitted(**BOOSTERS)


@pytest.fixture(scope="module")
def own_photos(tmp_path_factory, finished) -> Project:
    """A finished small study of a folder of photos: what a user edits is photos, labels and class folders."""
    folder = tmp_path_factory.mktemp("own")
    source = finished.folder
    project = Project(folder / "project", "study.yaml")
    shutil.copytree(source, project.folder, ignore=shutil.ignore_patterns("results", ".snakemake"))
    labels = pd.read_csv(source / "results/photos/leaves/labels.csv", dtype=str)
    photos = project.folder / "photos"
    shutil.copytree(source / "results/photos/leaves/images", photos)
    labels[["image_id", "label"]].to_csv(project.folder / "labels.csv", index=False)
    (project.folder / "study.yaml").write_text(
        "threads: 1\ndevice: cpu\nresamples: 100\n"
        "data: {mine: {source: csv, photos: photos, labels: labels.csv}}\nphotos: {shards: 3}\n"
        "splits: {main: {dataset: mine, folds: 2, test: 15, test_as_found: 0, per_class: 12, keep_for_training: 3}}\n"
        "experiments: {only: {split: main, size: 32, batch_size: 16, epochs: 1}}\n"
    )
    project.run()
    return project


@pytest.fixture
def own(own_photos, tmp_path) -> Project:
    """A copy of it that a test may change."""
    shutil.copytree(own_photos.folder, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project", "study.yaml")


def first_photo(project: Project) -> str:
    return pd.read_csv(project.folder / "labels.csv", dtype=str)["image_id"][3]


def shards(project: Project) -> set[str]:
    """The shards whose photos a dry run would read."""
    return {job for job in project.jobs() if job.startswith("catalog_shard")}


def test_an_added_photo_reads_its_own_shard_and_no_other(own):
    shutil.copy2(own.folder / "photos" / first_photo(own), own.folder / "photos" / "added.jpg")
    with (own.folder / "labels.csv").open("a") as labels:
        labels.write("added.jpg,3\n")
    assert len(shards(own)) == 1
    assert len([job for job in own.jobs() if job.startswith("cache_pixels")]) == 1


def test_a_replaced_photo_reads_its_own_shard(own):
    photo = own.folder / "photos" / first_photo(own)
    photo.write_bytes((own.folder / "photos" / "leaves_00007.jpg").read_bytes())
    assert len(shards(own)) == 1


def test_a_removed_photo_reads_its_own_shard(own):
    (own.folder / "photos" / first_photo(own)).unlink()
    assert len(shards(own)) == 1


def test_a_renamed_photo_reads_the_shards_of_both_names(own):
    (own.folder / "photos" / first_photo(own)).rename(own.folder / "photos" / "renamed.jpg")
    swap(first_photo(own), "renamed.jpg", "labels.csv")(own)
    assert 1 <= len(shards(own)) <= 2


def test_a_relabelled_photo_reads_no_photo(own):
    text = (own.folder / "labels.csv").read_text()
    name = first_photo(own)
    old = re.search(rf"^{re.escape(name)},(\d)$", text, re.MULTILINE)[1]
    (own.folder / "labels.csv").write_text(text.replace(f"{name},{old}\n", f"{name},{'1' if old != '1' else '2'}\n"))
    jobs = own.jobs()
    assert "build_catalog mine" in jobs and "split_photos main" in jobs
    assert not [job for job in jobs if job.split()[0] in {"catalog_shard", "cache_pixels"}]


def test_a_relabelled_photo_is_asked_about_again(own):
    """The facts of photos are those of before; what they tell of the labels is not."""
    text = (own.folder / "labels.csv").read_text()
    (own.folder / "labels.csv").write_text(text.replace(",4\n", ",3\n", 1))
    jobs = own.jobs()
    assert "probe_facts main" in jobs and not [job for job in jobs if job.startswith(("catalog_shard", "probe_masked"))]


def test_a_renamed_class_reads_no_photo(own):
    text = (own.folder / "labels.csv").read_text()
    (own.folder / "labels.csv").write_text(text.replace(",4\n", ",healthy\n"))
    jobs = own.jobs()
    assert "build_catalog mine" in jobs and not [
        job for job in jobs if job.startswith(("catalog_shard", "cache_pixels"))
    ]


def plants_in(own: Project, name: str) -> None:
    """Give the labels file a column of plants, three photos each."""
    labels = pd.read_csv(own.folder / "labels.csv", dtype=str)
    ranks = labels.groupby("label").cumcount() // 3
    labels.assign(**{name: "p" + labels["label"] + "." + ranks.astype(str)}).to_csv(
        own.folder / "labels.csv", index=False
    )


def test_edits_of_groups_read_no_photo_and_keep_plants_whole(own):
    plants_in(own, "plant")
    assert not own.jobs(), "a column that the study does not name"
    swap("labels: labels.csv", "labels: labels.csv, group_column: plant", "study.yaml")(own)
    own.run()
    table = pd.read_csv(own.folder / "results/splits/main.csv", dtype={"image_id": str})
    table = table.merge(pd.read_csv(own.folder / "labels.csv", dtype=str)[["image_id", "plant"]], on="image_id")
    used = table[table["role"] != "unused"]
    assert (used.groupby("plant")["role"].nunique() == 1).all()
    assert (used[used["role"] == "pool"].groupby("plant")["fold"].nunique() == 1).all()
    assert used["role"].eq("test").any()
    score = files.read_json(own.folder / "results/scores/only/validation.json")
    assert score["one_answer"]["n"] < score["n"] and not own.jobs()
    # One photo is of another plant.
    path = own.folder / "labels.csv"
    path.write_text(path.read_text().replace(",p1.0\n", ",p1.1\n", 1))
    rules = {job.split()[0] for job in own.jobs()}
    assert {"build_catalog", "split_photos", "train_fold"} <= rules
    assert not rules & {"catalog_shard", "cache_pixels", "list_photos"}


def test_a_given_split_is_the_split(own):
    plants_in(own, "plant")
    labels = pd.read_csv(own.folder / "labels.csv", dtype=str)
    roles = pd.Series(["train", "train", "validation", "test", "train"])
    labels.assign(split=(labels.groupby("label").cumcount() % 5).map(roles)).to_csv(
        own.folder / "labels.csv", index=False
    )
    swap("labels: labels.csv", "labels: labels.csv, group_column: plant, role_column: split", "study.yaml")(own)
    done = own.run(check=False)
    assert "splits.main.test: mine gives its own test (roles); take test out" in done.stdout + done.stderr
    swap("folds: 2, test: 15, test_as_found: 0", "folds: 2", "study.yaml")(own)
    done = own.run(check=False)
    assert "have the role validation, which is the only fold: set folds: 1" in done.stdout + done.stderr
    swap("folds: 2", "folds: 1, on_leak: stop", "study.yaml")(own)
    done = own.run(check=False)
    assert "leak across the borders that you gave" in done.stdout + done.stderr
    swap("on_leak: stop", "on_leak: report", "study.yaml")(own)
    own.run()
    table = pd.read_csv(own.folder / "results/splits/main.csv", dtype={"image_id": str}).merge(
        pd.read_csv(own.folder / "labels.csv", dtype=str)[["image_id", "split"]], on="image_id"
    )
    assert set(table.loc[table["split"] == "test", "role"]) == {"test"}
    assert set(table.loc[table["split"] == "validation", "fold"]) == {1}
    record = files.read_json(own.folder / "results/splits/main.json")
    assert {leak["border"] for leak in record["leaks"]} == {"test", "validation"}
    validation = pd.read_csv(own.folder / "results/predictions/only/validation.csv", dtype={"image_id": str})
    assert set(validation["image_id"]) <= set(table.loc[table["split"] == "validation", "image_id"])
    assert "kept in training: scores are too high" in (own.folder / "results/report.html").read_text()


def test_a_touched_photo_is_read_again_and_nothing_is_trained_again(own):
    """Early cut-off: its shard is read again and comes out the same, so finished work is only given out again."""
    os.utime(own.folder / "photos" / first_photo(own), (1, 1))
    assert len(shards(own)) == 1
    before = weights(own)
    own.run()
    assert weights(own) == before and reused(own) == {1}


def weights(project: Project) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in (project.folder / "results/models").rglob("weights.safetensors")}


def reused(project: Project) -> set[int]:
    """Whether the training jobs that last ran took finished work."""
    costs = (project.folder / "results/costs/train_fold").rglob("*.csv")
    return set(pd.concat(map(pd.read_csv, costs))["reused"])


@pytest.mark.parametrize("module", ["catalog/inspect.py", "catalog/duplicates.py", "splits/roles.py"])
def test_an_edit_that_changes_no_row_costs_no_training(own, module):
    append(f"src/manihot/{module}", CODE)(own)
    assert {"train_fold only 1", "train_fold only 2"} <= set(own.jobs())
    own.run()
    assert reused(own) == {1}


def test_an_edit_of_augment_trains_again_and_leaves_the_catalog_alone(own):
    append("src/manihot/networks/augment.py", CODE)(own)
    catalog = own.folder / "results/catalog/mine.csv"
    before = catalog.stat().st_mtime_ns
    own.run()
    assert reused(own) == {0} and catalog.stat().st_mtime_ns == before


def test_an_experiment_s_learning_rate_trains_it_for_real(own):
    before = weights(own)
    swap("epochs: 1", "epochs: 1, learning_rate: 1e-3", "study.yaml")(own)
    own.run()
    assert reused(own) == {0} and weights(own) != before
    assert not own.jobs()


def test_prune_removes_what_no_job_would_use(own):
    folders = set((own.folder / "results/state").glob("*/label.json"))
    swap("epochs: 1", "epochs: 1, learning_rate: 1e-3", "study.yaml")(own)
    own.run()
    environment = os.environ | {"PYTHONPATH": str(own.folder / "src")}
    command = [sys.executable, "-m", "manihot.study.prune"]
    done = subprocess.run(command, cwd=own.folder, capture_output=True, text=True, env=environment, check=True)
    left = set((own.folder / "results/state").glob("*/label.json"))
    assert re.match(r"pruned [1-9]\d* pieces of old work, [\d.]+ MB", done.stdout)
    assert len(left) == len(folders) and left != folders
    assert not own.jobs()


def test_a_swapped_weights_file_is_seen(own):
    source = own.folder / "weights.safetensors"
    shutil.copy2(untrained_weights(own), source)
    text = (own.folder / "study.yaml").read_text()
    (own.folder / "study.yaml").write_text(
        text + "backbones: {frozen: {split: main, network: squeezenet1_1, size: 32, weights: weights.safetensors}}\n"
    )
    own.run()
    content = bytearray(source.read_bytes())
    content[-1] ^= 1
    source.write_bytes(content)
    jobs = {job.split()[0] for job in own.jobs()}
    assert {"fetch_weights", "extract_features", "fit_head"} <= jobs and not jobs & {"train_fold", "cache_pixels"}


def untrained_weights(project: Project) -> Path:
    """A file of weights of a network that the study has not used yet."""
    text = (project.folder / "study.yaml").read_text()
    (project.folder / "study.yaml").write_text(
        text + "backbones: {frozen: {split: main, network: squeezenet1_1, size: 32, weights: none}}\n"
    )
    project.run("--", "results/features/weights/squeezenet1_1-none.safetensors")
    (project.folder / "study.yaml").write_text(text)
    return project.folder / "results/features/weights/squeezenet1_1-none.safetensors"
