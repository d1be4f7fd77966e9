"""Exactly what changed in a user's own photos, labels, plants and splits: what is read, split and trained again."""

import os
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from conftest import CODE, Project

from manihot.core import files

FOLDS = ("1", "2")


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
    assert {rule: n for rule, n in own.rules().items() if rule in {"catalog_shard", "cache_pixels"}} == {
        "catalog_shard": 1,
        "cache_pixels": 1,
    }


def test_a_replaced_photo_reads_its_own_shard(own):
    photo = own.folder / "photos" / first_photo(own)
    photo.write_bytes((own.folder / "photos" / "leaves_00007.jpg").read_bytes())
    assert len(shards(own)) == 1


def test_a_removed_photo_reads_its_own_shard(own):
    (own.folder / "photos" / first_photo(own)).unlink()
    assert len(shards(own)) == 1


def test_a_renamed_photo_reads_the_shards_of_both_names(own):
    (own.folder / "photos" / first_photo(own)).rename(own.folder / "photos" / "renamed.jpg")
    own.edit("labels.csv", first_photo(own), "renamed.jpg")
    assert 1 <= len(shards(own)) <= 2


def test_a_relabelled_photo_reads_no_photo(own):
    text = (own.folder / "labels.csv").read_text()
    name = first_photo(own)
    old = re.search(rf"^{re.escape(name)},(\d)$", text, re.MULTILINE)[1]
    (own.folder / "labels.csv").write_text(text.replace(f"{name},{old}\n", f"{name},{'1' if old != '1' else '2'}\n"))
    jobs = own.jobs()
    assert "build_catalog mine" in jobs and "split_photos main" in jobs
    # The facts of photos are those of before; what they tell of the labels is not.
    assert "probe_facts main" in jobs
    assert not {job.split()[0] for job in jobs} & {"catalog_shard", "cache_pixels", "probe_masked"}


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
    own.edit("study.yaml", "labels: labels.csv", "labels: labels.csv, group_column: plant")
    scored = "results/scores/only/validation.json"
    own.run("--", scored)
    table = pd.read_csv(own.folder / "results/splits/main.csv", dtype={"image_id": str})
    table = table.merge(pd.read_csv(own.folder / "labels.csv", dtype=str)[["image_id", "plant"]], on="image_id")
    used = table[table["role"] != "unused"]
    assert (used.groupby("plant")["role"].nunique() == 1).all()
    assert (used[used["role"] == "pool"].groupby("plant")["fold"].nunique() == 1).all()
    assert used["role"].eq("test").any()
    score = files.read_json(own.folder / scored)
    assert score["one_answer"]["n"] < score["n"] and not own.jobs("--", scored)
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
    own.edit("study.yaml", "labels: labels.csv", "labels: labels.csv, group_column: plant, role_column: split")
    done = own.run(check=False)
    assert "splits.main.test: mine gives its own test (roles); take test out" in done.stdout + done.stderr
    own.edit("study.yaml", "folds: 2, test: 15, test_as_found: 0", "folds: 2")
    done = own.run(check=False)
    assert "have the role validation, which is the only fold: set folds: 1" in done.stdout + done.stderr
    own.edit("study.yaml", "folds: 2", "folds: 1, on_leak: stop")
    predicted = "results/predictions/only/validation.csv"
    done = own.run("--", predicted, check=False)
    assert "leak across the borders that you gave" in done.stdout + done.stderr
    own.edit("study.yaml", "on_leak: stop", "on_leak: report")
    own.run("--", predicted)
    table = pd.read_csv(own.folder / "results/splits/main.csv", dtype={"image_id": str}).merge(
        pd.read_csv(own.folder / "labels.csv", dtype=str)[["image_id", "split"]], on="image_id"
    )
    assert set(table.loc[table["split"] == "test", "role"]) == {"test"}
    assert set(table.loc[table["split"] == "validation", "fold"]) == {1}
    record = files.read_json(own.folder / "results/splits/main.json")
    assert {leak["border"] for leak in record["leaks"]} == {"test", "validation"}
    validation = pd.read_csv(own.folder / predicted, dtype={"image_id": str})
    assert set(validation["image_id"]) <= set(table.loc[table["split"] == "validation", "image_id"])


def weights(project: Project) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in (project.folder / "results/models").rglob("weights.safetensors")}


def reused(project: Project) -> set[int]:
    """Whether the training jobs that last ran took finished work."""
    costs = (project.folder / "results/costs/train_fold").rglob("*.csv")
    return set(pd.concat(map(pd.read_csv, costs))["reused"])


TRAINED = [f"results/models/only/fold{fold}/weights.safetensors" for fold in FOLDS]


def test_what_changes_no_row_costs_no_training(own):
    """Early cut-off: all is read and split again and comes out the same, so finished work is only given out again."""
    os.utime(own.folder / "photos" / first_photo(own), (1, 1))
    assert len(shards(own)) == 1, "a touched photo"
    for module in ("catalog/inspect.py", "catalog/duplicates.py", "splits/roles.py"):
        own.append(f"src/manihot/{module}", CODE)
    before = weights(own)
    assert {"catalog_shard mine 2", "split_photos main", "train_fold only 1", "train_fold only 2"} <= set(own.jobs())
    own.run("--", *TRAINED)
    assert weights(own) == before and reused(own) == {1}


def test_an_edit_of_augment_trains_again_and_leaves_the_catalog_alone(own):
    own.append("src/manihot/networks/augment.py", CODE)
    catalog = own.folder / "results/catalog/mine.csv"
    before = catalog.stat().st_mtime_ns
    own.run("--", *TRAINED)
    assert reused(own) == {0} and catalog.stat().st_mtime_ns == before


def test_a_learning_rate_trains_for_real_and_prune_removes_what_no_job_would_use(own):
    before, folders = weights(own), set((own.folder / "results/state").glob("*/label.json"))
    own.edit("study.yaml", "epochs: 1", "epochs: 1, learning_rate: 1e-3")
    own.run()
    assert reused(own) == {0} and weights(own) != before
    environment = os.environ | {"PYTHONPATH": str(own.folder / "src")}
    command = [sys.executable, "-m", "manihot.study.prune"]
    done = subprocess.run(command, cwd=own.folder, capture_output=True, text=True, env=environment, check=True)
    left = set((own.folder / "results/state").glob("*/label.json"))
    assert re.match(r"pruned [1-9]\d* pieces of old work, [\d.]+ MB", done.stdout)
    assert len(left) == len(folders) and left != folders
    assert not own.jobs()


def test_a_swapped_weights_file_is_seen(own, finished):
    source = own.folder / "weights.safetensors"
    shutil.copy2(finished.folder / "results/features/weights/squeezenet1_1-none.safetensors", source)
    text = (own.folder / "study.yaml").read_text()
    (own.folder / "study.yaml").write_text(
        text + "backbones: {frozen: {split: main, network: squeezenet1_1, size: 32, weights: weights.safetensors}}\n"
    )
    fitted = "results/models/frozen_head/fold1/model.json"
    own.run("--", fitted)
    content = bytearray(source.read_bytes())
    content[-1] ^= 1
    source.write_bytes(content)
    assert {job.split()[0] for job in own.jobs("--", fitted)} == {"fetch_weights", "extract_features", "fit_head"}
