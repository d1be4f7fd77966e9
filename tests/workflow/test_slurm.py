"""A small study on a real Slurm: who gets which device, what is asked for, what a lost job costs."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pytest
import slurm_cluster
from conftest import copy_project

from manihot.core.state import LABEL, read_label
from manihot.training.trainer import CHECKPOINT

REASON = slurm_cluster.missing()
# Every group of jobs and every rule with a device, in few jobs: each starts Python three times.
STUDY = """
threads: 1
resamples: 200
data:
  leaves: {source: demo, photos: 160, kind: leaves, duplicates: 4, damaged: 2}
photos: {shards: 2}
splits:
  main: {dataset: leaves, folds: 2, test: 15, test_as_found: 20, per_class: 12, keep_for_training: 3}
defaults: {split: main, size: 32, batch_size: 16, epochs: 2, learning_rate: 1e-3}
experiments:
  balanced: {draw: balanced}
  # Long enough for a fold to be lost in its midst, even where a job takes seconds to hear of it.
  long: {based_on: balanced, epochs: 200}
  frozen: {based_on: balanced, network: squeezenet1_1, weights: none, frozen: true, run_folds: [1]}
backbones:
  squeezenet: {network: squeezenet1_1, weights: none, size: 32, head: {kind: adam, epochs: 2, batch_size: 16}}
boosting:
  xgboost_1: {backbone: squeezenet, n_estimators: 4, max_depth: 2}
"""
# One job fails, and others have work to do.
BROKEN = "extends: longer.yaml\nbackbones: {squeezenet: {weights: broken.pth}}\nexperiments: {frozen: {dropout: 0.2}}\n"
# Snakemake that asks Slurm each second: its plugin waits ten seconds longer each time that no job has ended.
IMPATIENT = """
from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
RemoteExecutor.next_seconds_between_status_checks = property(lambda _: 1, lambda _, wanted: None)
main()
"""
LONG_FOLD, COMMENT = "train_fold long 1", "rule_train_fold_wildcards_long_1"
pytestmark = [pytest.mark.full, pytest.mark.skipif(REASON is not None, reason=str(REASON))]


@dataclass
class Submission:
    """A study that went through Slurm twice."""

    project: Path
    second: subprocess.CompletedProcess[str]
    broken: subprocess.CompletedProcess[str]
    jobs: list[dict[str, str]]
    jobs_of_first: int
    cancelled: str | None
    devices: dict[str, set[str]]

    def of(self, *rules: str) -> list[dict[str, str]]:
        return [job for job in self.jobs if job["Comment"].startswith(tuple(f"rule_{rule}" for rule in rules))]


@pytest.fixture(scope="module")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Submission]:
    folder = tmp_path_factory.mktemp("slurm")
    project = copy_project(folder / "project").folder
    (project / "tests" / "studies" / "longer.yaml").write_text(STUDY)
    # All that is a site's own is set in the profile.
    profile = project / "profiles" / "slurm" / "config.yaml"
    profile.write_text(profile.read_text().replace("# slurm_partition: main", "slurm_partition: main"))
    with slurm_cluster.slurm(folder):
        cancelled: list[str] = []
        done = threading.Event()
        watcher = threading.Thread(target=_cancel_a_fold, args=(project, cancelled, done))
        watcher.start()
        first = _submit(project)
        done.set()
        watcher.join()
        assert first.returncode == 0, first.stdout + first.stderr
        jobs_of_first = len(slurm_cluster.jobs())
        second = _submit(project)
        jobs = slurm_cluster.jobs()
        (project / "broken.pth").write_bytes(b"no weights")
        (project / "tests" / "studies" / "broken.yaml").write_text(BROKEN)
        broken = _submit(project, "tests/studies/broken.yaml")
        yield Submission(
            project,
            second,
            broken,
            jobs,
            jobs_of_first,
            cancelled[0] if cancelled else None,
            slurm_cluster.devices(folder),
        )


def _submit(project: Path, study: str = "tests/studies/longer.yaml") -> subprocess.CompletedProcess[str]:
    command = [
        *(sys.executable, "-c", IMPATIENT, "--workflow-profile", "profiles/slurm"),
        *("--latency-wait", "10", "--retries", "1"),
        *("--configfile", study, "--config", "device=auto", "--", "results/report.html"),
    ]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=1200, stdin=subprocess.DEVNULL)


def _cancel_a_fold(project: Path, cancelled: list[str], done: threading.Event) -> None:
    """Cancel the long fold when it has saved a checkpoint."""
    while not done.wait(0.1):
        checkpoints = project.glob(f"results/state/*/{CHECKPOINT}")
        if not any(LONG_FOLD in read_label(path.with_name(LABEL)).get("jobs", []) for path in checkpoints):
            continue
        for job in slurm_cluster.jobs():
            if job["Comment"] == COMMENT and job["JobState"] == "RUNNING":
                subprocess.run(["scancel", job["JobId"]], check=True)
                cancelled.append(job["JobId"])
                return


def _overlap(one: dict[str, str], other: dict[str, str]) -> bool:
    return one["StartTime"] < other["EndTime"] and other["StartTime"] < one["EndTime"]


def _minutes(limit: str) -> int:
    """Minutes of Slurm's [days-]hours:minutes:seconds."""
    days, _, clock = limit.rpartition("-")
    parsed = time.strptime(clock, "%H:%M:%S")
    return (int(days or 0) * 24 + parsed.tm_hour) * 60 + parsed.tm_min


def test_the_study_runs_whole_in_the_partition_of_the_profile(submission: Submission) -> None:
    assert (submission.project / "results" / "report.html").stat().st_size > 10_000
    assert {job["Partition"] for job in submission.jobs} == {"main"}
    ended = {job["JobId"]: job["JobState"] for job in submission.jobs}
    assert {job for job, state in ended.items() if state != "COMPLETED"} == {submission.cancelled}


def test_each_fold_has_one_device_of_two_for_itself(submission: Submission) -> None:
    folds = submission.of("train_fold")
    assert len(folds) > 2
    assert all(submission.devices[job["JobId"]] in ({"0"}, {"1"}) for job in folds)
    together = [pair for pair in combinations(folds, 2) if _overlap(*pair)]
    assert together, "no two folds ran at the same time"
    for one, other in together:
        assert submission.devices[one["JobId"]].isdisjoint(submission.devices[other["JobId"]])
    assert all(submission.devices[job["JobId"]] == {"none"} for job in submission.of("catalog", "cache", "score"))


def test_a_cancelled_fold_is_tried_again_with_more_memory_and_time(submission: Submission) -> None:
    lost, again = (job for job in submission.jobs if job["Comment"] == COMMENT)
    assert lost["JobId"] == submission.cancelled
    assert lost["JobState"] == "CANCELLED"
    assert again["JobState"] == "COMPLETED"
    assert int(again["MinMemoryNode"].rstrip("M")) == 2 * int(lost["MinMemoryNode"].rstrip("M"))
    assert _minutes(again["TimeLimit"]) == 2 * _minutes(lost["TimeLimit"])


def test_a_cancelled_fold_goes_on_from_its_checkpoint(submission: Submission) -> None:
    folder = submission.project / "results"
    # The engine clears a job's log before it tries again.
    again = (folder / "logs/train_fold/long/fold1.log").read_text()
    assert re.search(r"fold 1: going on after epoch [1-9]", again), again[-4000:]
    assert len((folder / "models/long/fold1/history.csv").read_text().splitlines()) == 1 + 200


def test_what_a_job_says_is_in_the_log_of_its_rule(submission: Submission) -> None:
    logs = list((submission.project / "results" / "logs" / "train_fold").glob("*/fold*.log"))
    assert logs
    for log in logs:
        text = log.read_text()
        assert "train_fold" in text
        assert "done: " in text


def test_a_second_submission_does_nothing(submission: Submission) -> None:
    assert submission.second.returncode == 0
    assert "Nothing to be done" in submission.second.stdout + submission.second.stderr
    assert len(submission.jobs) == submission.jobs_of_first


def test_the_last_words_of_a_failed_study_name_the_job_its_error_and_its_log(submission: Submission) -> None:
    told, project = submission.broken.stderr, submission.project
    assert submission.broken.returncode
    last = told.splitlines()[-5:]
    assert re.match(r"1 of \d+ jobs failed, \d+ are done, \d+ were not finished\.", last[0]), told
    assert last[2].startswith("fetch_weights squeezenet1_1-broken-"), told
    assert last[3].startswith("    error: weights file broken.pth is refused"), told
    assert (project / last[4].removeprefix("    log:   ")).exists(), told
    # With keep-going the others went on, each told with its wildcards, and what is left.
    assert re.search(r"predict_fold frozen 1: done in .* \(\d+ of \d+", told), told
