"""A model's graph gives what the model answers, in torch and in ONNX, for photos of any size."""

import contextlib

import numpy as np
import pytest
import small_study
import torch
from numpy.typing import NDArray
from small_study import LABELS, ROOT
from torch.nn import functional

from manihot import load_model
from manihot.applied import unlike
from manihot.core import files
from manihot.core.tables import probability_columns
from manihot.export.graph import CORRECTED, FEATURES, PROBABILITIES, Graph, to_onnx
from manihot.export.resize import Squeeze
from manihot.export.trees import Trees
from manihot.features import boosting
from manihot.features import table as feature_table
from manihot.predictions.calibration import log_ratio, shift

ort = pytest.importorskip("onnxruntime")
MODELS = ["tta", "trees", "joined_head"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder of a study with a model of each kind; the heads and trees know their study's photos."""
    root = tmp_path_factory.mktemp("study")
    with contextlib.chdir(root):
        small_study.make()
        small_study.network("net")
        small_study.answer("tta", "tta", ["identity", "hflip", "rot90"], fitted_as="net")
        features = small_study.backbone("squeeze")
        pool = small_study.read_photos("split.csv").query("role == 'pool'")
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
    return root


@pytest.fixture(scope="module", params=MODELS)
def exported(request, study):
    """A model, and its ONNX session."""
    model = load_model(study / "results/models" / request.param, device="cpu", precision="float32", workers=1)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    content = to_onnx(Graph(model))
    if request.param == "joined_head":
        same = load_model(study / "results/models/joined_head", device="cpu", workers=1)
        assert content == to_onnx(Graph(same)), "the same model gives the same bytes"
    assert b".py" not in content and str(study).encode() not in content
    return model, ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def answers(session, photos: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    return dict(zip((out.name for out in session.get_outputs()), session.run(None, {"photos": photos}), strict=True))


def test_the_graph_answers_as_the_model(exported, study):
    model, session = exported
    # Colour JPEGs: others are resized by Pillow, a grey level off. None of the pool, whose features are the trees' thresholds.
    paths = [study / ROOT / f"{number}.jpg" for number in range(24, 36, 4)]
    table = model.predict(paths)
    for row, path in zip(table.to_dict("records"), paths, strict=True):
        found = answers(session, np.asarray(small_study.Image.open(path).convert("RGB"))[None])
        expected = [row[name] for name in probability_columns(len(LABELS))]
        np.testing.assert_allclose(found[PROBABILITIES][0], expected, atol=2e-6)
        assert (FEATURES in found) == ("unlike" in row)
        if FEATURES in found:
            assert model.reference[0].unlike(found[FEATURES])[0] == pytest.approx(row["unlike"], abs=5)


def test_corrected_answers_of_the_members_give_calibrated_ones(exported, study):
    model, session = exported
    photos = np.random.default_rng(1).integers(0, 256, (5, 47, 61, 3), dtype=np.uint8)
    found = answers(session, photos)
    equal = [1 / len(LABELS)] * len(LABELS)
    assert found[CORRECTED].shape == (5, len(model.members), len(LABELS))
    told = []
    for rows, member in zip(found[CORRECTED].swapaxes(0, 1).astype(np.float64), model.members, strict=True):
        own = np.log(rows) - log_ratio(member.prior, equal)
        told.append(shift(np.exp(own - own.max(axis=1, keepdims=True)), member.prior, equal, model.temperature))
    np.testing.assert_allclose(np.mean(told, axis=0), found[PROBABILITIES], atol=1e-5)


def test_photos_of_a_batch_do_not_depend_on_each_other(exported):
    _, session = exported
    photos = np.random.default_rng(1).integers(0, 256, (3, 40, 33, 3), dtype=np.uint8)
    together = answers(session, photos)
    for name, rows in together.items():
        alone = np.concatenate([answers(session, photo[None])[name] for photo in photos])
        np.testing.assert_allclose(rows, alone, atol=1e-5, rtol=1e-4)


def test_trees_answer_as_xgboost_does(study):
    model = load_model(study / "results/models/trees", device="cpu", workers=1)
    features = np.random.default_rng(1).normal(size=(300, model.reference[0].rows.shape[1])).astype(np.float32)
    for member in model.members:
        booster = boosting.load(member.fitted, 1)
        found = Trees(booster.save_raw("json"), len(LABELS))(torch.from_numpy(features))
        np.testing.assert_allclose(found, booster.inplace_predict(features), atol=1e-6)


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
