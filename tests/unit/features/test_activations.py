"""Stored activations: the lower part's own, the same bytes after a kill, no damage unnoticed, no full disk."""

import re
import shutil
from collections import namedtuple

import numpy as np
import pandas as pd
import pytest
import torch

from manihot.core import arrays
from manihot.core.errors import StudyError
from manihot.core.gpus import Compute
from manihot.core.state import State
from manihot.features import activations
from manihot.networks import augment, build, weights
from manihot.networks.activations import ActivationBatches
from manihot.networks.build import Input

SIZE, CUT = 64, "layer4.1"
FILES = ("activations.npy", "activations.json")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    weights.fetch("resnet18", "none", path, 3)
    return path


CATALOG = pd.DataFrame({
    "dataset": "leaves", "image_id": [f"{index}.jpg" for index in range(19)],
    "status": ["truncated" if index == 5 else "ok" for index in range(19)],
})  # fmt: skip
PIXELS = np.random.default_rng(0).integers(0, 256, (19, SIZE, SIZE, 3), dtype=np.uint8)


def store(root, path, view="identity", stop_after=None, catalog=CATALOG):
    """Store as a job would; returns the array's path, the rows read by each call, and the files' bytes."""
    read = []

    def gather(rows):
        if len(read) == stop_after:
            raise KeyboardInterrupt
        read.append(rows.index.tolist())
        return PIXELS[rows.index]

    made = activations.Cut(Input("resnet18", SIZE, "weights"), path, CUT)
    with State(root, "store_activations", {"view": view}, "", "") as state:
        activations.store(state, made, catalog, gather, view, Compute("cpu", "float32"), lambda *_: None)
        files_made = {name: (state.folder / name).read_bytes() for name in FILES}
        state.finish(*FILES)
        return state.folder / "activations.npy", read, files_made


def own(path, view="identity"):
    """The lower part's activations of all photos, by the network itself, float32 [n, ...]."""
    model = build.classifier("resnet18", 5, SIZE, 0.0, path, False, 0).eval()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in build.normalisation("resnet18"))
    photos = augment.view((torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 255 - mean) / std, view)
    with torch.inference_mode():
        return model.layer4[0](
            model.layer3(model.layer2(model.layer1(model.maxpool(model.relu(model.bn1(model.conv1(photos)))))))
        )


@pytest.mark.parametrize("view", ["identity", "rot90"])
def test_they_are_the_lower_parts_own_in_sixteen_bits(tmp_path, untrained, view):
    path, _, _ = store(tmp_path, untrained, view)
    found = activations.gather(CATALOG.drop(5), [path], [view])
    made = torch.cat([maps for maps, _ in ActivationBatches(found, torch.device("cpu"))(np.arange(18), 7)])
    wanted = own(untrained, view)[[row for row in range(19) if row != 5]]
    assert made.shape == wanted.shape == (18, 512, 2, 2)
    assert torch.allclose(made, wanted, rtol=2e-3, atol=2e-3 * wanted.abs().max().item())
    manifest = arrays.read_manifest(path)
    assert manifest["shape"] == [19, 2, 2, 512] and manifest["dataset"] == "leaves" and manifest["view"] == view
    assert manifest["cut"]["train_from"] == CUT and manifest["cut"]["network"] == "resnet18"
    assert not np.load(path)[5].any() and np.load(path).dtype == np.float16


@pytest.mark.parametrize("stop_after", [1, 2, 4])
def test_a_killed_job_goes_on_with_the_next_block_and_gives_the_same_bytes(
    tmp_path, untrained, monkeypatch, stop_after
):
    monkeypatch.setattr(activations, "BLOCK", 5)
    _, read, expected = store(tmp_path / "a", untrained)
    assert [len(rows) for rows in read] == [1, 5, 5, 5, 3]
    with pytest.raises(KeyboardInterrupt):
        store(tmp_path / "b", untrained, stop_after=stop_after)
    _, again, found = store(tmp_path / "b", untrained)
    # One photo tells the shape; then come the blocks that were not done.
    assert found == expected and again == [read[0], *read[stop_after:]]


@pytest.mark.parametrize("harm", ["a byte", "the end"])
def test_what_a_killed_job_left_damaged_is_made_again(tmp_path, untrained, monkeypatch, harm):
    monkeypatch.setattr(activations, "BLOCK", 5)
    _, _, expected = store(tmp_path / "a", untrained)
    with pytest.raises(KeyboardInterrupt):
        store(tmp_path / "b", untrained, stop_after=2)
    (left,) = (tmp_path / "b").glob("*/activations.npy")
    content = bytearray(left.read_bytes())
    content[200] ^= 1  # of the first row
    left.write_bytes(content if harm == "a byte" else content[:-5])
    assert store(tmp_path / "b", untrained)[2] == expected


def test_photos_are_found_by_data_set_and_view(tmp_path, untrained):
    other = CATALOG.assign(dataset="needles")
    paths = [
        store(tmp_path / f"{name}{view}", untrained, view, catalog=catalog)[0]
        for name, catalog in (("a", CATALOG), ("b", other))
        for view in ("identity", "hflip")
    ]
    asked = pd.concat([CATALOG.iloc[[3, 0]], other.iloc[[7]]], ignore_index=True)
    found = activations.gather(asked, paths, ["hflip", "identity"])
    assert found.shape == (3, 2, 2, 2, 512)
    views = [np.load(paths[1]), np.load(paths[0])]
    for place, row in enumerate((3, 0, 7)):
        for view in range(2):
            assert (found[np.array([place]), np.array([view])][0] == views[view][row]).all()
    with pytest.raises(StudyError, match="no stored activations of leaves in the view vflip"):
        activations.gather(asked, paths, ["vflip"])
    with pytest.raises(StudyError, match=r"does not hold the photo 99\.jpg"):
        activations.gather(asked.assign(image_id="99.jpg"), paths, ["identity"])


def test_one_wrong_byte_is_noticed(tmp_path, untrained):
    path, _, _ = store(tmp_path, untrained)
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    activations.gather(CATALOG.iloc[:3], [path], ["identity"])
    with pytest.raises(StudyError, match=re.escape("is damaged at photo 18.jpg")):
        activations.gather(CATALOG.iloc[17:], [path], ["identity"])


def test_a_disk_that_is_too_small_is_told_before(tmp_path, untrained, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 1000))
    with pytest.raises(StudyError, match=r"activations take 0\.00 GB a view and .* has 0\.00 GB left"):
        store(tmp_path, untrained)


def test_what_sixteen_bits_cannot_hold_is_told(tmp_path, untrained, monkeypatch):
    plain = activations.forward
    for factor in (1e-8, 1e6):
        with monkeypatch.context() as patched:
            patched.setattr(activations, "forward", lambda *args, f=factor: plain(*args) * f)
            with pytest.raises(StudyError, match=r"resnet18 gives activations at layer4\.1 that 16 bits cannot hold"):
                store(tmp_path, untrained)
