"""Stored features: the network's own, the same bytes after a kill, and no damage unnoticed."""

import re
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from torch import nn

from manihot.core import arrays, files
from manihot.core.errors import StudyError
from manihot.core.gpus import Compute
from manihot.core.state import State
from manihot.features import extract as features
from manihot.features import table as feature_table
from manihot.networks import build, bundle, weights
from manihot.networks.batches import Batches
from manihot.networks.build import Input
from manihot.splits.folds import Fold

SIZE = 64
CPU = torch.device("cpu")
SAMPLES = Path(__file__).parents[3].parent / "shared" / "data" / "weights"


def photos(n, seed=0):
    """Smooth random photos, uint8 [n, SIZE, SIZE, 3]."""
    coarse = torch.rand(n, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    fine = nn.functional.interpolate(coarse, SIZE, mode="bicubic").clamp(0, 1)
    return (fine * 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "squeezenet.safetensors"
    weights.fetch("squeezenet1_1", "none", path, 3)
    return path


@pytest.fixture
def catalog():
    ids = [f"{index}.jpg" for index in range(19)]
    status = ["truncated" if index == 5 else "ok" for index in range(19)]
    return pd.DataFrame({"dataset": "leaves", "image_id": ids, "status": status})


def extract(
    root,
    path,
    catalog,
    network="squeezenet1_1",
    view="identity",
    stop_after=None,
    normalisation="none",
    precision="float32",
):
    """Extract as a job would; returns the array, the indices of the photos read, and the files' bytes."""
    backbone = features.Backbone(Input(network, SIZE, normalisation), path, batch_size=4)
    pixels, read = photos(len(catalog)), []

    def gather(rows):
        if len(read) == stop_after:
            raise KeyboardInterrupt
        read.append(rows.index.tolist())
        return pixels[rows.index]

    with State(root, "extract_features", {}, "", "") as state:
        features.extract(state, backbone, catalog, gather, view, Compute("cpu", precision), lambda *_: None)
        files_made = {name: (state.folder / name).read_bytes() for name in ("features.npy", "features.json")}
        state.finish("features.npy", "features.json")
        return state.folder / "features.npy", read, files_made


def own_features(network, path, pixels):
    """What the network's own layers but the last give in float32 for pixels 0..1."""
    model = build.torchvision_network(network)
    model.load_state_dict(weights.load_file(path))
    body = nn.Sequential(*list(model.eval().children())[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with torch.inference_mode():
        return body(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255).numpy()


def settled(network, path):
    """Write weights whose batch norms have seen photos: else untrained features all but vanish."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = build.torchvision_network(network).train()
        with torch.no_grad():
            for _ in range(20):
                model(torch.from_numpy(photos(16, seed=5)).permute(0, 3, 1, 2).float() / 255)
    weights.files.write_bytes(path, weights.save(model.state_dict()))
    return path


@pytest.mark.parametrize("network", ["efficientnet_b0", "resnet18", "squeezenet1_1"])
def test_float32_features_are_the_networks_own(network, tmp_path):
    path = settled(network, tmp_path / "w.safetensors")
    model = features.prepared(build.feature_network(network, path), CPU, torch.float32)
    ours = features.forward(model, Batches(photos(6), CPU, build.PIXELS), 4, "identity", torch.float32)
    expected = own_features(network, path, photos(6))
    assert ours.shape == expected.shape and ours.dtype == np.float32 and expected.std() > 0.1
    np.testing.assert_allclose(ours, expected, atol=1e-5, rtol=1e-5)


def test_features_of_a_network_of_the_study_are_what_its_last_layer_takes_in(tmp_path, catalog):
    classes = [{"label": label, "name": ""} for label in "abc"]
    fold = Fold(1, pd.DataFrame({"label": list("abc"), "fold": 2}), classes)
    seen = Input("small_cnn", SIZE, "none")
    network = build.classifier("small_cnn", 3, SIZE, 0.0, None, frozen=False, seed=3).eval()
    content = save({key: value.contiguous() for key, value in network.state_dict().items()})
    bundle.save(tmp_path, bundle.describe("network", fold, seen.record(), {}, "float32"), content)
    given = features.Backbone(seen, tmp_path / "weights.safetensors", 4, tmp_path / "model.json")
    pixels, inputs = photos(len(catalog)), []
    build.last_layer(network)[1].register_forward_pre_hook(lambda _, taken: inputs.append(taken[0].numpy()))
    with torch.inference_mode():
        network(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
    for precision, near in (("float32", 0.999999), ("bfloat16", 0.999)):
        with State(tmp_path / precision, "extract_features", {}, "", "") as state:
            compute = Compute("cpu", precision)
            features.extract(
                state, given, catalog, lambda rows: pixels[rows.index], "identity", compute, lambda *_: None
            )
            made = np.load(state.folder / "features.npy")
            record = arrays.read_manifest(state.folder / "features.npy")["backbone"]
        assert cosine(np.delete(inputs[0], 5, 0), np.delete(made, 5, 0)).min() > near
        assert record["record"] == str(tmp_path / "model.json") and record["parameters"] > 300_000


def exact_and_auto(root, path, catalog, monkeypatch, **options):
    """Features in float32 and in what `auto` takes on a machine with bfloat16, and the name of that."""
    monkeypatch.setattr(features.machine, "precision", lambda name, _: getattr(torch, name.replace("auto", "bfloat16")))
    stored = [extract(root / name, path, catalog, precision=name, **options)[0] for name in ("float32", "auto")]
    exact, auto = (np.delete(np.load(array), 5, 0).astype(np.float64) for array in stored)
    return exact, auto, arrays.read_manifest(stored[1])["backbone"]["precision"]


def cosine(a, b):
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize(("network", "expected"), [("squeezenet1_1", "bfloat16"), ("resnet18", "float32")])
def test_auto_takes_bfloat16_only_where_features_stay_the_same(network, expected, tmp_path, catalog, monkeypatch):
    path = settled(network, tmp_path / "w.safetensors")
    exact, auto, taken = exact_and_auto(tmp_path, path, catalog, monkeypatch, network=network)
    assert taken == expected and cosine(exact, auto).min() >= 0.9999
    assert (exact == auto).all() == (taken == "float32")


@pytest.mark.parametrize(("network", "expected"), [("squeezenet1_1", "bfloat16"), ("mobilenet_v2", "float32")])
def test_auto_keeps_the_features_of_real_weights(network, expected, tmp_path, catalog, monkeypatch):
    source = SAMPLES / f"{network}-imagenet.pth"
    if not source.exists():
        pytest.skip("the sample weights are not beside the project (../shared/data/weights)")
    path = tmp_path / "w.safetensors"
    weights.fetch(network, str(source), path, 1)
    options = {"network": network, "normalisation": "weights"}
    exact, auto, taken = exact_and_auto(tmp_path, path, catalog, monkeypatch, **options)
    assert taken == expected and cosine(exact, auto).min() >= 0.9999


def test_batch_norms_are_fused_in_a_copy():
    model = build.torchvision_network("resnet18").eval()
    for dtype in (torch.float32, torch.bfloat16):
        made = features.prepared(model, CPU, dtype)
        assert not any(isinstance(module, nn.BatchNorm2d) for module in made.modules())
        assert {parameter.dtype for parameter in made.parameters()} == {dtype}
    assert sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()) == 20
    assert next(model.parameters()).dtype == torch.float32


def test_every_photo_of_the_catalog_has_a_row(tmp_path, untrained, catalog):
    array, read, _ = extract(tmp_path, untrained, catalog)
    rows = np.load(array)
    assert rows.dtype == np.float32 and rows.shape == (19, 512)
    assert sum(read, []) == [index for index in range(19) if index != 5]
    assert not rows[5].any() and rows[np.arange(19) != 5].any(axis=1).all()
    expected = own_features("squeezenet1_1", untrained, photos(19))
    np.testing.assert_allclose(np.delete(rows, 5, 0), np.delete(expected, 5, 0), atol=1e-5, rtol=1e-5)
    facts = arrays.read_manifest(array)
    assert facts["view"] == "identity"
    backbone = facts["backbone"]
    assert backbone["parameters"] == 722_496 and backbone["precision"] == "float32"
    assert backbone["network"] == "squeezenet1_1"
    channels = {"mean": [0.0] * 3, "std": [1.0] * 3}
    assert backbone["input"] == {"size": SIZE, "decode": "exact", "interpolation": "bilinear", **channels}
    assert backbone["initial_weights"] == {"source": "none"}
    assert (backbone["cam_layer"], backbone["cam_layout"]) == ("classifier.2", "nchw")
    assert backbone["weights"] == {"path": str(untrained), "sha256": files.sha256(untrained)}


def test_a_view_is_what_the_network_sees_of_the_photo_turned(tmp_path, untrained, catalog):
    array, _, _ = extract(tmp_path, untrained, catalog, view="hflip")
    mirrored = np.ascontiguousarray(photos(19)[:, :, ::-1])
    expected = own_features("squeezenet1_1", untrained, mirrored)
    np.testing.assert_allclose(np.load(array)[:5], expected[:5], atol=1e-5, rtol=1e-5)
    assert abs(np.load(array)[:5] - own_features("squeezenet1_1", untrained, photos(5))).max() > 1e-4


def test_normalisation_is_that_of_the_weights(tmp_path, untrained, catalog):
    plain, normalised = (
        np.load(extract(tmp_path / kind, untrained, catalog, normalisation=kind)[0]) for kind in ("none", "weights")
    )
    assert abs(plain - normalised).max() > 1e-3


def test_a_killed_extraction_goes_on_with_the_next_block_and_gives_the_same_bytes(
    tmp_path, untrained, catalog, monkeypatch
):
    monkeypatch.setattr(features, "BLOCK", 8)
    _, read, whole = extract(tmp_path / "whole", untrained, catalog)
    assert [len(block) for block in read] == [8, 8, 2]
    with pytest.raises(KeyboardInterrupt):
        extract(tmp_path / "killed", untrained, catalog, stop_after=1)
    _, read_after, resumed = extract(tmp_path / "killed", untrained, catalog)
    assert read_after == read[1:]
    assert resumed == whole


def test_a_damaged_block_is_made_again(tmp_path, untrained, catalog, monkeypatch):
    monkeypatch.setattr(features, "BLOCK", 8)
    _, _, whole = extract(tmp_path / "whole", untrained, catalog)
    with pytest.raises(KeyboardInterrupt):
        extract(tmp_path / "killed", untrained, catalog, stop_after=2)
    flip(next((tmp_path / "killed").glob("*/block8.npy")), 2000)
    _, read, resumed = extract(tmp_path / "killed", untrained, catalog)
    assert [block[0] for block in read] == [9, 17] and resumed == whole


def test_features_that_are_not_finite_stop_the_run(tmp_path, untrained, catalog):
    state = weights.load_file(untrained)
    state["features.0.weight"] *= 1e38
    weights.files.write_bytes(tmp_path / "w.safetensors", weights.save(state))
    with pytest.raises(StudyError, match="not finite"):
        extract(tmp_path, tmp_path / "w.safetensors", catalog)


# Reading


def table(path, dataset="leaves", view="identity", n=6, seed=0):
    rows = np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)
    ids = [f"{index}.jpg" for index in range(n)]
    feature_table.write(path, ids, [(np.arange(n), rows)], {"dataset": dataset, "view": view})
    return rows


def flip(path, place, bits=1):
    content = bytearray(path.read_bytes())
    content[place] ^= bits
    path.write_bytes(content)


def asked(*keys):
    return pd.DataFrame(keys, columns=["dataset", "image_id"])


def test_rows_are_found_by_data_set_photo_and_view(tmp_path):
    stored = [tmp_path / "a" / "identity.npy", tmp_path / "a" / "hflip.npy", tmp_path / "b" / "identity.npy"]
    leaves, mirrored = table(stored[0]), table(stored[1], view="hflip", seed=1)
    needles = table(stored[2], dataset="needles", seed=2)
    wanted = asked(("needles", "3.jpg"), ("leaves", "3.jpg"), ("leaves", "0.jpg"), ("leaves", "3.jpg"))
    selected = feature_table.select(stored, wanted)
    np.testing.assert_array_equal(selected, np.stack([needles[3], leaves[3], leaves[0], leaves[3]]))
    assert selected.dtype == np.float32
    np.testing.assert_array_equal(feature_table.select(stored, wanted[1:2], "hflip"), mirrored[3:4])
    assert feature_table.select(stored, wanted[:0]).shape == (0, 4)
    for photos, view, match in (
        (wanted, "hflip", "no stored features of needles in the view hflip"),
        (wanted, "vflip", "no stored features of the view vflip"),
        (asked(("leaves", "9.jpg")), "identity", r"identity\.npy does not hold the photo 9\.jpg: delete"),
    ):
        with pytest.raises(StudyError, match=match):
            feature_table.select(stored, photos, view)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.lists(st.tuples(st.sampled_from(["leaves", "needles"]), st.integers(0, 5)), max_size=8),
    st.randoms(use_true_random=False),
)
def test_features_of_several_backbones_stand_side_by_side(widths, places, random):
    """In the order of the backbones, whatever the order of data sets and views, and each row of the photo asked for."""
    wanted = asked(*((dataset, f"{row}.jpg") for dataset, row in places))
    with TemporaryDirectory() as folder:
        by_key, rows = {}, {}
        for dataset, view in product(("leaves", "needles"), ("identity", "hflip")):
            for number, width in enumerate(widths):
                path = Path(folder) / dataset / str(number) / f"{view}.npy"
                made = rows[dataset, view, number] = np.full((6, width), len(rows), np.float32)
                made += np.arange(6, dtype=np.float32)[:, None] / 8
                about = {"dataset": dataset, "view": view, "backbone": {"network": f"net{number}"}}
                feature_table.write(path, [f"{row}.jpg" for row in range(6)], [(np.arange(6), made)], about)
                by_key.setdefault((dataset, view), []).append(path)
        # The arrays of a data set and view keep their order; the others may come in between.
        turns = [key for key, paths in by_key.items() for _ in paths]
        random.shuffle(turns)
        waiting = {key: iter(paths) for key, paths in by_key.items()}
        stored = [next(waiting[key]) for key in turns]
        for view in ("identity", "hflip"):
            selected = feature_table.select(stored, wanted, view)
            assert selected.shape == (len(places), sum(widths)) and selected.dtype == np.float32
            for line, (dataset, row) in zip(selected, places, strict=True):
                each = [rows[dataset, view, number][row] for number in range(len(widths))]
                np.testing.assert_array_equal(line, np.concatenate(each))
        records = feature_table.backbones(stored)
        assert [(r["network"], r["features"]) for r in records] == [(f"net{n}", w) for n, w in enumerate(widths)]


def test_joined_features_that_lack_a_data_set_of_one_backbone_are_refused(tmp_path):
    stored = [tmp_path / name / "identity.npy" for name in ("a", "b", "c")]
    table(stored[0])
    table(stored[1])
    table(stored[2], dataset="needles")
    assert feature_table.select(stored, asked(("leaves", "3.jpg"))).shape == (1, 8)
    with pytest.raises(StudyError, match="no stored features of needles in the view identity"):
        feature_table.select(stored, asked(("needles", "3.jpg")))
    assert feature_table.digest(stored[:2]) == feature_table.digest(stored[1::-1]), "these two are alike"
    table(stored[1], seed=1)
    assert feature_table.digest(stored[:2]) != feature_table.digest(stored[1::-1]), "their order counts"


def test_one_wrong_byte_is_noticed_wherever_it_is(tmp_path):
    path = tmp_path / "identity.npy"
    expected = table(path)
    everything = asked(*[("leaves", f"{index}.jpg") for index in range(6)])
    content = path.read_bytes()
    for place, bits in product(range(len(content)), (1, 2)):  # 2 makes another byte order of the header's <
        path.write_bytes(content)
        flip(path, place, bits)
        try:
            selected = feature_table.select([path], everything)
        except StudyError as error:
            assert re.search(
                r"identity.npy is (missing or damaged|damaged at photo \d\.jpg): delete .*again$", str(error)
            )
        else:  # white space of the header
            assert place < 128
            np.testing.assert_array_equal(selected, expected)
    for damage in (lambda: path.write_bytes(content[:-1]), path.unlink):
        damage()
        with pytest.raises(StudyError, match=r"identity\.npy is missing or damaged"):
            feature_table.select([path], everything)


def test_the_digest_tells_contents_apart(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        table(tmp_path / name / "identity.npy", seed=seed)
    a, b, c = (feature_table.digest([tmp_path / name / "identity.npy"]) for name in "abc")
    assert a == b != c
    assert files.sha256(tmp_path / "a" / "identity.npy") == files.sha256(tmp_path / "b" / "identity.npy")
