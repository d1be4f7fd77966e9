"""Weights of frozen backbones: the same bytes every time, and no file taken unchecked."""

import pickle
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import load_file, save_file

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.networks import build, weights

SAMPLES = Path(__file__).parents[3].parent / "shared" / "data" / "weights"


class Hostile:
    """A pickle of this runs code when it is loaded."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


@pytest.fixture(scope="module")
def state():
    return build.torchvision_network("squeezenet1_1").state_dict()


def refused(path, tmp_path, match):
    with pytest.raises(StudyError, match=match) as caught:
        weights.fetch("squeezenet1_1", str(path), tmp_path / "out.safetensors", 1)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.safetensors").exists()


def test_untrained_weights_are_drawn_from_the_seed_alone(tmp_path):
    before = torch.random.get_rng_state()
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        weights.fetch("squeezenet1_1", "none", tmp_path / name, seed)
        torch.rand(7)
    torch.random.set_rng_state(before)
    assert files.sha256(tmp_path / "a") == files.sha256(tmp_path / "b") != files.sha256(tmp_path / "c")


@pytest.mark.parametrize("network", ["squeezenet1_1", "mobilenet_v2"])
def test_sample_weights_load_strictly_and_write_the_same_bytes_again(network, tmp_path):
    source = SAMPLES / f"{network}-imagenet.pth"
    if not source.exists():
        pytest.skip("the sample weights are not beside the project (../shared/data/weights)")
    weights.fetch(network, str(source), tmp_path / "first.safetensors", 1)
    weights.fetch(network, str(tmp_path / "first.safetensors"), tmp_path / "again.safetensors", 2)
    assert files.sha256(tmp_path / "first.safetensors") == files.sha256(tmp_path / "again.safetensors")
    build.torchvision_network(network).load_state_dict(load_file(tmp_path / "first.safetensors"), strict=True)
    build.feature_network(network, tmp_path / "first.safetensors")


def test_half_precision_and_missing_step_counts_are_made_right(tmp_path):
    whole = build.torchvision_network("mobilenet_v3_small").state_dict()
    old = {key: value.half() for key, value in whole.items() if not key.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pth")
    weights.fetch("mobilenet_v3_small", str(tmp_path / "old.pth"), tmp_path / "new.safetensors", 1)
    new = load_file(tmp_path / "new.safetensors")
    assert {key: value.dtype for key, value in new.items()} == {key: value.dtype for key, value in whole.items()}


def test_densenet_files_with_old_names_are_read(tmp_path):
    whole = build.torchvision_network("densenet121").state_dict()
    old = {key.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): value for key, value in whole.items()}
    torch.save(old, tmp_path / "old.pth")
    weights.fetch("densenet121", str(tmp_path / "old.pth"), tmp_path / "new.safetensors", 1)
    assert load_file(tmp_path / "new.safetensors").keys() == whole.keys()


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path):
    marker = tmp_path / "code was run"
    torch.save({"features": Hostile(marker)}, tmp_path / "zip.pth")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Hostile(marker)))
    for name in ("zip.pth", "plain.pt"):
        refused(tmp_path / name, tmp_path, f"{name} is refused .*holds more than plain tensors")
    assert not marker.exists()


def test_damaged_and_wrong_files_are_refused(tmp_path, state):
    save_file(state, tmp_path / "whole.safetensors")
    content = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[:1000])
    (tmp_path / "huge.safetensors").write_bytes(b"\xff" * 8 + content[8:])
    (tmp_path / "empty.pth").write_bytes(b"")
    for name in ("cut.safetensors", "huge.safetensors", "empty.pth"):
        refused(tmp_path / name, tmp_path, f"{name} is refused")
    torch.save(build.torchvision_network("squeezenet1_1"), tmp_path / "module.pth")
    refused(tmp_path / "module.pth", tmp_path, r"module\.pth is refused")
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    refused(tmp_path / "tensor.pth", tmp_path, "52 tensors are missing")
    refused(tmp_path / "none.pth", tmp_path, r"none\.pth does not exist")
    refused(__file__, tmp_path, r"is not a state dict: a \.pth, \.pt or \.safetensors file is wanted")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda s: s.pop("classifier.1.bias"),
            r"1 tensors are missing \(as 'classifier.1.bias'\); give the weights",
        ),
        (lambda s: s.update(extra=torch.zeros(1)), r"1 are not its own \(as 'extra'\)"),
        (lambda s: s.update({"classifier.1.bias": torch.zeros(5)}), r"has the shape \(5,\), not \(1000,\)"),
        (
            lambda s: s["classifier.1.bias"].fill_(float("nan")),
            "classifier.1.bias holds values that are not finite",
        ),
        (lambda s: s.update({"classifier.1.bias": [0.0] * 1000}), "is not a plain tensor"),
        (
            lambda s: s.update({"classifier.1.bias": torch.zeros(1000, device="meta")}),
            "is not a plain tensor",
        ),
    ],
)
def test_every_tensor_must_fit_the_network(tmp_path, state, change, match):
    changed = {key: value.clone() for key, value in state.items()}
    change(changed)
    torch.save(changed, tmp_path / "changed.pth")
    refused(tmp_path / "changed.pth", tmp_path, match)


def test_no_network_says_how_to_do_without(tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise URLError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    refused(
        "imagenet",
        tmp_path,
        r"squeezenet1_1-b8a52dc0\.pth cannot be downloaded .*give the file as the `weights`",
    )


def test_a_damaged_download_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"half a file")
    refused("imagenet", tmp_path, r"arrived damaged: delete .*squeezenet1_1-b8a52dc0\.pth")


def test_imagenet_means_the_first_published_weights(tmp_path, monkeypatch, state):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    cached.parent.mkdir(parents=True)
    torch.save(state, cached)
    weights.fetch("squeezenet1_1", "imagenet", tmp_path / "out.safetensors", 1)
    assert torch.equal(load_file(tmp_path / "out.safetensors")["classifier.1.weight"], state["classifier.1.weight"])
