"""A model of a finished study becomes a folder that works without it, and only a checked one."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from manihot import load_model
from manihot.core import files
from manihot.core.tables import probability_columns

onnx = pytest.importorskip("onnx")
JOBS = {"export_graph": 1, "quantise_graph": 1, "check_export": 1, "write_export": 1}
# What predict.py asks for, and the libraries that come in their wheels.
PACKAGES = ("numpy", "numpy.libs", "PIL", "pillow.libs", "onnxruntime")
ALONE = "import sys, runpy; sys.path.append(sys.argv[1]); del sys.argv[:2]; runpy.run_path(sys.argv[0], run_name='__main__')"


@pytest.fixture(scope="module")
def study(finished, tmp_path_factory):
    """The folder of a copy of the finished study."""
    folder = tmp_path_factory.mktemp("exports") / "project"
    shutil.copytree(finished.folder, folder, symlinks=True)
    return folder


def export(study, *arguments):
    """Run the command; the jobs that it did, and what it said."""
    command = [sys.executable, "-m", "manihot.study.export", *arguments, "--cores", "2"]
    environment = os.environ | {"PYTHONPATH": str(study / "src")}
    done = subprocess.run(command, cwd=study, env=environment, capture_output=True, text=True)
    said = done.stdout + done.stderr
    lines = [line for line in said.splitlines() if ": done in" in line and not line.startswith("all:")]
    return done.returncode, Counter(line.split()[0].rstrip(":") for line in lines), said


def test_what_cannot_be_exported_ends_in_one_line(study, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").touch()
    for given, line in [
        (("balancd",), "did you mean balanced?"),
        (("balanced", "--out", str(tmp_path / "taken")), "holds something else than an export"),
    ]:
        code, _, said = export(study, *given)
        assert code == 1 and line in said and len(said.strip().splitlines()) == 1, said
    assert not (study / "results/exporting").exists()


def test_an_export_works_without_the_study_and_is_checked(study, tmp_path):
    code, jobs, said = export(study, "balanced_tta")
    assert code == 0 and jobs == JOBS, said
    out = study / "results/export/balanced_tta"
    checks, about = files.read_json(out / "checks.json"), files.read_json(out / "about.json")
    assert all(checks[name]["passed"] and checks[name]["n"] == 35 for name in ("pixels", "files", "predict"))
    assert checks["pixels"]["largest"] < 1e-5 and checks["int8"]["n"] == 35
    assert (out / "model-int8.onnx").exists() == checks["int8"]["passed"] == ("model-int8.onnx" in about["files"])
    assert "# balanced_tta, of the study “Tiny”" in (out / "README.md").read_text()

    # In an environment that has only its packages, somewhere else.
    alone, packages = tmp_path / "alone", tmp_path / "packages"
    shutil.copytree(out, alone)
    packages.mkdir()
    for name in PACKAGES:
        if (found := Path(sysconfig.get_path("platlib"), name)).exists():
            (packages / name).symlink_to(found)
    photos = study / "results/photos/leaves/images"
    shown = [str(path) for path in sorted(photos.glob("*.jpg"))[:12]]
    command = [sys.executable, "-I", "-S", "-c", ALONE, str(packages), str(alone / "predict.py"), *shown]
    done = subprocess.run([*command, "-o", str(tmp_path / "p.csv")], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = pd.read_csv(tmp_path / "p.csv", dtype={"answer": "str", "set": "str"}, keep_default_na=False)
    model = load_model(study / "results/models/balanced_tta", device="cpu", workers=1)
    expected = model.predict(shown)
    assert list(found["image_id"]) == shown and list(found["answer"]) == list(expected["answer"])
    columns = probability_columns(len(model.labels))
    assert list(found) == ["image_id", "answer", "probability", "set", "unlike", "review", *columns]
    np.testing.assert_allclose(found[columns], expected[columns], atol=5e-3)

    # The same again does nothing, and what was lost is put back.
    assert export(study, "balanced_tta")[:2] == (0, {})
    (out / "model.onnx").write_bytes(b"")
    code, jobs, said = export(study, "balanced_tta")
    assert code == 0 and jobs == {"write_export": 1}, said


def test_what_fails_its_check_is_not_exported(study):
    out, made = study / "results/export/balanced_tta", study / "results/exporting/balanced_tta"
    assert made.is_dir(), "the test before this one exports"
    graph = onnx.load(made / "graph/model.onnx")
    layer = next(weights for weights in graph.graph.initializer if weights.name == "members.0.network.7.weight")
    layer.raw_data = (onnx.numpy_helper.to_array(layer) * np.float32(1.5)).tobytes()
    onnx.save(graph, made / "graph/model.onnx")
    shutil.rmtree(out)
    code, jobs, said = export(study, "balanced_tta")
    assert code == 1 and "nothing is exported: the ONNX file answers otherwise than torch" in said, said
    assert jobs == {"quantise_graph": 1} and not out.exists()
