"""Parameter groups, schedules with warm-up, cut gradients, averaged weights, kept batch norm, even priors."""

import dataclasses
import math

import pytest
import torch
from safetensors.torch import load
from test_training import (
    CLASSES,
    KilledError,
    every_epoch,
    photos,
    recipe,
    run,
    trainer_of,
)  # fmt: skip
from torch import nn

from manihot.core import files
from manihot.networks import build
from manihot.training.optimizer import Average, groups
from manihot.training.recipe import rates

__all__ = ["every_epoch"]  # a fixture
FINE = recipe(
    optimizer="adamw", weight_decay=0.05, decay_norms=False, layer_decay=0.5, clip_norm=1.0, ema=0.9,
    schedule="cosine", warm_up=0.1, batch_norm="keep", loss="logit_adjusted", class_weights="none",
)  # fmt: skip


def network(name, size=32):
    return build.classifier(name, CLASSES, size, 0.0, None, False, 0)


def scales(model, settings):
    """The scale and the weight decay of each parameter by its name."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    found = {names[p]: (g["scale"], g["weight_decay"]) for g in groups(settings, model) for p in g["params"]}
    assert found.keys() == set(names.values())
    return found


def test_by_default_all_parameters_are_one_group():
    model = network("resnet18")
    (group,) = groups(recipe(weight_decay=0.1), model)
    assert (group["scale"], group["weight_decay"]) == (1.0, 0.1)
    assert all(a is b for a, b in zip(group["params"], model.parameters(), strict=True))


@pytest.mark.parametrize(("name", "expected"), [
    ("resnet18", {"conv1.weight": 9, "bn1.bias": 9, "layer1.0.conv1.weight": 8, "layer4.1.bn2.weight": 1, "fc.1.bias": 0}),
    ("mobilenet_v2", {"features.0.0.weight": 19, "features.0.1.bias": 19, "features.18.0.weight": 1, "classifier.1.weight": 0}),
    ("small_cnn", {"0.norm.weight": 4, "2.convolution.weight": 2, "4.weight": 1, "7.weight": 0}),
    ("vit_b_16", {"class_token": 13, "encoder.pos_embedding": 13, "encoder.layers.encoder_layer_0.ln_1.bias": 12, "encoder.ln.bias": 1, "heads.head.1.weight": 0}),
])  # fmt: skip
def test_a_layer_learns_slower_than_the_one_above(name, expected):
    if name == "vit_b_16":
        with torch.device("meta"):
            model = build.assemble(name, CLASSES, 224, 0.0, None)
    else:
        model = network(name)
    found = scales(model, FINE)
    assert {key: found[key][0] for key in expected} == {key: 0.5**below for key, below in expected.items()}
    # Weights are pulled to zero, norms and biases are not.
    assert {decay for key, (_, decay) in found.items() if key.endswith("bias") or "norm" in key or "bn" in key} == {0.0}
    assert all(decay == 0.05 for key, (_, decay) in found.items() if key.endswith(("conv1.weight", "0.0.weight")))


def test_a_frozen_networks_layer_learns_at_the_whole_rate():
    model = build.classifier("resnet18", CLASSES, 32, 0.0, None, True, 0)
    assert {group["scale"] for group in groups(FINE, model)} == {1.0}


def test_each_step_sets_the_rate_of_every_group():
    settings = dataclasses.replace(FINE, epochs=2, ema=0.0)
    one = trainer_of(settings)
    one.run_epoch(lambda *_: None)
    rate = rates(settings, 8)[3][0]
    assert one.history[0]["learning_rate"] == rate
    assert {group["lr"] for group in one.optimizer.param_groups} == {rate * 0.5**depth for depth in range(5)}


def test_cosine_goes_up_in_a_line_and_down_along_a_cosine():
    settings = recipe(schedule="cosine", warm_up=0.2, learning_rate=1.0)
    found = [rate for rate, _ in rates(settings, 20)]
    assert found[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert found[4:] == pytest.approx([(1 + math.cos(math.pi * step / 16)) / 2 for step in range(16)])
    assert len(rates(settings, 1)) == 1 and rates(settings, 1)[0][0] == 1.0


def test_gradients_are_cut_to_a_length(monkeypatch):
    lengths = []
    plain = nn.utils.clip_grad_norm_

    def watched(parameters, longest):
        plain(parameters, longest)
        lengths.append(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).norm().item())

    monkeypatch.setattr(nn.utils, "clip_grad_norm_", watched)
    trainer_of(recipe(clip_norm=0.0)).run_epoch(lambda *_: None)
    assert lengths == []
    trainer_of(recipe(clip_norm=1e-3)).run_epoch(lambda *_: None)
    assert lengths == pytest.approx([1e-3] * 4, rel=1e-3)


def test_an_average_follows_its_formula():
    model = nn.BatchNorm1d(2)
    average, expected = Average(model, 0.3), torch.zeros(2)
    for step, kept in ((1, 0.1), (2, 2 / 11), (3, 0.25), (4, 0.3), (5, 0.3)):
        model.running_mean += step
        model.num_batches_tracked += 1
        average.update(model, step)
        expected = kept * expected + (1 - kept) * model.running_mean
        assert torch.allclose(average.values["running_mean"], expected)
        assert average.values["num_batches_tracked"] == step


def test_the_average_is_what_is_validated_and_saved():
    one = trainer_of(dataclasses.replace(FINE, epochs=1, learning_rate=0.01, batch_norm="update"))
    one.run_epoch(lambda *_: None)
    saved = load(one.weights())
    assert not saved["4.weight"].equal(one.model.state_dict()["4.weight"])
    assert all(saved[name].equal(value) for name, value in one.average.values.items())
    one.model.load_state_dict(saved)
    one.average = None
    again = one._validate(1)
    assert {key: one.history[0][key] for key in again} == again


@pytest.mark.parametrize("keep", [True, False])
def test_kept_statistics_do_not_move_and_norms_still_learn(tmp_path, keep):
    settings = recipe(network="resnet18", size=32, epochs=1, batch_norm="keep" if keep else "update")
    one = trainer_of(settings, train=photos(12, 32), validation=photos(3, 32))
    before = {name: value.clone() for name, value in one.model.state_dict().items()}
    one.run_epoch(lambda *_: None)
    after = one.model.state_dict()
    moved = {name for name in before if not before[name].equal(after[name])}
    statistics = {name for name in before if "running" in name or "tracked" in name}
    assert moved & statistics == (set() if keep else statistics)
    assert "bn1.weight" in moved and "layer4.1.conv2.weight" in moved
    own = trainer_of(recipe(batch_norm="keep", epochs=1))
    own.run_epoch(lambda *_: None)
    assert own.model.state_dict()["0.norm.running_mean"].abs().max() == 0


def test_all_of_it_is_killed_and_resumed_to_the_same_bytes(tmp_path, every_epoch):
    expected, _ = run(tmp_path / "a", FINE)
    for kill_at in (6, 14):
        with pytest.raises(KilledError):
            run(tmp_path / "b", FINE, kill_at=kill_at)
    found, steps = run(tmp_path / "b", FINE)
    assert found == expected and steps == 4


def test_a_record_says_that_adjusted_logits_are_of_even_classes(tmp_path):
    run(tmp_path, dataclasses.replace(FINE, epochs=1))
    record = files.read_json(next(tmp_path.glob("*/model.json")))
    assert record["prior"] == pytest.approx([1 / 3] * 3) and record["class_weights"] == [1.0] * 3
