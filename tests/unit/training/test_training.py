"""Training: killed and resumed it writes the same bytes; schedule, class weights, frozen parts, messages."""

import copy
import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load, load_file, save_file
from torch import nn

from manihot.core.errors import StudyError
from manihot.core.gpus import Compute
from manihot.core.state import State
from manihot.core.tables import history_columns
from manihot.networks import build, bundle
from manihot.networks.augment import random_order
from manihot.networks.build import Input
from manihot.networks.losses import class_weights
from manihot.networks.mixing import Mixing
from manihot.splits.folds import Fold
from manihot.training import fold as training
from manihot.training.recipe import Recipe, rates
from manihot.training.trainer import CHECKPOINT, LabelledPhotos, Trainer

CLASSES = 3
INPUT = {"network": "small_cnn", "size": 16, "normalisation": "weights", "decode": "exact"}
COMPUTE = {"device": "cpu", "precision": "float32", "threads": 1, "gpu_slots": 1}
RECIPE = Recipe(
    input=Input(**INPUT),
    compute=Compute(**COMPUTE),
    weights="none",
    frozen=False,
    frozen_mode="eval",
    train_from=None,
    views=["identity"],
    cache_size=16,
    batch_size=8,
    epochs=4,
    learning_rate=1e-3,
    optimizer="adam",
    weight_decay=0.0,
    decay_norms=True,
    layer_decay=1.0,
    clip_norm=0.0,
    ema=0.0,
    schedule="one_cycle",
    warm_up=0.3,
    batch_norm="update",
    dropout=0.3,
    drop_path=None,
    loss="cross_entropy",
    label_smoothing=0.1,
    class_weights="balanced",
    augment={"horizontal_flip": True, "vertical_flip": True, "right_angles": True, "rotation": 10.0},
    flips_at_validation=False,
    seed=7,
    repeat=0,
)

FOLD_FILES = ("weights.safetensors", "history.csv", "model.json")


def recipe(**changes):
    """The recipe with changes, those of its input and of what it computes on among them."""
    parts = {
        part: dataclasses.replace(value, **{key: changes.pop(key) for key in list(changes) if hasattr(value, key)})
        for part, value in (("input", RECIPE.input), ("compute", RECIPE.compute))
    }
    return dataclasses.replace(RECIPE, **parts, **changes)


def test_a_recipe_is_read_from_settings():
    plain = dataclasses.asdict(RECIPE)
    assert plain["input"] == INPUT and plain["compute"] == COMPUTE
    assert Recipe.read(plain) == RECIPE


def photos(n, size=16, first=0):
    """Photos whose class is their colour, and noise."""
    generator = np.random.default_rng(first)
    targets = np.arange(n, dtype=np.int64) % CLASSES
    pixels = generator.integers(0, 120, (n, size, size, 3), dtype=np.uint8)
    pixels[np.arange(n), :, :, targets] += 100
    return LabelledPhotos(pixels, targets, np.arange(first, first + n, dtype=np.uint64))


TRAINING, VALIDATION = photos(27), photos(9, first=100)
NO_PHOTOS = LabelledPhotos(TRAINING.pixels[:0], TRAINING.targets[:0], TRAINING.keys[:0])


def fold_of(train, validation):
    """Fold 1 of a table of these photos, and what gathers their pixels, whatever size it is asked for."""
    pixels = np.concatenate([train.pixels, validation.pixels])
    table = pd.DataFrame({"label": np.concatenate([train.targets, validation.targets]).astype(str)})
    table = table.assign(dataset="unit", image_id=[f"{row}.jpg" for row in table.index])
    table["fold"] = pd.array([2] * len(train.targets) + [1] * len(validation.targets), dtype="Int64")
    classes = [{"label": str(index), "name": f"class {index}"} for index in range(CLASSES)]
    return Fold(1, table, classes), lambda rows, size=16: pixels[rows.index]


def test_training_photos_have_the_size_of_the_cache_and_held_out_ones_that_of_the_network(tmp_path, every_epoch):
    """What is predicted with later is what was validated; killed and resumed it is the same bytes."""
    settings = recipe(augment={"random_crop": 0.4, "horizontal_flip": True}, cache_size=24)
    fold, _ = fold_of(TRAINING, VALIDATION)
    pixels = {size: np.concatenate([photos(27, size).pixels, photos(9, size, 100).pixels]) for size in (16, 24)}
    asked = []

    def gather(rows, size):
        asked.append((len(rows), size))
        return pixels[size][rows.index]

    def fit(root, kill_at=None):
        def progress(done, *_):
            if done == kill_at:
                raise KilledError

        with State(root, "train_fold", {}, "", "") as state:
            training.train_fold(settings, "unit", fold, gather, None, state, progress)
            return {name: (state.folder / name).read_bytes() for name in FOLD_FILES}

    whole = fit(tmp_path / "whole")
    assert asked == [(27, 24), (9, 16)]
    record = json.loads(whole["model.json"])
    assert record["input"]["size"] == 16, "what it predicts from"
    with pytest.raises(KilledError):
        fit(tmp_path / "killed", kill_at=10)
    assert fit(tmp_path / "killed") == whole
    small, _ = run(tmp_path / "small", recipe(augment=settings.augment))
    assert small["weights.safetensors"] != whole["weights.safetensors"]


class KilledError(Exception):
    """What ends a run in the middle."""


def run(root, settings=RECIPE, kill_at=None, train=TRAINING, validation=VALIDATION, weights=None):
    """One attempt at a fold; `kill_at` is the number of steps of all epochs after which it dies.

    Returns its files and the number of steps that it ran.
    """
    steps = []

    def progress(done, total, text):
        if done == kill_at:
            raise KilledError
        steps.append(done)

    fold, gather = fold_of(train, validation)
    with State(root, "train_fold", dataclasses.asdict(settings), "", "") as state:
        training.train_fold(settings, "unit", fold, gather, weights, state, progress)
        return {name: (state.folder / name).read_bytes() for name in FOLD_FILES}, len(steps)


def trainer_of(settings=RECIPE, train=TRAINING, validation=VALIDATION, weights=None):
    return Trainer(settings, "unit", 1, CLASSES, train, validation, weights, torch.device("cpu"))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return run(tmp_path_factory.mktemp("state"))


@pytest.fixture
def every_epoch(monkeypatch):
    """A checkpoint an epoch, however short the epochs are."""
    monkeypatch.setattr(training, "CHECKPOINT_SHARE", np.inf)


@pytest.mark.parametrize("kill_at", [2, 5, 8, 9, 13, 16])
def test_killed_and_resumed_is_the_same_bytes(tmp_path, every_epoch, uninterrupted, kill_at):
    expected, steps = uninterrupted
    assert steps == 16
    with pytest.raises(KilledError):
        run(tmp_path, kill_at=kill_at)
    files, steps = run(tmp_path)
    assert files == expected
    # It went on from the last epoch that was over: four batches of 27 photos an epoch.
    assert steps == 16 - (kill_at - 1) // 4 * 4


def test_killed_at_every_epoch_is_the_same_bytes(tmp_path, every_epoch, uninterrupted):
    for kill_at in (6, 10, 14):
        with pytest.raises(KilledError):
            run(tmp_path, kill_at=kill_at)
    assert run(tmp_path) == (uninterrupted[0], 4)


@pytest.mark.parametrize("settings", [
    recipe(optimizer="adamw", weight_decay=0.1, schedule="constant", precision="bfloat16"),
    recipe(network="mobilenet_v3_small", size=32, precision="bfloat16", epochs=2),
    recipe(augment={"random_crop": 0.4, "brightness": 0.2, "contrast": 0.2, "hue": 0.1, "mixup": 0.4, "cutmix": 1.0}),
], ids=["adamw", "mobilenet", "augmented"])  # fmt: skip
def test_other_recipes_resume_too(tmp_path, every_epoch, settings):
    train, validation = photos(18, settings.input.size), photos(9, settings.input.size, first=100)
    expected, _ = run(tmp_path / "a", settings, train=train, validation=validation)
    with pytest.raises(KilledError):
        run(tmp_path / "b", settings, kill_at=5, train=train, validation=validation)
    files, steps = run(tmp_path / "b", settings, train=train, validation=validation)
    assert files == expected and steps == 3 * (settings.epochs - 1)


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_a_damaged_checkpoint_is_noticed_and_not_used(tmp_path, every_epoch, uninterrupted, caplog, damage):
    with pytest.raises(KilledError):
        run(tmp_path, kill_at=9)
    path = next(tmp_path.glob(f"*/{CHECKPOINT}"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content if damage == "flip" else content[:1000])
    assert run(tmp_path) == uninterrupted
    assert "damaged and not used" in caplog.text


def test_a_checkpoint_of_another_precision_is_not_used(tmp_path, every_epoch, caplog):
    with State(tmp_path, "train_fold", {}, "", "") as state:
        first = trainer_of(recipe(precision="bfloat16"))
        first.run_epoch(lambda *_: None)
        state.save(CHECKPOINT, first.checkpoint())
        assert trainer_of(recipe(precision="bfloat16")).resume(state) == 1
        assert trainer_of().resume(state) == 0
    assert "checkpoint of cpu in torch.bfloat16 is not used" in caplog.text


def test_its_record_says_what_it_is(tmp_path):
    train, settings = photos(28, 32), recipe(network="mobilenet_v3_small", size=32, epochs=1)
    run(tmp_path, settings, train=train, validation=photos(9, 32))
    fitted = bundle.read(next(tmp_path.glob("*/model.json")))
    record = fitted.record
    assert (record["kind"], record["fold"], record["network"]) == ("network", 1, "mobilenet_v3_small")
    assert record["input"] == {
        "size": 32, "decode": "exact", "interpolation": "bilinear",
        "mean": list(build.IMAGENET[0]), "std": list(build.IMAGENET[1]),
    }  # fmt: skip
    assert record["initial_weights"] == {"source": "none"}
    assert (record["cam_layer"], record["cam_layout"]) == ("features", "nchw")
    assert fitted.labels == ["0", "1", "2"] and record["classes"][1]["name"] == "class 1"
    assert record["class_shares"] == pytest.approx([10 / 28, 9 / 28, 9 / 28])
    assert record["class_weights"] == class_weights(train.targets, 3).tolist() != [1.0] * 3
    assert record["precision"] == "float32" and record["parameters"] == record["trainable"] > 1_000_000
    assert load_file(fitted.path.with_name("weights.safetensors")).keys() == load(fitted.weights()).keys()


def test_seed_repeat_and_fold_give_other_weights(tmp_path, uninterrupted):
    for name, settings in [("seed", recipe(seed=8)), ("repeat", recipe(repeat=1))]:
        assert run(tmp_path / name, settings)[0]["weights.safetensors"] != uninterrupted[0]["weights.safetensors"]


def test_global_random_state_is_left_alone(tmp_path):
    before = torch.random.get_rng_state()
    run(tmp_path)
    assert torch.equal(before, torch.random.get_rng_state())


def test_it_learns_and_history_has_a_row_an_epoch(tmp_path):
    settings = recipe(epochs=8, dropout=0.0, label_smoothing=0.0, schedule="constant", augment={})
    run(tmp_path, settings)
    history = pd.read_csv(next(tmp_path.glob("*/history.csv")))
    assert list(history.columns) == history_columns("epoch") and list(history["epoch"]) == list(range(1, 9))
    assert (history["learning_rate"] == 1e-3).all()
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0] / 2
    assert history["validation_accuracy"].iloc[-1] == 1.0


def test_history_without_validation_is_empty_there(tmp_path):
    run(tmp_path, validation=NO_PHOTOS)
    history = pd.read_csv(next(tmp_path.glob("*/history.csv")))
    assert history[["validation_loss", "validation_accuracy"]].isna().all(axis=None)


def test_history_is_measured_as_a_plain_loop_would():
    """Losses, accuracies and the weights after one epoch, against torch's own loop in float32."""
    settings = recipe(augment={}, dropout=0.0, epochs=1, schedule="constant", class_weights="none")
    ours = trainer_of(settings)
    plain = trainer_of(settings).model
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)
    loss_sum = correct = 0.0
    plain.train()
    for batch, index in ours.train_batches(random_order(ours.seed, 1, 27), 8):
        targets = torch.from_numpy(TRAINING.targets)[index]
        logits = plain(batch)
        loss = nn.functional.cross_entropy(logits, targets, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(index)
        correct += (logits.argmax(1) == targets).sum().item()
    ours.run_epoch(lambda *_: None)
    row = ours.history[0]
    assert row["train_loss"] == pytest.approx(loss_sum / 27, rel=1e-5)
    assert row["train_accuracy"] == correct / 27
    plain.eval()
    pixels = torch.from_numpy(VALIDATION.pixels).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        logits = plain(pixels)
    targets = torch.from_numpy(VALIDATION.targets)
    expected = nn.functional.cross_entropy(logits, targets, label_smoothing=0.1).item()
    assert row["validation_loss"] == pytest.approx(expected, rel=1e-3)
    assert row["validation_accuracy"] == (logits.argmax(1) == targets).float().mean().item()


def test_one_cycle_is_torchs_batch_by_batch():
    model = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=40, pct_start=0.3)
    ours = rates(RECIPE, 40)
    for step in range(40):
        group = optimizer.param_groups[0]
        assert ours[step] == (group["lr"], group["betas"][0])
        optimizer.step()
        if step < 39:
            schedule.step()
    assert max(rate for rate, _ in ours) == pytest.approx(1e-3)
    assert rates(recipe(schedule="constant"), 3) == [(1e-3, 0.9)] * 3
    assert len(rates(RECIPE, 1)) == 1


@pytest.mark.parametrize(("warm_up", "steps"), [(0.5, 2), (0.1, 10), (0.25, 4), (0.05, 20), (0.3, 2), (0.9, 1)])
@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_few_steps_have_rates_too(schedule, warm_up, steps):
    values = [rate for rate, _ in rates(recipe(schedule=schedule, warm_up=warm_up), steps)]
    assert len(values) == steps and all(0 <= rate <= RECIPE.learning_rate * (1 + 1e-9) for rate in values)
    top = values.index(max(values))
    assert values[:top] == sorted(values[:top]) and values[top:] == sorted(values[top:], reverse=True)


def test_class_weights_are_balanced():
    targets = np.array([0, 0, 0, 1])
    assert class_weights(targets, 3) == pytest.approx([4 / 9, 4 / 3, 4 / 3])
    # A photo weighs 1 on average.
    assert class_weights(targets, 2)[targets].mean() == pytest.approx(1)
    with_them = trainer_of(recipe(class_weights="balanced"), train=photos(28))
    assert with_them.loss.weight.tolist() == pytest.approx([28 / 30, 28 / 27, 28 / 27])
    assert trainer_of(recipe(class_weights="none")).loss.weight is None


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "mobilenet_v2.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(build.torchvision_network("mobilenet_v2").state_dict(), path)
    return path


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_frozen_parts(tmp_path, backbone, mode):
    """In eval mode nothing but the last layer changes; in train mode (the published way) batch norms do."""
    settings = recipe(network="mobilenet_v2", size=32, frozen=True, frozen_mode=mode, epochs=2)
    run(tmp_path, settings, train=photos(12, 32), validation=photos(6, 32), weights=backbone)
    before, after = load_file(backbone), load_file(next(tmp_path.glob("*/weights.safetensors")))
    changed = {name for name in before if not name.startswith("classifier") and not before[name].equal(after[name])}
    drifting = {name for name in before if name.endswith(("running_mean", "running_var", "num_batches_tracked"))}
    assert changed == (drifting if mode == "train" else set())


def test_flips_at_validation_change_the_validation_photos():
    settings = recipe(augment={"right_angles": True, "rotation": 30.0}, epochs=1)
    rows = []
    for flips in (False, True):
        one = trainer_of(dataclasses.replace(settings, flips_at_validation=flips))
        one.run_epoch(lambda *_: None)
        rows.append(one.history[0])
    assert rows[0]["train_loss"] == rows[1]["train_loss"]
    assert rows[0]["validation_loss"] != rows[1]["validation_loss"]


def test_photos_to_validate_on_are_only_flipped_and_turned():
    """Crops, colours and mixtures are of training alone."""
    turned = {"right_angles": True, "rotation": 30.0}
    more = turned | {"random_crop": 0.3, "brightness": 0.5, "contrast": 0.5, "hue": 0.2, "mixup": 1.0, "cutmix": 1.0}
    losses = []
    for changes in (turned, more):
        one = trainer_of(recipe(augment=changes, flips_at_validation=True))
        losses.append(one._validate(1)["validation_loss"])
    assert losses[0] == losses[1]


def test_mixed_photos_are_fitted_to_both_labels_and_counted_by_the_larger_part():
    """An epoch in a plain loop, with the photos mixed by hand."""
    settings = recipe(
        augment={"mixup": 0.5}, epochs=1, dropout=0.0, class_weights="none", label_smoothing=0.0, batch_size=9
    )
    one = trainer_of(settings, validation=NO_PHOTOS)
    plain = copy.deepcopy(one.model)
    one.run_epoch(lambda *_: None)
    optimizer = torch.optim.Adam(plain.parameters())
    order, losses, correct = random_order(one.seed, 1, 27), [], 0
    for step, rows in enumerate(np.split(order, 3)):
        ((x, _),) = one.train_batches(rows, 9)
        y = nn.functional.one_hot(torch.from_numpy(TRAINING.targets[rows]), CLASSES).float()
        mix = Mixing(mixup=0.5).draw(one.seed, 1, step, 9)
        x, y = (mix.share * z + (1 - mix.share) * z[mix.partners] for z in (x, y))
        logits = plain.train()(x)
        loss = -(y * logits.log_softmax(1)).sum(1).mean()
        correct += (logits.argmax(1) == y.argmax(1)).sum().item()
        optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["betas"] = (
            one.rates[step][0],
            (one.rates[step][1], 0.999),
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert one.history[0]["train_loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert one.history[0]["train_accuracy"] == correct / 27
    assert all(torch.allclose(p, q, atol=1e-4) for p, q in zip(plain.parameters(), one.model.parameters(), strict=True))


def test_a_loss_that_is_no_number_is_told(tmp_path, every_epoch):
    with pytest.raises(StudyError, match="experiment unit, fold 1, epoch 1: .* lower learning_rate .now 1e.30"):
        run(tmp_path, recipe(learning_rate=1e30, schedule="constant"))
    assert not list(tmp_path.glob(f"*/{CHECKPOINT}"))


def test_too_little_memory_is_told(tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Trainer, "_train", full)
    with pytest.raises(StudyError, match="a batch of 8 .* lower batch_size"):
        run(tmp_path)


def test_a_single_photo_that_batch_norm_cannot_take_is_told(tmp_path):
    one_too_many = photos(5, 32)
    with pytest.raises(StudyError, match="unit, fold 1: the last batch is a single photo, .* 32 px .* batch_size"):
        settings = recipe(network="resnet18", size=32, batch_size=4, augment={})
        run(tmp_path, settings, train=one_too_many, validation=photos(9, 32, first=100))


def test_checkpoints_may_not_take_over(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(training, "CHECKPOINT_SHARE", 0.0)
    monkeypatch.setattr(State, "save", lambda self, name, content: saved.append(name))
    run(tmp_path)
    assert saved == [CHECKPOINT]  # the first costs nothing that is known yet


def test_overfit_check_stops_at_the_first_perfect_epoch(tmp_path):
    settings = recipe(epochs=30, dropout=0.0, schedule="constant", augment={}, label_smoothing=0.0)
    with State(tmp_path, "check_overfit", {}, "", "") as state:
        cost = training.check_overfit(settings, "unit", CLASSES, TRAINING, None, state, lambda *_: None)
        history = pd.read_csv(state.folder / "history.csv")
        result = pd.read_json(state.folder / "result.json", typ="series")
    assert result["passed"] and result["accuracy"] == 1 and result["epoch"] == len(history) < 30
    assert (history["train_accuracy"].iloc[:-1] < 1).all()
    assert cost["photos"] == len(history) * 27


def test_overfit_check_that_fails_says_how_far_it_came(tmp_path):
    settings = recipe(epochs=2, learning_rate=1e-9, schedule="constant")
    with State(tmp_path, "check_overfit", {}, "", "") as state:
        training.check_overfit(settings, "unit", CLASSES, TRAINING, None, state, lambda *_: None)
        result = pd.read_json(state.folder / "result.json", typ="series")
    assert not result["passed"] and result["accuracy"] < 1


def test_balanced_photos_are_of_the_pool_and_equally_many():
    split = pd.DataFrame({"label": ["a"] * 40 + ["b"] * 12, "role": (["pool"] * 3 + ["test"]) * 13})
    split["image_id"] = split.index.astype(str)
    chosen = training.balanced_photos(split, 15, seed=1)
    assert chosen["label"].value_counts().to_dict() == {"a": 7, "b": 7}
    assert (chosen["role"] == "pool").all() and chosen["image_id"].is_unique
    assert list(chosen["image_id"]) == list(training.balanced_photos(split, 15, seed=1)["image_id"])
    assert list(chosen["image_id"]) != list(training.balanced_photos(split, 15, seed=2)["image_id"])
    assert training.balanced_photos(split, 1000, seed=1)["label"].value_counts().to_dict() == {"a": 9, "b": 9}
    with pytest.raises(StudyError, match="photos: 1 are fewer than the 2 classes: give more"):
        training.balanced_photos(split, 1, seed=1)
