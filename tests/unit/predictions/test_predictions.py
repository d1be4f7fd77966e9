"""Predictions: probabilities of the network that was trained, over views, for each part's own photos."""

from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.core.gpus import Compute
from manihot.core.names import PARTS
from manihot.core.state import State
from manihot.networks import build, bundle
from manihot.networks.batches import Batches
from manihot.networks.build import Input
from manihot.predictions import network as predictions
from manihot.splits.folds import Fold

CPU = torch.device("cpu")
AUGMENT = {"horizontal_flip": True, "rotation": 30.0}
LABELS = ["7", "a", "é"]
SIZE = 16
CLASSES = [{"label": label, "name": label} for label in LABELS]
VIEWING = predictions.Viewing(views=["identity"], batch_size=4, validation_augment={}, seed=1)
# Drawn photos of folds 1 and 2, one of every fold's training part (0); the pool has one more in each fold.
DRAW = pd.DataFrame({
    "dataset": "d", "image_id": list("01234"), "label": ["7", "a", "é", "7", "a"], "fold": [1, 1, 2, 2, 0],
})  # fmt: skip
SPLIT = pd.DataFrame({
    "dataset": "d", "image_id": [str(i) for i in range(11)],
    "label": ["7", "a", "é", "7", "a", "é", "7", "a", "é", "7", "a"],
    "role": ["pool"] * 7 + ["test", "test", "test_as_found", "unused"],
    "fold": pd.array([1, 1, 2, 2, 0, 1, 2, None, None, None, None], dtype="Int64"),
})  # fmt: skip
PIXELS = np.random.default_rng(0).integers(0, 256, (11, SIZE, SIZE, 3), dtype=np.uint8)


def gather(rows):
    return PIXELS[rows["image_id"].astype(int)]


def fitted(folder, network="small_cnn", size=SIZE, dropout=0.3, frozen=False):
    """An untrained network as training writes it."""
    model = build.classifier(network, 3, size, dropout, None, frozen, seed=5)
    seen = Input(network, size, "none").record()
    record = bundle.describe("network", Fold(1, DRAW, CLASSES), seen, {"parameters": 1}, "float32")
    bundle.save(folder, record, save({name: value.contiguous() for name, value in model.state_dict().items()}))
    return bundle.read(folder / "model.json"), model


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return fitted(tmp_path_factory.mktemp("weights"))[0]


def tables(root, trained, fold=1, **changes):
    viewing = replace(VIEWING, **changes)
    with State(root, "predict_fold", asdict(viewing), "", str(fold)) as state:
        made = Fold(fold, DRAW, CLASSES)
        predictions.predict_fold(state, trained, made, SPLIT, gather, viewing, Compute("cpu", "float32"))
        return {part: pd.read_csv(state.folder / f"{part}.csv", dtype={"image_id": str}) for part in PARTS}


def probabilities(trained, pixels):
    """What the plain network gives."""
    model = build.load_network(trained)
    with torch.inference_mode():
        return model(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255).softmax(1).numpy()


def test_each_part_has_its_photos_and_the_networks_probabilities(tmp_path, trained):
    made = tables(tmp_path, trained)
    ids = {part: list(table["image_id"]) for part, table in made.items()}
    assert ids == {
        "train": ["2", "3", "4"],
        "validation": ["0", "1", "5"],
        "test": ["7", "8"],
        "test_as_found": ["9"],
    }
    for table in made.values():
        assert list(table.columns) == ["dataset", "image_id", "label", "fold", "p0", "p1", "p2"]
        values = table[["p0", "p1", "p2"]].to_numpy()
        assert np.allclose(values, probabilities(trained, gather(table)), atol=1e-5)
        assert np.allclose(values.sum(1), 1, atol=1e-6)


def test_a_refit_has_no_validation(tmp_path, trained):
    made = tables(tmp_path, trained, fold=0)
    assert len(made["train"]) == 5 and len(made["validation"]) == 0
    assert list(made["validation"].columns) == list(made["test"].columns)


def test_views_are_averaged(tmp_path, trained):
    made = tables(tmp_path, trained, views=["identity", "hflip", "vflip"])["test"]
    pixels = gather(made)
    seen = [pixels, pixels[:, :, ::-1].copy(), pixels[:, ::-1].copy()]
    expected = np.mean([probabilities(trained, view) for view in seen], axis=0)
    assert np.allclose(made[["p0", "p1", "p2"]], expected, atol=1e-5)
    assert not np.allclose(expected, probabilities(trained, pixels), atol=1e-4)


def test_batch_size_does_not_matter(trained):
    model = build.load_network(trained)
    batches = Batches(PIXELS, CPU, build.PIXELS)
    one, all_at_once = (predictions.predict(model, batches, ["identity"], n, torch.float32) for n in (1, 11))
    assert one.dtype == np.float32 and np.allclose(one, all_at_once, atol=1e-6)


def test_published_flips_change_the_validation_part_alone(tmp_path, trained):
    plain, flipped = tables(tmp_path, trained), tables(tmp_path, trained, validation_augment=AUGMENT)
    assert not plain["validation"].equals(flipped["validation"])
    for part in ("train", "test", "test_as_found"):
        pd.testing.assert_frame_equal(plain[part], flipped[part])


def test_damaged_weights_are_noticed(tmp_path):
    damaged, _ = fitted(tmp_path)
    path = tmp_path / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    files.write_bytes(path, bytes(content))
    match = r"weights.safetensors is missing or damaged: delete .*weights.safetensors and .*model.json, and run"
    with pytest.raises(StudyError, match=match):
        build.load_network(damaged)


@pytest.mark.parametrize("network", ["resnet18", "efficientnet_b0", "squeezenet1_1"])
def test_networks_come_back_whatever_their_dropout(tmp_path, network):
    trained, model = fitted(tmp_path, network, 64, dropout=0.5, frozen=True)
    again = build.load_network(trained)
    photos = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(again(photos), model.eval()(photos))
