"""Nothing lost: jobs stopped at random moments, power failures, full disks, damage, edited code."""

import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from conftest import Project
from faults import (
    STOPS,
    Job,
    PowerFails,
    count_steps,
    everything,
    flip,
    power,
    power_fails_at_the_end,
    tell_and_fail,
    tree,
    wait_for,
)

from manihot.core import files

STAGES = ["cache_pixels", "train_fold", "predict_fold", "extract_features", "fit_booster"]
WEIGHTS = "results/features/weights/squeezenet1_1-none.safetensors"


@pytest.fixture(scope="module")
def project(finished, tmp_path_factory) -> Project:
    """A copy of the finished tiny study whose own results stay as they are."""
    folder = tmp_path_factory.mktemp("faults") / "project"
    shutil.copytree(finished.folder, folder, symlinks=True)
    shutil.rmtree(folder / "results/state")
    return Project(folder)


# Stops


def stopped_at_random(job: Job, kinds: list[str], seed: int) -> Counter[str]:
    """Stop a job in each of these ways, each at a random moment, going on until it is through, again and again.

    Whenever it is through, its results must be those of a job that nothing stopped. Returns the stops that hit.
    """
    generator = random.Random(seed)
    job.forget()
    assert job.run() == 0, job.story()
    whole, seconds = job.results(), job.seconds()
    job.forget()
    left, hit = list(kinds), Counter()
    while left:
        process = job.start(power)
        process.join(generator.uniform(0, seconds))
        if process.exitcode is None:
            STOPS[left[0]](process.pid)
            process.join(120)
            assert process.exitcode is not None, f"{job.rule} hangs when {left[0]}"
            if process.exitcode:
                hit[left.pop(0)] += 1
        assert not process.exitcode or hit.total(), f"{job.rule} failed by itself:\n{job.story()}"
        if process.exitcode == 0:
            assert job.results() == whole, f"seed {seed}, {dict(hit)}"
            job.forget()
    assert job.run() == 0, job.story()
    assert job.results() == whole, f"seed {seed}, {dict(hit)}"
    assert not list((job.folder / "results").rglob("*.tmp")), "a stop leaves no litter"
    return hit


@pytest.mark.parametrize("rule", STAGES)
def test_a_job_stopped_at_random_moments_ends_with_the_same_bytes(project, rule, capsys):
    hit = stopped_at_random(Job(project.folder, rule), list(STOPS), seed=time.time_ns() % 10**6)
    with capsys.disabled():
        print(f"\n{rule}: {hit.total()} stops at random moments: {dict(hit)}")
    assert set(hit) == set(STOPS)


@pytest.mark.full
@pytest.mark.parametrize("rule", STAGES)
def test_a_job_stopped_very_often_ends_with_the_same_bytes(project, rule, capsys):
    hit = stopped_at_random(Job(project.folder, rule), 4 * list(STOPS), seed=time.time_ns() % 10**6)
    with capsys.disabled():
        print(f"\n{rule}: {hit.total()} stops at random moments: {dict(hit)}")
    assert hit.total() == 4 * len(STOPS)


@pytest.mark.full
@pytest.mark.parametrize("rule", STAGES)
def test_the_power_may_fail_before_any_sync_or_renaming(project, rule, capsys):
    job = Job(project.folder, rule)
    job.forget()
    assert job.run(count_steps) == 0, job.story()
    whole, steps = job.results(), int((job.folder / "steps").read_text())
    for step in range(1, steps + 1, max(1, steps // 40)):
        job.forget()
        assert job.run(PowerFails(step)) == -signal.SIGKILL, job.story()
        assert job.run() == 0, f"step {step}: {job.story()}"
        assert job.results() == whole, f"step {step}"
    with capsys.disabled():
        print(f"\n{rule}: the power failed before {len(range(1, steps + 1, max(1, steps // 40)))} of {steps} steps")


@pytest.mark.parametrize("rule", [*STAGES, "predict_booster"])
def test_what_an_ended_job_wrote_outlives_the_power(project, rule):
    """The engine does not ask again: nothing may be on its way to the disk."""
    job = Job(project.folder, rule)
    job.forget()
    assert job.run() == 0, job.story()
    whole = job.results()
    job.forget()
    assert job.run(power_fails_at_the_end) == -signal.SIGKILL, job.story()
    assert job.results() == whole and job.seconds() > 0


@pytest.mark.parametrize("rule", ["train_fold", "cache_pixels", "fit_booster"])
def test_what_was_kept_is_not_done_again(project, rule):
    """Stopped half-way by a lost power, a job says that it goes on where it was."""
    job = Job(project.folder, rule)
    job.forget()
    assert job.run(count_steps) == 0
    job.forget()
    assert job.run(PowerFails(int((job.folder / "steps").read_text()) // 2)) == -signal.SIGKILL
    job.log.unlink(missing_ok=True)
    assert job.run() == 0
    first = next(re.finditer(r": (\d+)/(\d+)", job.log.read_text()))
    assert int(first[1]) > 0.2 * int(first[2]), job.story()


def test_what_a_killed_job_left_of_its_results_is_removed(project):
    job = Job(project.folder, "predict_booster")
    for part in ("train", "test"):
        (project.folder / job.name / f".{part}.csv.1.tmp").write_text("half a ta")
    assert job.run() == 0, job.story()
    assert not list((project.folder / job.name).glob(".*"))


def test_a_full_disk_is_an_error_with_a_name(project, tmp_path):
    """On a disk that is really full: a mapped file would end the process with SIGBUS instead."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=560k", "tmpfs", tmp_path], capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    job = Job(project.folder, "extract_features")
    job.forget()
    (project.folder / "results/state").symlink_to(tmp_path)
    try:
        assert job.run() == 1, job.story()
        assert "No space left on device" in job.terminal.read_text() and "No space left" in job.log.read_text()
    finally:
        (project.folder / "results/state").unlink()
        subprocess.run(["umount", "--lazy", tmp_path], check=True)
    assert job.run() == 0


# What a job tells


def test_a_rule_s_log_holds_its_whole_story(project):
    job = Job(project.folder, "fit_booster")
    job.forget()
    assert job.run(tell_and_fail) == 1
    told = job.log.read_text()
    for line in ("a print", "from a library", "UserWarning: odd", "Traceback", "ZeroDivisionError", "peak_memory_mb"):
        assert line in told, line
    assert re.search(
        r"error: fit_booster xgboost_1 1: ZeroDivisionError: .*results/faults/fit_booster/log", job.terminal.read_text()
    )
    assert job.run() == 0
    assert re.search(r"done: .*peak_memory_mb \d.*device cpu", job.log.read_text())


def test_a_terminated_job_says_so(project):
    job = Job(project.folder, "train_fold")
    job.forget()
    job.log.unlink(missing_ok=True)
    process = job.start()
    wait_for(lambda: job.log.exists() and "epoch" in job.log.read_text())
    process.terminate()
    process.join(60)
    assert process.exitcode == 1 and "SystemExit: terminated" in job.log.read_text()


# State that must not be used


def state_of(job: Job) -> Path:
    return next((job.folder / "results/state").glob("*/label.json")).parent


@pytest.mark.parametrize(
    ("what", "file", "change"),
    [
        ("settings", "results/settings/fit_booster/xgboost_1.json", lambda text: text.replace('"max_depth": 2', '"max_depth": 1')),
        ("code", "workflow/scripts/fit_booster.py", lambda text: text + "other = True\n"),
        ("data", "results/splits/main/squeezenet.csv", lambda text: text[: text.rindex("\n", 0, -1) + 1]),
    ],
    ids=["settings", "code", "data"],
)  # fmt: skip
def test_state_of_others_is_noticed_and_not_used(project, what, file, change):
    job = Job(project.folder, "fit_booster")
    job.forget()
    assert job.run() == 0
    whole, path = job.results(), project.folder / file
    as_it_was = path.read_text()
    path.write_text(change(as_it_was))
    assert path.read_text() != as_it_was
    other = Job(project.folder, "fit_booster")
    other.log.unlink()
    try:
        assert other.run() == 0, other.story()
    finally:
        path.write_text(as_it_was)
    assert re.search(rf"results/state/\w+ is of other {what} and not used", other.log.read_text()), other.story()
    assert (other.results() == whole) == (what == "code")


@pytest.mark.parametrize("damage", ["flip", "cut", "moved"])
@pytest.mark.parametrize("file", ["label.json", "finished.json", "booster.ubj"])
def test_damaged_state_is_noticed_and_not_used(project, file, damage):
    job = Job(project.folder, "fit_booster")
    job.forget()
    assert job.run() == 0
    whole, folder = job.results(), state_of(job)
    if damage == "flip":
        flip(folder / file, 40)
    elif damage == "cut":
        os.truncate(folder / file, 20)
    else:  # the state of another job under this one's address
        other = Job(project.folder, "fit_booster", {"recipe": {"max_depth": 1}})
        assert other.run() == 0
        strange = next(path for path in folder.parent.iterdir() if path.name != folder.name)
        shutil.copy2(strange / file, folder / file)
        job = Job(project.folder, "fit_booster")
    job.log.unlink()
    assert job.run() == 0, job.story()
    assert job.results() == whole
    assert re.search(r"results/state/.* not used: this work starts again", job.log.read_text()), job.story()


READERS = {
    "pixels for training": ("results/pixels/leaves/32px/1.npy", "train_fold"),
    "pixels for features": ("results/pixels/leaves/32px/1.npy", "extract_features"),
    "manifest of pixels": ("results/pixels/leaves/32px/1.json", "train_fold"),
    "features": ("results/features/squeezenet/leaves/32px/identity.npy", "fit_booster"),
    "features for predictions": ("results/features/squeezenet/leaves/32px/identity.npy", "predict_booster"),
    "trained weights": ("results/models/balanced/fold1/weights.safetensors", "predict_fold"),
    "published weights": (WEIGHTS, "extract_features"),
    "booster": ("results/models/xgboost_1/fold1/booster.ubj", "predict_booster"),
}


def a_byte_that_counts(folder: Path, path: Path) -> int:
    """A place in a file that its readers read: of an array, the row of a photo that models are trained on."""
    if path.suffix == ".json":
        return path.read_bytes().index(b'"checksums"') + 20
    if path.suffix != ".npy":
        return -1
    ids = files.read_json(path.with_suffix(".json"))["image_ids"]
    drawn = {photo["image_id"] for photo in files.read_rows(folder / "results/splits/main/squeezenet.csv")}
    drawn &= {photo["image_id"] for photo in files.read_rows(folder / "results/splits/main/balanced.csv")}
    row = max(place for place, image_id in enumerate(ids) if image_id in drawn)
    return -(path.stat().st_size - 128) // len(ids) * (len(ids) - row)


def test_a_flipped_byte_is_noticed_by_the_reader_and_mended_as_it_says(finished_copy):
    """Each message names the file, and what to delete; with all that deleted, the same command mends everything."""
    before = everything(finished_copy.folder)
    advice = set()
    for file, rule in READERS.values():
        path = finished_copy.folder / file
        intact = path.read_bytes()
        flip(path, a_byte_that_counts(finished_copy.folder, path))
        job = Job(finished_copy.folder, rule)
        assert job.run() == 1, f"{rule} takes a damaged {file}"
        told = job.terminal.read_text().strip().splitlines()[-1]
        assert told.startswith("error: ") and Path(file).name in told and "again" in told, told
        advice |= set(re.findall(r"[\w/.-]+\.(?:npy|json|safetensors|ubj)", told.partition("delete ")[2]))
        path.write_bytes(intact)
    shutil.rmtree(finished_copy.folder / "results/faults")
    for file, _ in READERS.values():
        flip(finished_copy.folder / file, a_byte_that_counts(finished_copy.folder, finished_copy.folder / file))
    for name in advice:
        for path in (
            (finished_copy.folder / "results").rglob(Path(name).name)
            if "/" not in name
            else [finished_copy.folder / name]
        ):
            if path.parent.parts[-4:-1] != ("results", "state"):
                path.unlink(missing_ok=True)
    # The readers failed: their own results were never made.
    lost = [f"results/predictions/{model}/fold1" for model in ("balanced_tta", "xgboost_1")]
    for folder in lost:
        shutil.rmtree(finished_copy.folder / folder)
    finished_copy.run("--", *(f"{folder}/test.csv" for folder in lost))
    assert everything(finished_copy.folder) == before


def test_code_edited_under_a_run_is_refused(project, tmp_path):
    shutil.copytree(project.folder, tmp_path / "project", symlinks=True)
    edited = Project(tmp_path / "project")
    job = Job(edited.folder, "train_fold")
    before = tree(edited.folder)
    edited.edit("src/manihot/training/trainer.py", 'CHECKPOINT = "checkpoint"', 'CHECKPOINT = "saved"')
    code = "import pickle, sys; from faults import in_process; in_process(pickle.load(sys.stdin.buffer), None)"
    environment = os.environ | {"PYTHONPATH": f"{edited.folder / 'src'}:{Path(__file__).parent}"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=edited.folder, env=environment, capture_output=True, input=pickle.dumps(job)
    )
    told = job.terminal.read_text()
    assert done.returncode == 1, done.stderr
    assert "train_fold.py or a module it imports was edited while the study runs: nothing was written" in told
    changed = {path for path, facts in tree(edited.folder).items() if before.get(path) != facts}
    assert changed == {str(job.log), str(job.terminal)}
