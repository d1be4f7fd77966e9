"""New photos in a folder, answered by a model of a finished study, and exactly what is answered again after a change."""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from manihot import load_model
from manihot.core import files
from manihot.core.tables import probability_columns

ANSWERS = ["predictions.csv", "problems.csv", "groups.csv", "copies.csv", "record.json", "predictions.html"]
PLANTS = ("--group-pattern", r"_0000(\d)\.jpg$")
ONCE = {"copies_new": 1, "join_new": 1, "show_new": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, finished):
    """A folder with 20 photos, a damaged and an empty one among them."""
    folder = tmp_path_factory.mktemp("new") / "field"
    folder.mkdir()
    images = finished.folder / "results/photos/leaves/images"
    for photo in sorted(images.glob("*.jpg"))[:18]:
        shutil.copy2(photo, folder / photo.name)
    (folder / "empty.jpg").touch()
    (folder / "damaged.jpg").write_bytes((folder / "leaves_00000.jpg").read_bytes()[:900])
    return folder


def command(finished, folder, out, *arguments):
    """The command line, and where it runs."""
    line = [sys.executable, "-m", "manihot.study.predict", str(folder), "--out", str(out), "--cores", "2", *arguments]
    return line, {"cwd": finished.folder, "env": os.environ | {"PYTHONPATH": str(finished.folder / "src")}}


def predict(finished, folder, out, *arguments):
    """Run the command; the jobs that it did, and what it said."""
    line, place = command(finished, folder, out, *arguments)
    done = subprocess.run(line, capture_output=True, text=True, **place)
    said = done.stdout + done.stderr
    jobs = Counter(
        line.split()[0].rstrip(":") for line in said.splitlines() if ": done in" in line and not line.startswith("all:")
    )
    return done.returncode, jobs, said


@pytest.fixture(scope="module")
def answered(finished, folder, tmp_path_factory):
    """The folder of the answers of an undisturbed run, the jobs that it did, and what it said."""
    out = tmp_path_factory.mktemp("answers") / "out"
    code, jobs, said = predict(finished, folder, out, "--shards", "2", *PLANTS)
    assert code == 0, said
    return out, jobs, said


def test_a_killed_command_goes_on_after_its_finished_shards_to_the_same_bytes(finished, folder, answered, tmp_path):
    out = tmp_path / "out"
    line, place = command(finished, folder, out, "--shards", "2", *PLANTS, "--cores", "1")
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    with subprocess.Popen(line, **place, **given) as run:
        assert any(said.startswith("predict_new") and ": done in" in said for said in run.stdout)
        os.killpg(run.pid, signal.SIGKILL)
    before = {path: path.stat().st_mtime_ns for path in (out / "shards").glob("?.csv")}
    assert len(before) == 1 and not (out / "predictions.csv").exists()
    code, jobs, said = predict(finished, folder, out, *PLANTS)
    assert code == 0 and jobs["predict_new"] == 1, said
    assert {path: path.stat().st_mtime_ns for path in before} == before
    for name in ANSWERS:
        assert (out / name).read_bytes() == (answered[0] / name).read_bytes(), name


def test_a_folder_is_answered_as_the_model_does_and_only_what_changed_again(finished, folder, answered):
    out, jobs, said = answered
    assert jobs == {"predict_new": 2, "catalog_shard": 2, **ONCE}, said

    problems = pd.read_csv(out / "problems.csv")
    assert dict(zip(problems["image_id"], problems["problem"], strict=True)) == {
        "damaged.jpg": "truncated", "empty.jpg": "empty file",
    }  # fmt: skip
    record = files.read_json(out / "record.json")
    model = load_model(finished.folder / "results/models/best", device="cpu", workers=1)
    assert record["model"]["name"] == model.name and record["photos"]["listed"] == 20
    found = pd.read_csv(out / "predictions.csv", dtype={"image_id": "str", "answer": "str"})
    expected = model.predict([folder / name for name in found["image_id"]])
    assert len(found) == 18 and list(found["answer"]) == list(expected["answer"])
    # All of them are the study's own.
    assert list(found["copy_of"]) == [f"leaves/{name}" for name in found["image_id"]]
    columns = probability_columns(len(model.labels))
    np.testing.assert_allclose(found[columns], expected[columns], atol=1e-5)
    assert set(pd.read_csv(out / "groups.csv", dtype="str")["group"]) == set("0123456789")
    assert "18 of 20 photos have an answer" in (out / "predictions.html").read_text()

    assert predict(finished, folder, out, *PLANTS)[:2] == (0, {})
    shutil.copy2(folder / "leaves_00001.jpg", folder / "added.jpg")
    code, jobs, said = predict(finished, folder, out, *PLANTS)
    assert code == 0 and jobs == {"predict_new": 1, "catalog_shard": 1, **ONCE}, said
    # Nothing of the study was touched by all this.
    assert not (finished.folder / "results" / "applied").exists()
    (folder / "added.jpg").unlink()


def test_what_cannot_be_asked_ends_in_one_line(finished, folder, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").touch()
    (tmp_path / "empty").mkdir()
    for given, line in [
        ((folder, tmp_path / "out", "--model", "balancd"), "did you mean balanced?"),
        ((folder, tmp_path / "taken"), "name another folder with OUT"),
        ((tmp_path / "empty", tmp_path / "out"), "no photos in this folder"),
    ]:
        code, _, said = predict(finished, *given)
        assert code == 1 and line in said and len(said.strip().splitlines()) == 1, said
    assert not (tmp_path / "out").exists()
