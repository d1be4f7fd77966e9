"""Training from a cut on: it is training of the whole network whose lower part is frozen in eval mode."""

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load, load_file, save
from test_training import (
    CLASSES,
    KilledError,
    every_epoch,
    fold_of,
    photos,
    recipe,
    trainer_of,
)  # fmt: skip
from torch import nn

from manihot.core.errors import StudyError
from manihot.core.gpus import Compute
from manihot.core.names import PARTS
from manihot.core.state import State
from manihot.features import activations
from manihot.networks import augment, build, bundle, cut, weights
from manihot.networks.activations import Activations
from manihot.networks.build import Input
from manihot.networks.mixing import Mixing
from manihot.predictions import network as predictions
from manihot.training import fold as training
from manihot.training.trainer import LabelledPhotos

__all__ = ["every_epoch"]  # a fixture
SIZE, VIEWS = 64, ["identity", "hflip", "rot90"]
RECIPE = recipe(
    network="resnet18", size=SIZE, train_from="layer4", views=VIEWS, augment={}, dropout=0.0, learning_rate=1e-4,
    epochs=3, schedule="cosine", batch_size=6,
)  # fmt: skip
MIXED = dataclasses.replace(RECIPE, augment={"mixup": 0.4})
TRAINING, VALIDATION = photos(18, SIZE), photos(9, SIZE, first=100)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    weights.fetch("resnet18", "none", path, 3)
    return path


def exact(known, path, views=VIEWS):
    """The photos with their activations in float32 in place of pixels."""
    model = build.classifier("resnet18", CLASSES, SIZE, 0.0, path, False, 0)
    lower, _ = cut.split(model, "layer4", SIZE)
    made = Activations(len(known.targets), views, (4, 4, 256))
    every = np.arange(len(known.targets))
    for number, view in enumerate(views):
        with torch.inference_mode():
            maps = lower(augment.view(normalised(known.pixels), view))
        made.add(number, maps.permute(0, 2, 3, 1).contiguous().numpy(), every, every)
    return LabelledPhotos(made, known.targets, known.keys)


def normalised(pixels):
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in build.normalisation("resnet18"))
    maps = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std
    return maps.contiguous(memory_format=torch.channels_last)


def plain(start, settings, steps_of):
    """The whole network in torch's own loop, its lower part frozen in eval mode; it is trained in place."""
    lower = nn.Sequential(start.conv1, start.bn1, start.relu, start.maxpool, start.layer1, start.layer2, start.layer3)
    lower.requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in start.parameters() if p.requires_grad], lr=settings.learning_rate)
    pixels, step = normalised(TRAINING.pixels), 0
    for epoch in range(1, settings.epochs + 1):
        start.train()
        lower.eval()
        which = augment.DrawnViews(len(VIEWS)).draw(TRAINING.keys, steps_of.seed, epoch).which
        seen = torch.stack([augment.view(pixels[i], VIEWS[view]) for i, view in enumerate(which)])
        for batch in np.split(augment.random_order(steps_of.seed, epoch, 18), 3):
            optimizer.param_groups[0]["lr"] = steps_of.rates[step][0]
            loss = nn.functional.cross_entropy(
                start(seen[batch].contiguous(memory_format=torch.channels_last)),
                torch.from_numpy(TRAINING.targets[batch]), label_smoothing=settings.label_smoothing,
                weight=steps_of.loss.weight,
            )  # fmt: skip
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    return start.eval()


def answers(model, known=VALIDATION):
    with torch.inference_mode():
        return model(normalised(known.pixels)).softmax(1)


def test_it_is_training_of_the_whole_network_with_its_lower_part_frozen(untrained):
    ours = trainer_of(RECIPE, exact(TRAINING, untrained), exact(VALIDATION, untrained), untrained)
    start = copy.deepcopy(ours.model)
    before = answers(start.eval())
    while not ours.done:
        ours.run_epoch(lambda *_: None)
    whole = plain(start, RECIPE, ours)
    ours.model.eval()
    assert (answers(whole) - before).abs().max() > 0.05
    assert (answers(whole) - answers(ours.model)).abs().max() < 1e-5
    mine, theirs = ours.model.state_dict(), whole.state_dict()
    assert all(torch.allclose(mine[name].float(), theirs[name].float(), atol=1e-5) for name in mine)
    targets = torch.from_numpy(VALIDATION.targets)
    assert ours.history[-1]["validation_accuracy"] == (answers(whole).argmax(1) == targets).double().mean()


def stored(root, path, known, first):
    """Activations of photos as a job stores them, in every view: their files."""
    table = pd.DataFrame({"dataset": "unit", "image_id": [f"{first + i}.jpg" for i in range(len(known.pixels))]})
    table["status"], made = "ok", []
    for view in VIEWS:
        with State(root, "store", {"view": view, "first": first}, "", "") as state:
            part = activations.Cut(Input("resnet18", SIZE, "weights"), path, "layer4")
            compute = Compute("cpu", "float32")
            activations.store(state, part, table, lambda r: known.pixels[r.index], view, compute, lambda *_: None)
            made.append(state.folder / "activations.npy")
    return made


@pytest.fixture(scope="module")
def arrays(tmp_path_factory, untrained):
    both = LabelledPhotos(np.concatenate([TRAINING.pixels, VALIDATION.pixels]), TRAINING.targets, TRAINING.keys)
    return stored(tmp_path_factory.mktemp("stored"), untrained, both, 0)


def run(root, arrays, path, settings=RECIPE, kill_at=None):
    """Train a fold from stored activations; returns the folder and the files' bytes."""
    fold, _ = fold_of(TRAINING, VALIDATION)

    def progress(done, total, text):
        if done == kill_at:
            raise KilledError

    with State(root, "train_fold", dataclasses.asdict(settings), "", "") as state:
        training.train_fold(
            settings, "unit", fold, lambda rows, _: activations.gather(rows, arrays, VIEWS), path, state, progress
        )
        names = ("weights.safetensors", "history.csv", "model.json")
        return state.folder, {name: (state.folder / name).read_bytes() for name in names}


def test_what_is_saved_is_the_whole_network_and_near_the_exact_one(tmp_path, arrays, untrained):
    folder, _ = run(tmp_path, arrays, untrained)
    fitted = bundle.read(folder / "model.json")
    saved, before = load_file(folder / "weights.safetensors"), load_file(untrained)
    assert saved.keys() == before.keys() - {"fc.weight", "fc.bias"} | {"fc.1.weight", "fc.1.bias"}
    changed = {name for name in saved if name in before and not saved[name].equal(before[name])}
    assert changed == {name for name in before if name.startswith("layer4.")}
    upper = sum(
        saved[n].numel() for n in saved if n.startswith(("layer4.", "fc.")) and "running" not in n and "num_" not in n
    )
    assert fitted.record["trainable"] == upper < fitted.record["parameters"]
    # Sixteen bits change probabilities a little.
    fold, _ = fold_of(TRAINING, VALIDATION)
    known = [
        LabelledPhotos.of(rows, fold.labels, p.pixels)
        for rows, p in ((fold.training, TRAINING), (fold.validation, VALIDATION))
    ]
    seed = augment.derive(RECIPE.seed, RECIPE.repeat, 1)
    ours = training.Trainer(
        RECIPE, "unit", seed, CLASSES, *(exact(some, untrained) for some in known), untrained, torch.device("cpu")
    )
    while not ours.done:
        ours.run_epoch(lambda *_: None)
    ours.model.eval()
    assert 0 < (answers(ours.model) - answers(build.load_network(fitted))).abs().max() < 0.005


@pytest.mark.parametrize("train_from", [None, "layer4"])
def test_the_last_layer_starts_from_a_head(tmp_path, untrained, train_from):
    layer = {"weight": torch.randn(3, 512), "bias": torch.tensor([5.0, 0.0, 0.0])}
    fold, pixels = fold_of(TRAINING, VALIDATION)
    backbone = {**Input("resnet18", SIZE, "weights").record(), "weights": {"path": "w.safetensors", "sha256": "ab"}}
    seen = {"backbones": [backbone]}
    bundle.save(tmp_path, bundle.describe("head", fold, seen, {"parameters": 1}, "float32"), save(layer))
    head = bundle.read(tmp_path / "model.json")
    settings = dataclasses.replace(
        RECIPE, train_from=train_from, views=["identity"], learning_rate=1e-9, ema=0.9, epochs=1, batch_norm="keep"
    )
    known = [exact(some, untrained, ["identity"]) if train_from else some for some in (TRAINING, VALIDATION)]
    ours = trainer_of(settings, *known, untrained)
    ours.start_from(head)
    ours.run_epoch(lambda *_: None)
    saved = load(ours.weights())
    assert torch.allclose(saved["fc.1.weight"], layer["weight"], atol=1e-6)
    assert torch.allclose(saved["fc.1.bias"], layer["bias"], atol=1e-6)
    other = trainer_of(recipe(network="squeezenet1_1", size=SIZE, epochs=1), TRAINING, VALIDATION)
    with pytest.raises(StudyError, match=r"a head of resnet18 is no start for the last layer of squeezenet1_1"):
        other.start_from(head)


@pytest.mark.parametrize(
    "settings", [RECIPE, dataclasses.replace(RECIPE, ema=0.9, dropout=0.3, layer_decay=0.7), MIXED]
)
def test_killed_and_resumed_is_the_same_bytes(tmp_path, every_epoch, arrays, untrained, settings):
    _, expected = run(tmp_path / "a", arrays, untrained, settings)
    for kill_at in (2, 5, 9):
        with pytest.raises(KilledError):
            run(tmp_path / "b", arrays, untrained, settings, kill_at)
    assert run(tmp_path / "b", arrays, untrained, settings)[1] == expected


def test_mixup_mixes_activations(untrained):
    """What goes through the upper part is the mixture of what was stored, and its loss is that of both labels."""
    settings = dataclasses.replace(
        MIXED, views=["identity"], learning_rate=1e-12, epochs=1, batch_norm="keep", batch_size=18
    )
    known = exact(TRAINING, untrained, ["identity"])
    ours = trainer_of(settings, known, exact(VALIDATION, untrained, ["identity"]), untrained)
    ours.run_epoch(lambda *_: None)
    rows = augment.random_order(ours.seed, 1, 18)
    mix = Mixing(mixup=0.4).draw(ours.seed, 1, 0, 18)
    ((maps, index),) = ours.train_batches(rows, 18)
    ours.trained.eval()
    with torch.inference_mode():
        logits = ours.trained(mix.share * maps + (1 - mix.share) * maps[mix.partners])
    targets = ours.targets[index]
    wanted = mix.share * ours.loss(logits, targets) + (1 - mix.share) * ours.loss(logits, targets[mix.partners])
    assert ours.history[0]["train_loss"] == pytest.approx(wanted.item(), rel=1e-5)


@pytest.mark.parametrize("views", [["identity"], ["identity", "rot90"]])
def test_predictions_from_activations_are_those_of_the_whole_network(tmp_path, arrays, untrained, views):
    folder, _ = run(tmp_path, arrays, untrained, dataclasses.replace(RECIPE, ema=0.9))
    fitted = bundle.read(folder / "model.json")
    fold, pixels = fold_of(TRAINING, VALIDATION)
    split = fold.sample.assign(role="pool")
    viewing = predictions.Viewing(views, 4, {}, 1)
    tables = []
    for name, given, gather in (
        ("pixels", viewing, pixels),
        (
            "stored",
            dataclasses.replace(viewing, train_from="layer4"),
            lambda rows: activations.gather(rows, arrays, views),
        ),
    ):
        with State(tmp_path / name, "predict", {}, "", "") as state:
            predictions.predict_fold(state, fitted, fold, split, gather, given, Compute("cpu", "float32"))
            tables.append([pd.read_csv(state.folder / f"{part}.csv") for part in PARTS])
    for whole, from_stored in zip(*tables, strict=True):
        assert whole.iloc[:, :4].equals(from_stored.iloc[:, :4])
        assert np.abs(whole.iloc[:, 4:].to_numpy() - from_stored.iloc[:, 4:].to_numpy()).max(initial=0) < 0.005
    assert len(tables[0][0]) == 18 and not tables[0][0].equals(tables[1][0])
