"""What a fitted fold says of other people's photos is what it says of a test."""

import contextlib
from functools import partial

import numpy as np
import pandas as pd
import pytest
import small_study

from manihot.core import files
from manihot.core.state import State
from manihot.core.tables import read_photos
from manihot.networks import bundle
from manihot.predictions.external import predict_external

MODELS = {"net": "net", "net_tta": "net", "squeeze_head": "squeeze_head", "trees": "trees"}
VIEWS = {"net_tta": ["identity", "hflip"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study with a model of each kind."""
    root = tmp_path_factory.mktemp("study")
    with contextlib.chdir(root):
        small_study.make()
        small_study.network("net")
        small_study.answer("net", "network")
        small_study.answer("net_tta", "tta", VIEWS["net_tta"], fitted_as="net")
        features = small_study.backbone("squeeze")
        small_study.head("squeeze_head", features)
        small_study.answer("squeeze_head", "head", features=features)
        small_study.trees("trees", features)
        small_study.answer("trees", "boosting", features=features)
    return root


@pytest.mark.parametrize("model", MODELS)
def test_a_fold_says_of_the_photos_of_a_test_what_it_said_there(folder, model, monkeypatch):
    monkeypatch.chdir(folder)
    known = read_photos(f"results/predictions/{model}/fold2/test.csv")
    fitted = bundle.read(small_study.fold_folder(MODELS[model], 2) / "model.json")
    asked = {"views": VIEWS.get(model, ["identity"]), "batch_size": 4}
    features = ["results/features/squeeze/leaves/identity.npy"] if model == MODELS[model] != "net" else []
    shown = features or partial(small_study.gather)
    with State("state", "predict_external", {"model": model}, "", "") as state:
        cost = predict_external(state, fitted, known[["dataset", "image_id", "label"]], shown, asked, small_study.CPU)
        state.finish("test.csv")
        found = read_photos(state.folder / "test.csv")
    pd.testing.assert_frame_equal(
        found[["dataset", "image_id", "label", "fold"]], known[["dataset", "image_id", "label", "fold"]]
    )
    np.testing.assert_allclose(found.filter(regex="^p"), known.filter(regex="^p"), atol=1e-6)
    assert cost["photos"] == len(known) and files.read_json(fitted.path)["fold"] == 2
