"""Where networks looked is drawn of the photos that tell most, each by the very fold that answered it."""

import base64
import contextlib
import io

import numpy as np
import pandas as pd
import pytest
import small_study
import torch
from PIL import Image

from manihot.applied import looked
from manihot.core import files
from manihot.core.tables import probability_columns, read_photos
from manihot.networks import build, bundle
from manihot.networks.cam import cam_layer
from manihot.networks.grad_cam import grad_cam

P = probability_columns(len(small_study.LABELS))
MODELS = {"net": (1, 2), "squeeze_head": (1, 2), "own_head": (1,)}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder of a study with a network, a head on a published network and one on a network of the study."""
    root = tmp_path_factory.mktemp("study")
    with contextlib.chdir(root):
        small_study.make()
        small_study.network("net")
        small_study.network("without_maps")
        for fold in (1, 2):
            path = small_study.fold_folder("net", fold) / "model.json"
            model = build.load_network(bundle.read(path))
            files.write_json(path, files.read_json(path) | cam_layer(model, small_study.SIZE))
        features = {
            "squeeze_head": small_study.backbone("squeeze"),
            "own_head": small_study.backbone("own", ("net", 1)),
        }
        for name, arrays in features.items():
            small_study.head(name, arrays, MODELS[name])
            small_study.answer(name, "head", numbers=MODELS[name], features=arrays)
        for name in ("net", "without_maps"):
            small_study.answer(name, "network")
    return root


def read(name, numbers=(1, 2)):
    tables = [read_photos(f"results/predictions/{name}/fold{fold}/validation.csv") for fold in numbers]
    folds = {fold: bundle.read(small_study.fold_folder(name, fold) / "model.json") for fold in numbers}
    return pd.concat(tables, ignore_index=True), folds


def opened(photo) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(photo["picture"]))), np.float32)


def answered(network, pixels):
    """The probabilities of a photo uint8 [1, size, size, 3], and the photo as the network is given it."""
    channels = [torch.tensor(network.seen["input"][key]) for key in ("mean", "std")]
    shown = ((torch.from_numpy(pixels).float() / 255 - channels[0]) / channels[1]).permute(0, 3, 1, 2)
    with torch.inference_mode():
        return network.model(shown).softmax(1)[0].numpy(), shown


@pytest.mark.parametrize("name", ["net", "own_head"])
def test_photos_are_shown_by_the_network_that_answered_them(study, name):
    with contextlib.chdir(study):
        table, folds = read(name, MODELS[name])
        drawn = looked.draw(table, folds, small_study.gather)
        again = looked.draw(table, folds, small_study.gather)
        assert files.content_key(drawn) == files.content_key(again), "the same bytes again"
        assert (drawn["network"], drawn["layer"], drawn["grid"]) == ("small_cnn", "2", [2, 2])
        counts = {kind: sum(photo["kind"] == kind for photo in drawn["photos"]) for kind in ("right", "wrong", "least")}
        assert counts["least"] == looked.SHOWN and max(counts.values()) <= looked.SHOWN and counts["wrong"] > 0
        by_id = table.set_index("image_id")
        for photo in drawn["photos"]:
            row = by_id.loc[photo["image_id"]]
            assert photo["fold"] == row["fold"] and photo["label"] == row["label"]
            network = looked.one_network(folds[photo["fold"]])
            pixels = small_study.gather(table[table["image_id"] == photo["image_id"]])[:]
            own, shown = answered(network, pixels)
            np.testing.assert_allclose(own, row[P].to_numpy(float), atol=2e-4)
            assert photo["predicted"] == small_study.LABELS[own.argmax()]
            assert photo["confidence"] == pytest.approx(own.max(), abs=2e-4)
            chosen = torch.tensor([own.argmax()])
            told = grad_cam(network.model, shown, chosen, network.layer, network.seen["cam_layout"])[0]
            assert photo["silent"] == (not told.any())
            expected = Image.open(io.BytesIO(looked.pair(pixels[0], told)))
            assert expected.size == (290, 144) and np.abs(opened(photo) - np.asarray(expected)).max() <= 8


def test_a_head_on_a_published_network_is_one_network_and_a_single_place_tells_nothing(study):
    with contextlib.chdir(study):
        table, folds = read("squeeze_head")
        for fold, fitted in folds.items():
            rows = table[table["fold"] == fold].head(1)
            own, _ = answered(looked.one_network(fitted), small_study.gather(rows)[:])
            np.testing.assert_allclose(own, rows[P].to_numpy(float)[0], atol=2e-4)
        assert looked.draw(table, folds, small_study.gather) == {"none": looked.ONE_PLACE}


def test_the_picture_is_lit_where_something_speaks_for_the_answer():
    photo = np.full((32, 32, 3), (40, 160, 80), np.uint8)
    told = np.zeros((4, 4), np.float32)
    told[0, 3] = 5.0
    picture = np.asarray(Image.open(io.BytesIO(looked.pair(photo, told))), np.float32)
    left, right = picture[:, : looked.SIDE], picture[:, -looked.SIDE :]
    assert np.abs(left[:, :-8] - photo[0, 0]).max() <= 4, "the photo as it is"
    assert np.abs(right[4, -4] - photo[0, 0]).max() <= 6, "lit at the upper right"
    dark = right[-4, 4]
    assert dark[2] > dark[0] + 40 and dark[1] < 0.6 * photo[0, 0, 1], "below a blue veil elsewhere"
    silent = np.asarray(Image.open(io.BytesIO(looked.pair(photo, 0 * told))), np.float32)[:, -looked.SIDE :]
    assert np.abs(silent[:, 8:] - dark).max() <= 12


def test_a_network_without_last_maps_and_a_model_without_photos_say_so(study):
    with contextlib.chdir(study):
        assert looked.draw(*read("without_maps"), small_study.gather) == {"none": looked.NO_MAPS}
        table, folds = read("net")
        assert looked.draw(table.head(0), folds, small_study.gather) == {"none": "it has no photo out of fold"}
