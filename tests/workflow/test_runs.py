"""Nothing lost: two runs at once, a killed engine, a key pressed, one failing experiment."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from faults import tree, wait_for

ENGINE = [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", "tests/studies/tiny.yaml"]
TRAINED = "results/models/balanced/fold1/weights.safetensors"
SOURCES = {"PYTHONPATH": "src"}


@pytest.fixture
def training(finished_copy):
    """A run that is in the midst of training, in a group of processes of its own."""
    finished_copy.edit(
        "tests/studies/tiny.yaml", "balanced: {based_on: imbalanced,", "balanced: {based_on: imbalanced, epochs: 60,"
    )
    shutil.rmtree(finished_copy.folder / "results/state")
    command = [*ENGINE, "--", TRAINED]
    run = subprocess.Popen(
        command,
        cwd=finished_copy.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A shell starts what it puts into the background deaf to Ctrl-C, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    run.checkpoint = lambda: list((finished_copy.folder / "results/state").glob("*/checkpoint"))
    wait_for(lambda: run.checkpoint() or run.poll() is not None)
    assert run.poll() is None, run.stdout.read()
    yield run
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGKILL)


def children(run) -> list[int]:
    """The processes of the run's group that live, but for the run itself."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == run.pid and fields[0] != "Z" and int(stat.parent.name) != run.pid:
            found.append(int(stat.parent.name))
    return found


@pytest.fixture
def other_run(finished_copy):
    """Another run that holds the folder; in the study file there is much to do since."""
    code = "import sys; from manihot.study.settings import take_folder; take_folder(); print('taken', flush=True); sys.stdin.read()"
    first = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=finished_copy.folder,
        env=os.environ | SOURCES,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert first.stdout.readline() == b"taken\n"
    finished_copy.edit("tests/studies/tiny.yaml", "n_estimators: 4, max_depth: 2", "n_estimators: 4, max_depth: 1")
    (finished_copy.folder / ".snakemake/locks").mkdir(exist_ok=True)
    (finished_copy.folder / ".snakemake/locks/0.input.lock").write_text("of the first")
    yield first
    first.kill()
    first.wait()


def test_a_second_run_says_so_and_touches_nothing(finished_copy, other_run):
    before = tree(finished_copy.folder)
    for command in (ENGINE, [sys.executable, "-m", "manihot.study.prune"]):
        second = subprocess.run(
            command, cwd=finished_copy.folder, env=os.environ | SOURCES, capture_output=True, text=True
        )
        told = [
            line
            for line in (second.stdout + second.stderr).splitlines()
            if not line.startswith("Using workflow specific profile")
        ]
        assert second.returncode and len(told) == 1, told
        assert re.match(
            rf"error: another run \(process {other_run.pid} on .*\) is working in this folder; nothing was touched",
            told[0],
        )
    assert tree(finished_copy.folder) == before


def test_modes_that_only_look_work_beside_a_run_and_write_nothing(finished_copy, other_run):
    changed = finished_copy.folder / "results/photos/leaves/0.csv"
    before = tree(finished_copy.folder)
    for looking in (["-n"], ["-np"], ["--summary"], ["--list-rules"], ["--rulegraph"]):
        done = finished_copy.run(*looking)
        assert "another run" not in done.stderr, looking
        if looking[0].startswith("-n"):
            # What the edited study asks for, though no settings file says so yet.
            assert "rule fit_booster:" in done.stderr + done.stdout and "rule train_fold:" not in done.stderr
    assert tree(finished_copy.folder) == before and changed.exists()
    finished_copy.partial_report()
    partial = finished_copy.folder / "results/partial_report.html"
    assert partial.stat().st_size > 10_000
    partial.unlink()
    assert tree(finished_copy.folder) == before


def test_a_killed_engine_leaves_nothing_behind_and_the_same_command_goes_on(finished_copy, training):
    orphans = children(training)
    assert orphans
    training.kill()
    training.wait()
    wait_for(lambda: not children(training), 20)
    assert list((finished_copy.folder / ".snakemake/locks").iterdir())
    log = finished_copy.folder / "results/logs/train_fold/balanced/fold1.log"
    done = finished_copy.run("--", TRAINED)
    assert re.search(r"going on after epoch [1-9]", log.read_text()), log.read_text()
    assert "unlock" not in done.stdout + done.stderr
    resumed = (finished_copy.folder / TRAINED).read_bytes()
    (finished_copy.folder / TRAINED).unlink()
    shutil.rmtree(finished_copy.folder / "results/state")
    finished_copy.run("--", TRAINED)
    assert (finished_copy.folder / TRAINED).read_bytes() == resumed


def test_ctrl_c_ends_the_children(training):
    assert children(training)
    os.killpg(training.pid, signal.SIGINT)
    training.wait(60)
    wait_for(lambda: not children(training), 20)
    assert training.returncode and training.checkpoint()


def test_one_failing_experiment_leaves_the_others_and_a_partial_report(finished_copy):
    (finished_copy.folder / "broken.pth").write_bytes(b"no weights")
    finished_copy.edit("tests/studies/tiny.yaml", "weights: none, frozen", "weights: broken.pth, frozen")
    finished_copy.edit("tests/studies/tiny.yaml", "n_estimators: 4, max_depth: 2", "n_estimators: 4, max_depth: 1")
    results = finished_copy.folder / "results"
    for name in ("models/frozen", "predictions/frozen", "scores/frozen"):
        shutil.rmtree(results / name)
    for name in ("summary.csv", "figures/curves/frozen.svg", "figures/confusion/frozen.svg"):
        (results / name).unlink()
    booster = (results / "models/xgboost_1/fold1/booster.ubj").read_bytes()
    wanted = [f"results/scores/{model}/test.json" for model in ("frozen", "xgboost_1")]
    done = finished_copy.run("--", *wanted, check=False)
    assert done.returncode
    # The last words: how many failed, which, why, and where its log is.
    last = done.stderr.splitlines()[-5:]
    assert re.match(r"1 of \d+ jobs failed, \d+ are done, \d+ were not finished\.", last[0]), done.stderr
    assert last[2] == "fetch_weights squeezenet1_1-broken-" + last[2].rpartition("-")[2]
    assert last[3].startswith("    error: weights file broken.pth is refused")
    assert last[4] == f"    log:   results/logs/fetch_weights/{last[2].split()[1]}.log"
    assert (finished_copy.folder / last[4].split()[1]).exists()
    assert re.search(r"score_model xgboost_1: done in .* \(\d+ of \d+", done.stderr)
    assert not (results / "models/frozen/fold1/weights.safetensors").exists()
    assert (results / "models/xgboost_1/fold1/booster.ubj").read_bytes() != booster
    assert (results / "scores/xgboost_1/test.json").exists()
    finished_copy.partial_report()
    text = (results / "partial_report.html").read_text()
    assert "Not there yet: its scores, its confusion matrices, its learning curves" in text
