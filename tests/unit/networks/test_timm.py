"""timm's networks: each family gives logits, features and its last maps, is kept and exported; bad names and sizes."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from maps import shape_of
from safetensors.torch import load_file, save, save_file
from torch import nn

from manihot.core.errors import StudyError
from manihot.networks import build, bundle, of_timm, weights
from manihot.networks.build import Input
from manihot.networks.cam import cam_layer
from manihot.splits.folds import Fold

# The smallest of each family: what its last layer takes in, where its last maps are and what they look like.
FAMILIES = {
    "vit_tiny_patch16_224": (64, 192, "blocks.11.norm1", "nlc"),
    "vit_small_patch14_dinov2": (56, 384, "blocks.11.norm1", "nlc"),
    "vit_small_patch16_dinov3": (64, 384, "blocks.11.norm1", "nlc"),
    "convnextv2_atto": (64, 320, "norm_pre", "nchw"),
    "tf_efficientnet_lite0": (64, 1280, "bn2", "nchw"),
    "tf_efficientnetv2_b0": (64, 1280, "bn2", "nchw"),
    "mobilenetv4_conv_small_035": (64, 1280, "blocks", "nchw"),
    "swin_tiny_patch4_window7_224": (64, 768, "norm", "nhwc"),
    "regnetx_002": (64, 368, "final_conv", "nchw"),
}
CLASSES = 3


def built(name: str, size: int, seed: int = 1) -> nn.Module:
    return build.classifier(f"timm/{name}", CLASSES, size, 0.3, None, True, seed)


@pytest.fixture(scope="module", params=FAMILIES)
def network(request: Any) -> tuple[str, int, nn.Module]:
    size = FAMILIES[request.param][0]
    return request.param, size, built(request.param, size).eval()


def photos(count: int, size: int) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def test_logits_and_the_features_before_them(network: tuple[str, int, nn.Module]) -> None:
    name, size, model = network
    width = FAMILIES[name][1]
    headless = build.Features(copy.deepcopy(model))
    logits, features = model(photos(2, size)), headless(photos(2, size))
    assert logits.shape == (2, CLASSES) and features.shape == (2, width)
    assert torch.allclose(build.last_layer(model)[1](features), logits, atol=1e-5)
    assert build.parameter_counts(model)["trainable"] == (width + 1) * CLASSES
    left = build.parameter_counts(model)["parameters"] - build.parameter_counts(headless)["parameters"]
    assert left == (width + 1) * CLASSES
    assert any(isinstance(part, nn.Dropout) and part.p == 0.3 for part in model.modules()) or model.drop_rate == 0.3


def test_the_seed_alone_gives_the_initial_weights(network: tuple[str, int, nn.Module]) -> None:
    name, size, model = network
    before = torch.random.get_rng_state()
    again, other = built(name, size), built(name, size, seed=2)
    assert torch.equal(before, torch.random.get_rng_state())
    state = model.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in again.state_dict().items())
    last = f"{build.last_layer(other)[0]}.weight"
    assert not torch.equal(other.state_dict()[last], state[last])


def test_what_was_kept_gives_the_same_outputs(network: tuple[str, int, nn.Module], tmp_path: Path) -> None:
    name, size, model = network
    fold = Fold(1, pd.DataFrame({"label": list("abc"), "fold": 2}), [{"label": k, "name": ""} for k in "abc"])
    seen = Input(f"timm/{name}", size, "weights").record() | cam_layer(model, size)
    content = save({key: value.contiguous() for key, value in model.state_dict().items()})
    bundle.save(tmp_path, bundle.describe("network", fold, seen, {}, "float32"), content)
    kept = bundle.read(tmp_path / "model.json")
    again = build.load_network(kept)
    with torch.inference_mode():
        assert torch.equal(again(photos(2, size)), model(photos(2, size)))
    assert kept.record["network"] == f"timm/{name}" and kept.record["cam_layer"] == FAMILIES[name][2]
    assert kept.record["initial_weights"] == {"source": "none"} and "trained_with" not in kept.record["input"]


def test_an_export_gives_the_same_logits(network: tuple[str, int, nn.Module]) -> None:
    _, size, model = network
    exported = torch.export.export(model, (photos(2, size),), dynamic_shapes=({0: torch.export.Dim("n", max=64)},))
    with torch.inference_mode():
        assert torch.allclose(exported.module()(photos(3, size)), model(photos(3, size)), atol=1e-6)


def test_the_layer_of_a_grad_cam(network: tuple[str, int, nn.Module]) -> None:
    name, size, model = network
    _, _, layer, layout = FAMILIES[name]
    assert cam_layer(model, size) == {"cam_layer": layer, "cam_layout": layout}
    shape = shape_of(model, layer, size)
    assert len(shape) == len(layout) and shape[layout.index("n")] == 2
    assert shape[layout.index("c")] == model.num_features or name.startswith("mobilenetv4")


@pytest.mark.parametrize(
    ("network", "size", "message"),
    [
        ("timm/tf_efficientnet_lite9", 64, r"timm has none of this name; did you mean timm/tf_efficientnet_lite\d"),
        ("timm/zzz", 64, "timm.list_models"),
        ("timm/tf_efficientnet_lite0.in2k", 64, r"no weights of this tag; did you mean timm/\w+\.in1k"),
        ("timm/vit_tiny_patch16_224", 72, "patches of 16 px, .* 72 px .*: set `size` to 64 or 80"),
        ("timm/vit_small_patch14_dinov2", 224 + 4, "set `size` to 224 or 238"),
        ("timm/deit_tiny_distilled_patch16_224", 224, "has not one last layer"),
        ("timm/crossvit_tiny_240", 240, "has not one last layer"),
    ],
)
def test_bad_names_and_sizes_are_told(network: str, size: int, message: str) -> None:
    with pytest.raises(StudyError, match=message) as caught:
        build.classifier(network, CLASSES, size, 0.0, None, False, 1)
    assert "\n" not in str(caught.value)


def test_the_input_is_that_of_the_published_weights(tmp_path: Path) -> None:
    lite = build.normalisation("timm/tf_efficientnet_lite0")
    assert [list(values) for values in lite] == [[0.5] * 3, [0.5] * 3]
    assert build.normalisation("timm/tf_efficientnet_lite0", "standard") == build.IMAGENET
    for n, size, kept in ((0, 224, 0.875), (1, 240, 0.882), (2, 260, 0.89)):
        told = build.trained_with(f"timm/tf_efficientnet_lite{n}")
        assert told == {"size": size, "interpolation": "bicubic", "crop_pct": kept}
    assert build.trained_with("resnet18") == {"size": 224, "interpolation": "bilinear", "crop_pct": 0.875}
    # A tag of its own: other weights of one network.
    assert (
        of_timm.published("timm/vit_base_patch16_224.augreg_in21k")["name"] == "timm/vit_base_patch16_224.augreg_in21k"
    )
    assert of_timm.published("timm/vit_small_patch16_dinov3")["license"] == "dinov3-license"
    weights.fetch("timm/regnetx_002", "none", tmp_path / "none", 1)
    assert "trained_with" not in Input("timm/regnetx_002", 64, "weights").record(tmp_path / "none")["input"]
    save_file(load_file(tmp_path / "none"), tmp_path / "given.safetensors")
    weights.fetch("timm/regnetx_002", str(tmp_path / "given.safetensors"), tmp_path / "file", 1)
    record = Input("timm/regnetx_002", 64, "weights").record(tmp_path / "file")
    assert record["initial_weights"] == {"source": "file"}
    assert record["input"]["interpolation"] == "bilinear"
    assert record["input"]["trained_with"] == {"size": 224, "interpolation": "bicubic", "crop_pct": 0.875}


def test_weights_of_another_size_keep_what_they_know(tmp_path: Path) -> None:
    """A ViT's positions are resampled: at its own size it is the network that it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        whole = of_timm.create("timm/vit_tiny_patch16_224").eval()
    torch.nn.init.normal_(whole.pos_embed)
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    native = build.feature_network("timm/vit_tiny_patch16_224", tmp_path / "w.safetensors", 224)
    smaller = build.feature_network("timm/vit_tiny_patch16_224", tmp_path / "w.safetensors", 112)
    assert not any(parameter.requires_grad for parameter in smaller.parameters())
    with torch.inference_mode():
        pixels = photos(2, 224)
        assert torch.equal(native(pixels), whole.forward_head(whole.forward_features(pixels), pre_logits=True))
        assert smaller(pixels[..., ::2, ::2]).shape == (2, 192)
    grid = whole.pos_embed[0, 1:].reshape(14, 14, -1).permute(2, 0, 1)[None]
    wanted = nn.functional.interpolate(grid, (7, 7), mode="bicubic", antialias=True, align_corners=False)
    found = smaller.network.pos_embed[0, 1:].reshape(7, 7, -1).permute(2, 0, 1)[None]
    assert torch.allclose(found, wanted, atol=1e-6)


def test_files_are_held_against_timms_network(tmp_path: Path) -> None:
    state = of_timm.create("timm/regnetx_002").state_dict()
    half = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    torch.save(half, tmp_path / "half.pth")
    save_file(half, tmp_path / "half.safetensors")
    for name in ("half.pth", "half.safetensors"):
        weights.fetch("timm/regnetx_002", str(tmp_path / name), tmp_path / "out", 1)
        out = load_file(tmp_path / "out")
        assert all(np.array_equal(out[key], half[key].to(value.dtype)) for key, value in state.items())
        assert out.keys() == state.keys() and out["stem.conv.weight"].dtype == torch.float32
    short = copy.copy(half)
    del short["head.fc.bias"]
    save_file(short, tmp_path / "short.safetensors")
    with pytest.raises(StudyError, match=r"1 tensors are missing .*; give the weights of timm's regnetx_002"):
        weights.fetch("timm/regnetx_002", str(tmp_path / "short.safetensors"), tmp_path / "short", 1)


@pytest.mark.parametrize("source", ["imagenet", "none"])
def test_our_own_networks_have_no_published_weights(source: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="small_cnn has no published weights"):
        weights.fetch("small_cnn", source, tmp_path / "w", 1)


def test_a_download_says_its_tag_and_its_license(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create = of_timm.create
    monkeypatch.setattr(of_timm, "create", lambda network, *rates, pretrained=False: create(network, *rates))
    weights.fetch("timm/regnetx_002", "imagenet", tmp_path / "w", 1)
    record = Input("timm/regnetx_002", 64, "weights").record(tmp_path / "w")
    assert record["initial_weights"] == {"source": "timm/regnetx_002.pycls_in1k", "license": "mit"}


def test_no_connection_says_how_to_do_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OSError("We couldn't connect\nto the hub")

    monkeypatch.setattr("timm.create_model", offline)
    for name, mend in (
        ("regnetx_002", "file as the `weights` of timm/regnetx_002, or"),
        ("tf_efficientnet_lite0", "package"),
    ):
        with pytest.raises(StudyError, match=rf"{name}\.\w+ cannot be downloaded .*{mend}") as caught:
            weights.fetch(f"timm/{name}", "imagenet", tmp_path / "w", 1)
        assert "\n" not in str(caught.value)
