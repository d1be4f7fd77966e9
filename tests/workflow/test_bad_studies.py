"""A study that cannot be right stops the run with one line, no traceback and nothing written for a job."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from manihot.core.errors import StudyError
from manihot.study import settings
from manihot.study.jobs import all_jobs
from manihot.study.load import load
from manihot.study.plan import Plan

BAD = {
    "unknown key": ("experiments: {a: {split: main, epoch: 3}}", "experiments.a.epoch: unknown key; did you mean epochs?"),
    "list for a number": ("experiments: {a: {split: main, epochs: [3]}}", "experiments.a.epochs: should be a valid integer, not a list"),
    "no such split": ("experiments: {a: {split: mian}}", "experiments.a.split: no split is called mian; did you mean main?"),
    "circle": ("experiments: {a: {split: main, based_on: b}, b: {based_on: a}}", "a circle: a -> b -> a"),
    "too many photos": ("experiments: {a: {split: main, train_photos: 500}}", "experiments.a.train_photos: 500 asked for"),
    "no labels file": ("data: {leaves: {source: csv, photos: photos, labels: nowhere.csv}}", "nowhere.csv"),
    "empty labels file": ("data: {leaves: {source: csv, photos: photos, labels: empty.csv}}", "empty.csv"),
    "wrong columns": ("data: {leaves: {source: csv, photos: photos, labels: columns.csv}}", "columns.csv"),
    "two labels": ("data: {leaves: {source: csv, photos: photos, labels: twice.csv}}", "twice.csv"),
    "path out of the folder": ("data: {leaves: {source: csv, photos: photos, labels: outside.csv}}", "../../x.jpg"),
    "a column that is not there": ("data: {leaves: {source: csv, photos: photos, labels: labels.csv, group_column: plant}}", "no column 'plant', but 'image_id, label'"),
    "a pattern that finds nothing": ("data: {leaves: {source: csv, photos: photos, labels: labels.csv, group_pattern: 'p(.)_'}}", "finds nothing in the paths of 60 of 60 photos; the first is '0.jpg'"),
    "a fold that is none": ("data: {leaves: {source: csv, photos: photos, labels: labels.csv, fold_column: label}}", "labels.csv, row 2, column 'label': 'a' is no fold"),
    "too few photos of a class": ("data: {leaves: {source: csv, photos: photos, labels: rare.csv}}", "class rare has 3 photos"),
}  # fmt: skip
BASE = """
data: {leaves: {source: csv, photos: photos, labels: labels.csv}}
splits: {main: {dataset: leaves, folds: 2, test: 4}}
experiments: {a: {split: main, size: 32}}
"""


def write_photos(folder: Path) -> None:
    """A folder of photos, and files of labels that are good or bad."""
    (folder / "photos").mkdir()
    good = "".join(f"{n}.jpg,{'ab'[n % 2]}\n" for n in range(60))
    for name, text in {
        "labels.csv": "image_id,label\n" + good,
        "empty.csv": "",
        "columns.csv": "photo,disease\n" + good,
        "twice.csv": "image_id,label\n" + good + "3.jpg,a\n",
        "outside.csv": "image_id,label\n" + good + "../../x.jpg,a\n",
        "rare.csv": "image_id,label\n" + good + "".join(f"r{n}.jpg,rare\n" for n in range(3)),
    }.items():
        (folder / name).write_text(text)
    for name in [*range(60), "r0", "r1", "r2"]:
        (folder / "photos" / f"{name}.jpg").touch()


def write_study(folder: Path, text: str) -> None:
    """The good study, with this text for the key that it begins with."""
    key = text.partition(":")[0]
    rest = [row for row in BASE.strip().splitlines() if row.partition(":")[0] != key]
    (folder / "study.yaml").write_text("\n".join([*rest, text]) + "\n")


@pytest.fixture
def project(fresh):
    write_photos(fresh.folder)
    fresh.study = "study.yaml"
    return fresh


def look_at_study() -> None:
    """What the Snakefile does with the study of this folder before any job."""
    plan = Plan(load(Path("study.yaml")), Path.cwd())
    settings.write_settings(all_jobs(plan), [ROOT / "workflow" / "scripts"])
    settings.list_photos(plan, Path("study.yaml"))


@pytest.mark.parametrize("text, line", BAD.values(), ids=BAD)
def test_a_bad_study_is_refused_in_one_line(tmp_path, monkeypatch, text, line):
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path)
    write_study(tmp_path, BASE.strip().splitlines()[-1])
    look_at_study()
    write_study(tmp_path, text)
    with pytest.raises(StudyError) as refused:
        look_at_study()
    said = str(refused.value)
    assert line in said and len(said.splitlines()) == 1


@pytest.mark.parametrize("mistake", ["no such split", "two labels"])
def test_a_bad_study_stops_the_engine_with_that_line_alone(project, mistake):
    """One mistake is in the study file, one in the labels."""
    text, line = BAD[mistake]
    write_study(project.folder, text)
    done = project.run(check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0 and line in said, said
    # The engine has one line of its own before it reads the study.
    lines = [row for row in said.strip().splitlines() if not row.startswith("Using workflow specific profile")]
    assert len(lines) == 1 and lines[0].startswith("error: "), said
    assert not list((project.folder / "results").glob("catalog/**/*.csv"))


@pytest.mark.parametrize(
    "text, line",
    [
        ("experiments: [", "study.yaml: line 5: not valid YAML"),
        ("title: !!python/object/apply:os.system ['touch hacked']", "could not determine a constructor"),
    ],
)
def test_what_is_no_yaml_is_told_by_make_report_and_refused_by_the_engine(project, text, line):
    (project.folder / "study.yaml").write_text(BASE.strip() + f"\n{text}\n")
    command = [sys.executable, "-m", "manihot.study.load", "study.yaml"]
    environment = os.environ | {"PYTHONPATH": str(project.folder / "src")}
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and line in done.stderr and len(done.stderr.splitlines()) == 1
    assert project.run(check=False).returncode != 0
    assert not (project.folder / "hacked").exists() and not (project.folder / "results").exists()


def test_a_good_study_is_accepted(project):
    (project.folder / "study.yaml").write_text(BASE)
    assert project.rules()["train_fold"] == 2


def test_cuda_without_a_gpu_is_one_line(finished_copy):
    finished_copy.edit(finished_copy.study, "device: cpu", "device: cuda")
    (finished_copy.folder / "results/models/balanced/fold1/weights.safetensors").unlink()
    done = finished_copy.run(
        "--resources", "gpu=2", "--", "results/models/balanced/fold1/weights.safetensors", check=False
    )
    assert done.returncode != 0 and "error: device is cuda, but no CUDA device" in done.stderr + done.stdout, (
        done.stderr
    )
    assert "Traceback" not in done.stderr + done.stdout
    assert not (finished_copy.folder / "results/models/balanced/fold1/weights.safetensors").exists()
