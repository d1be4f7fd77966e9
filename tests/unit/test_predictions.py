"""Predictions: probabilities of the network that was trained, over views, for each part's own photos."""

import hashlib

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save

from manihot import files, networks, predictions
from manihot.batches import Batches
from manihot.errors import StudyError
from manihot.names import PARTS
from manihot.state import State

CPU = torch.device("cpu")
LABELS = ["7", "a", "é"]
SIZE = 16
SETTINGS = {
    "network": "small_cnn", "normalisation": "weights", "size": SIZE, "batch_size": 4, "views": ["identity"],
    "augment": {"horizontal_flip": True, "rotation": 30.0}, "flips_at_validation": False, "seed": 1,
    "device": "cpu", "gpu_slots": 1, "precision": "float32", "threads": 1,
}  # fmt: skip
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


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The weights of a network as training writes them, and their digest."""
    model = networks.build("small_cnn", 3, SIZE, 0.3, None, False, seed=5)
    content = save({name: value.contiguous() for name, value in model.state_dict().items()})
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def tables(root, trained, fold=1, **changes):
    with State(root, "predict_fold", {**SETTINGS, **changes}, "", str(fold)) as state:
        predictions.predict_fold(state, *trained, fold, LABELS, DRAW, SPLIT, gather, **{**SETTINGS, **changes})
        return {part: pd.read_csv(state.folder / f"{part}.csv", dtype={"image_id": str}) for part in PARTS}


def probabilities(trained, pixels):
    """What the plain network gives."""
    model = predictions.load_network("small_cnn", *trained, 3, SIZE)
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
    model = predictions.load_network("small_cnn", *trained, 3, SIZE)
    batches = Batches(PIXELS, CPU, networks.PIXELS)
    one, all_at_once = (predictions.predict(model, batches, ["identity"], n, torch.float32) for n in (1, 11))
    assert one.dtype == np.float32 and np.allclose(one, all_at_once, atol=1e-6)


def test_published_flips_change_the_validation_part_alone(tmp_path, trained):
    plain, flipped = tables(tmp_path, trained), tables(tmp_path, trained, flips_at_validation=True)
    assert not plain["validation"].equals(flipped["validation"])
    for part in ("train", "test", "test_as_found"):
        pd.testing.assert_frame_equal(plain[part], flipped[part])


def test_damaged_weights_are_noticed(tmp_path, trained):
    content = bytearray(trained[0].read_bytes())
    content[-1] ^= 1
    files.write_bytes(tmp_path / "w.safetensors", bytes(content))
    with pytest.raises(StudyError, match="w.safetensors is damaged: delete .*w.safetensors and run"):
        predictions.load_network("small_cnn", tmp_path / "w.safetensors", trained[1], 3, SIZE)


@pytest.mark.parametrize("network", ["resnet18", "efficientnet_b0", "squeezenet1_1"])
def test_networks_come_back_whatever_their_dropout(tmp_path, network):
    model = networks.build(network, 3, 64, 0.5, None, True, seed=5)
    content = save({name: value.contiguous() for name, value in model.state_dict().items()})
    files.write_bytes(tmp_path / "w.safetensors", content)
    again = predictions.load_network(network, tmp_path / "w.safetensors", hashlib.sha256(content).hexdigest(), 3, 64)
    photos = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(again(photos), model.eval()(photos))
