"""An export answers as its model does: its graph in torch and in ONNX, its predict.py, and its smaller file nearly so."""

import contextlib
import json
import shutil
import subprocess
import sys

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import small_study
import torch
from numpy.typing import NDArray
from small_study import LABELS, ROOT
from torch.nn import functional

from manihot import load_model
from manihot.applied import sets, unlike
from manihot.core import files
from manihot.core.names import SETS
from manihot.core.tables import probability_columns, read_photos
from manihot.export import about, checks, layout, publish, quantise, standalone
from manihot.export.graph import Graph, to_onnx
from manihot.export.layout import CORRECTED, FEATURES, PROBABILITIES
from manihot.export.resize import Squeeze
from manihot.export.trees import Trees
from manihot.features import boosting
from manihot.features import table as feature_table
from manihot.networks import bundle
from manihot.predictions.calibration import log_ratio, shift

P = probability_columns(len(LABELS))
MODELS = ["tta", "trees", "joined_head"]
# Colour JPEGs: others are resized by Pillow, a grey level off. None of the pool, whose features are the trees' thresholds.
PHOTOS = [f"{number}.jpg" for number in range(24, 36, 4)]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder of a study with a model of each kind; the networks and trees know their study's photos, the trees and
    the head have prediction sets."""
    root = tmp_path_factory.mktemp("study")
    with contextlib.chdir(root):
        small_study.make()
        small_study.network("net")
        small_study.answer("tta", "tta", ["identity", "hflip", "rot90"], fitted_as="net")
        features = small_study.backbone("squeeze")
        pool = read_photos("split.csv").query("role == 'pool'")
        reference = unlike.Reference.of(feature_table.select(features, pool), pool["group"].to_numpy())
        (record,) = feature_table.backbones(features)
        reference.write("results/features/unlike/main.npy", pool, record, 1)
        small_study.trees("trees", features)
        small_study.answer("trees", "boosting", features=features)
        joined = [*features, *small_study.backbone("own", ("net", 1))]
        small_study.head("joined_head", joined, [1])
        small_study.answer("joined_head", "head", numbers=[1], features=joined)
        for name in ("trees", "tta"):
            path = f"results/models/{name}/model.json"
            files.write_json(path, files.read_json(path) | {"unlike": "results/features/unlike/main.npy"})
        for name, folds in (("trees", [1, 2]), ("joined_head", [1])):
            tables = [read_photos(f"results/predictions/{name}/fold{fold}/validation.csv") for fold in folds]
            fitted = [bundle.read(small_study.fold_folder(name, fold) / "model.json").record for fold in folds]
            known = sets.calibrate(
                tables, [one["prior"] for one in fitted], folds, LABELS, read_photos(small_study.CATALOG), 1
            )
            files.write_json(f"results/models/{name}/{SETS}", known)
    return root


@pytest.fixture(scope="module", params=MODELS)
def exported(request, study, tmp_path_factory):
    """A model, and the folder of its export."""
    model = load_model(study / "results/models" / request.param, device="cpu", precision="float32", workers=1)
    graph = Graph(model)
    content = to_onnx(graph)
    if request.param == "joined_head":
        same = load_model(study / "results/models/joined_head", device="cpu", workers=1)
        assert content == to_onnx(Graph(same)), "the same model gives the same bytes"
    assert b".py" not in content and str(study).encode() not in content
    made, folder = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("export")
    (made / "model.onnx").write_bytes(content)
    names = ["model.onnx"]
    if model.reference:
        np.save(made / "reference.npy", model.reference[0].rows)
        names.append("reference.npy")
    told = {"about": about.describe(model, graph.outputs), "checks": {"int8": {"passed": False}}}
    files.write_json(folder / layout.ABOUT, publish.publish(folder, {name: made / name for name in names}, told))
    return model, folder


def run(folder, photos: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    return standalone.Predictor(folder, threads=1).run(photos)


def test_the_graph_answers_as_the_model(exported, study):
    model, folder = exported
    paths = [study / ROOT / name for name in PHOTOS]
    for row, path in zip(model.predict(paths).to_dict("records"), paths, strict=True):
        found = run(folder, np.asarray(small_study.Image.open(path).convert("RGB"))[None])
        np.testing.assert_allclose(found[PROBABILITIES][0], [row[name] for name in P], atol=2e-6)
        assert (FEATURES in found) == ("unlike" in row)


def test_corrected_answers_of_the_members_give_calibrated_ones(exported):
    model, folder = exported
    photos = np.random.default_rng(1).integers(0, 256, (5, 47, 61, 3), dtype=np.uint8)
    found = run(folder, photos)
    equal = [1 / len(LABELS)] * len(LABELS)
    assert found[CORRECTED].shape == (5, len(model.members), len(LABELS))
    told = []
    for rows, member in zip(found[CORRECTED].swapaxes(0, 1).astype(np.float64), model.members, strict=True):
        own = np.log(rows) - log_ratio(member.prior, equal)
        told.append(shift(np.exp(own - own.max(axis=1, keepdims=True)), member.prior, equal, model.temperature))
    np.testing.assert_allclose(np.mean(told, axis=0), found[PROBABILITIES], atol=1e-5)


def test_photos_of_a_batch_do_not_depend_on_each_other(exported):
    _, folder = exported
    photos = np.random.default_rng(1).integers(0, 256, (3, 40, 33, 3), dtype=np.uint8)
    together = run(folder, photos)
    for name, rows in together.items():
        alone = np.concatenate([run(folder, photo[None])[name] for photo in photos])
        np.testing.assert_allclose(rows, alone, atol=1e-5, rtol=1e-4)


def test_predict_py_answers_as_the_model_and_names_what_it_cannot(exported, study, tmp_path):
    model, folder = exported
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in [*PHOTOS, "25.jpg", "26.jpg", "27.jpg"]:
        shutil.copy2(study / ROOT / name, photos / name)
    (photos / "empty.jpg").touch()
    (photos / "damaged.JPG").write_bytes((photos / "24.jpg").read_bytes()[:700])
    paths = sorted(photos.iterdir())
    for shares in ("equal", "as_found"):
        expected = model.predict(paths, shares, 0.8)
        found = checks.standalone(folder, paths, ["--shares", shares, "--coverage", "0.8", "--threads", "1"])
        assert list(found["problem"]) == list(expected["problem"])
        usable = expected["problem"] == ""
        assert list(found["answer"][usable]) == list(expected["answer"][usable])
        np.testing.assert_allclose(found[P][usable], expected[P][usable], atol=0.02)
        told = checks.from_files(found, expected, "boosting", len(LABELS))
        assert told["n"] == 6 and told["problems"] == 0 and told.get("sets", 0) <= 1
        assert ("sets" in told, "unlike" in told) == (model.sets is not None, model.reference is not None)
        # A photo that is decoded a grey level otherwise may pass a neighbour or two of the 24.
        assert told.get("unlike", {"largest": 0})["largest"] <= 200 / 24


def test_trees_answer_as_xgboost_does(study):
    model = load_model(study / "results/models/trees", device="cpu", workers=1)
    features = np.random.default_rng(1).normal(size=(300, model.reference[0].rows.shape[1])).astype(np.float32)
    for member in model.members:
        booster = boosting.load(member.fitted, 1)
        found = Trees(booster.save_raw("json"), len(LABELS))(torch.from_numpy(features))
        np.testing.assert_allclose(found, booster.inplace_predict(features), atol=1e-6)


def test_thresholds_say_which_classes_are_in_a_set(study):
    known = sets.read(study / "results/models/joined_head" / SETS, LABELS, [1])
    parts = {label: [part.tolist() for part in known["scores"][label]] for label in LABELS}
    answers = np.random.default_rng(1).dirichlet([1, 1, 1], 200)
    for coverage in (0.3, 0.8, 0.9, 0.99):
        limits = [about.thresholds(parts, coverage)[label] for label in LABELS]
        held = [
            [limit is None or 1 - value <= limit for value, limit in zip(row, limits, strict=True)] for row in answers
        ]
        assert (np.array(held) == sets.plausible(known, answers[None], coverage)).all()


@pytest.mark.parametrize("exported", ["tta"], indirect=True)
def test_weights_of_eight_bits_answer_nearly_the_same(exported, study, tmp_path):
    _, folder = exported
    photos = [np.asarray(small_study.Image.open(study / ROOT / f"{n}.jpg").convert("RGB")) for n in range(0, 24, 4)]
    made = quantise.quantise(folder / "model.onnx", tmp_path / "int8.onnx", photos, lambda *_: None)
    again = quantise.quantise(folder / "model.onnx", tmp_path / "again.onnx", photos, lambda *_: None)
    assert made == again and (tmp_path / "int8.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes()
    assert 0 < min(made["away"].values()) < 0.1 and made["per_channel"] == (
        made["away"]["channel"] < made["away"]["layer"]
    )
    assert (tmp_path / "int8.onnx").stat().st_size < (folder / "model.onnx").stat().st_size / 3
    assert b"frozen.0.network" in (folder / "model.onnx").read_bytes()
    assert b"frozen.0.network" not in (tmp_path / "int8.onnx").read_bytes()
    session = onnxruntime.InferenceSession(tmp_path / "int8.onnx", providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == [PROBABILITIES, CORRECTED]


def refused(folder, *arguments) -> str:
    """What predict.py says when it refuses: one line."""
    command = [sys.executable, "-I", str(folder / "predict.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and not done.stdout and len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("exported", ["trees"], indirect=True)
def test_predict_py_refuses_in_one_line(exported, study, tmp_path):
    _, folder = exported
    photo = study / ROOT / "24.jpg"
    copy = tmp_path / "export"
    shutil.copytree(folder, copy)
    assert "nowhere.jpg: no such file or folder" in refused(copy, "nowhere.jpg")
    assert "has no model-int8.onnx" in refused(copy, photo, "--int8")
    told = json.loads((copy / "about.json").read_text())
    (copy / "about.json").write_text(json.dumps(told | {"schema_version": 99}))
    assert "has the schema version 99, this predict.py reads 1" in refused(copy, photo)
    (copy / "about.json").write_text("{")
    assert "about.json is damaged" in refused(copy, photo)
    (copy / "about.json").write_text(json.dumps(told))
    content = (copy / "model.onnx").read_bytes()
    (copy / "model.onnx").write_bytes(content[:-100])
    assert "model.onnx is damaged" in refused(copy, photo)
    (copy / "model.onnx").unlink()
    assert "model.onnx is missing" in refused(copy, photo)
    code = f"import sys, runpy; sys.modules['onnxruntime'] = None; runpy.run_path({str(folder / 'predict.py')!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    line = "error: onnxruntime is not installed: python -m pip install onnxruntime numpy pillow\n"
    assert done.returncode == 1 and done.stderr == line


def test_a_check_says_how_far_answers_are_and_what_it_lets_pass():
    expected = np.array([[0.9, 0.1], [0.505, 0.495], [0.2, 0.8]])
    near = expected + np.array([[0.001, -0.001], [-0.006, 0.006], [0, 0]])
    told = checks.away(near, expected, checks.CLOSE, "network")
    assert (told["n"], told["beyond"], told["changed"], told["ties"], told["passed"]) == (3, 0, 1, 1, True)
    # Of the same pixels no answer may change, a near-tie or not.
    assert not checks.away(near, expected, checks.SAME, "network")["passed"]
    assert checks.away(expected + 1e-5, expected, checks.SAME, "network")["passed"]
    far = expected[:, ::-1]
    assert not checks.away(far, expected, checks.CLOSE, "network")["passed"]
    many = np.tile(expected, (20, 1))
    one_off = np.concatenate([far[:1], many[1:]])
    assert checks.away(one_off, many, checks.SAME, "boosting")["passed"]
    assert not checks.away(one_off, many, checks.SAME, "network")["passed"]
    with pytest.raises(checks.StudyError, match="nothing is exported: predict.py answers otherwise than make predict"):
        good = checks.away(expected, expected, checks.SAME, "network")
        checks.refuse({"pixels": good, "files": good, "predict": checks.away(far, expected, checks.CLOSE, "network")})


def test_a_smaller_file_may_lose_one_point():
    ids = [f"{number}.jpg" for number in range(200)]
    photos = pd.DataFrame({"dataset": "leaves", "image_id": ids, "label": ["a", "b"] * 100})
    catalogs = photos[["dataset", "image_id"]].assign(group=range(200))
    right = pd.DataFrame({"p0": [0.9, 0.1] * 100, "p1": [0.1, 0.9] * 100, "problem": ""})
    drawn = {"classes": ["a", "b"], "seed": 1, "resamples": 100}
    for wrong, passed in ((2, True), (3, False)):
        other = right.copy()
        other.loc[: wrong - 1, ["p0", "p1"]] = right.loc[: wrong - 1, ["p1", "p0"]].to_numpy()
        told = checks.smaller(other, right, photos, catalogs, drawn)
        assert told["difference"] == pytest.approx(-wrong / 200) and told["passed"] is passed
        assert told["low"] <= told["difference"] <= told["high"] and told["changed"] == wrong


@pytest.mark.parametrize("size", [32, 37, 50, 224])
@pytest.mark.parametrize("height,width", [(600, 800), (20, 31), (1, 1), (3, 900), (225, 223)])
def test_photos_are_resized_to_the_bytes_of_the_study(size, height, width):
    photos = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (2, height, width, 3), dtype=np.uint8))
    expected = functional.interpolate(photos.permute(0, 3, 1, 2), [size, size], mode="bilinear", antialias=True)
    away = (Squeeze(size)(photos) - expected.float()).abs()
    # Sums of more than 24 bits are not whole in float32: of all pixels one in 2,000 may be a grey level off.
    assert away.max() <= 1 and (away > 0).float().mean() < 5e-4


def test_photos_of_the_networks_size_stay_as_they_are():
    photos = torch.randint(0, 256, (1, 37, 37, 3), dtype=torch.uint8)
    assert (Squeeze(37)(photos) == photos.permute(0, 3, 1, 2)).all()
