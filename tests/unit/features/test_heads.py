"""Linear heads: what torch's own loop over a linear layer gives, on the photos of the other folds only."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from photo_tables import BACKBONE
from torch import nn

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.features import heads, logistic
from manihot.features import table as feature_table
from manihot.networks import augment, bundle
from manihot.splits.folds import Fold

WIDTH, LABELS = 6, ["a", "b", "c"]
CLASSES = [{"label": label, "name": label.upper()} for label in LABELS]
RECIPE = heads.Adam(views=["identity"], epochs=4, batch_size=16, learning_rate=1e-2, weight_decay=0.0, seed=7)


@pytest.fixture
def stored(tmp_path):
    """Features of 60 photos whose classes lie apart, in two views, and a draw of them in 3 folds."""
    random = np.random.default_rng(0)
    ids = [f"{index}.jpg" for index in range(60)]
    classes = np.arange(60) % 3
    centres = random.normal(size=(3, WIDTH)) * 2
    arrays = []
    for view in ("identity", "hflip"):
        rows = (centres[classes] + random.normal(size=(60, WIDTH))).astype(np.float32)
        facts = {"dataset": "leaves", "view": view, "backbone": BACKBONE}
        arrays.append(tmp_path / f"{view}.npy")
        feature_table.write(arrays[-1], ids, [(np.arange(60), rows)], facts)
    draw = pd.DataFrame({"dataset": "leaves", "image_id": ids, "label": [LABELS[c] for c in classes], "fold": 1})
    draw["fold"] = pd.array(np.arange(60) // 3 % 3 + 1, "Int64")
    draw["group"] = np.arange(60) // 3
    return arrays, draw


OTHER = BACKBONE | {"network": "other", "input": BACKBONE["input"] | {"size": 48}, "parameters": 50}


@pytest.fixture
def joined(tmp_path, stored):
    """The same photos with features of two backbones: the first one tells no class."""
    arrays, draw = stored
    noise = np.random.default_rng(1).normal(size=(60, 2)).astype(np.float32) * 100
    others = [tmp_path / "other" / array.name for array in arrays]
    for path in others:
        about = {"dataset": "leaves", "view": path.stem, "backbone": OTHER}
        feature_table.write(path, list(draw["image_id"]), [(np.arange(60), noise)], about)
    return [*others, *arrays], draw


TUNED = logistic.Recipe(views=["identity"], class_weights="none", seed=7)


def fit(folder, stored, fold=1, recipe=RECIPE, threads=1, **settings):
    folder.mkdir(exist_ok=True)
    arrays, draw = stored
    heads.fit(folder, arrays, Fold(fold, draw, CLASSES), replace(recipe, **settings), threads)
    return folder


def predict(folder, stored, photos):
    return heads.predict(bundle.read(folder / "model.json"), stored[0], photos, threads=1)


def test_the_head_is_what_torchs_own_loop_gives(tmp_path, stored):
    fit(tmp_path / "head", stored, weight_decay=0.01)
    arrays, draw = stored
    training = draw[draw["fold"] != 1]
    x = torch.from_numpy(feature_table.select(arrays, training))
    y = torch.tensor([LABELS.index(label) for label in training["label"]])
    seed = augment.derive(7, 1, heads.zlib.crc32(b"head"))
    torch.manual_seed(seed)
    layer = nn.Linear(WIDTH, 3)
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-2, weight_decay=0.01)
    for epoch in range(1, 5):
        for batch in torch.from_numpy(augment.random_order(seed, epoch, len(x))).split(16):
            optimizer.zero_grad()
            nn.CrossEntropyLoss()(layer(x[batch]), y[batch]).backward()
            optimizer.step()
    own = heads.load((tmp_path / "head" / "weights.safetensors").read_bytes())
    assert torch.equal(own["weight"], layer.weight) and torch.equal(own["bias"], layer.bias)
    with torch.inference_mode():
        expected = layer(torch.from_numpy(feature_table.select(arrays, draw))).softmax(dim=1).numpy()
    np.testing.assert_allclose(predict(tmp_path / "head", stored, draw), expected, rtol=1e-6)
    held_out = draw["fold"] == 1
    right = expected[held_out].argmax(1) == [LABELS.index(label) for label in draw["label"][held_out]]
    history = pd.read_csv(tmp_path / "head" / "history.csv")
    assert history["validation_accuracy"].iloc[-1] == pytest.approx(right.mean())
    assert history["train_loss"].is_monotonic_decreasing and history["epoch"].tolist() == [1, 2, 3, 4]


def test_it_learns_and_says_what_it_is(tmp_path, stored):
    folder = fit(tmp_path / "head", stored, epochs=40)
    assert pd.read_csv(folder / "history.csv")["validation_accuracy"].iloc[-1] > 0.9
    model = files.read_json(folder / "model.json")
    assert (model["parameters"], model["trainable"], model["precision"]) == (1000 + 21, 21, "float32")
    assert model["kind"] == "head" and model["classes"] == CLASSES and "input" not in model
    assert model["backbones"] == [{**BACKBONE, "features": WIDTH}] and model["class_weights"] == [1.0] * 3


def test_the_same_bytes_again_and_others_from_another_seed_or_fold(tmp_path, stored):
    torch.manual_seed(1)
    made = [fit(tmp_path / name, stored, **options) for name, options in
            (("a", {}), ("b", {}), ("c", {"seed": 8}), ("d", {"fold": 2}))]  # fmt: skip
    digests = [files.sha256(folder / "weights.safetensors") for folder in made]
    assert digests[0] == digests[1] and len(set(digests)) == 3
    assert files.sha256(made[0] / "history.csv") == files.sha256(made[1] / "history.csv")


def test_photos_of_the_own_fold_are_not_trained_on(tmp_path, stored):
    arrays, draw = stored
    fit(tmp_path / "whole", stored)
    wrong = draw.assign(label=draw["label"].where(draw["fold"] != 1, "a"))
    fit(tmp_path / "wrong", (arrays, wrong))
    assert files.sha256(tmp_path / "whole" / "weights.safetensors") == files.sha256(
        tmp_path / "wrong" / "weights.safetensors"
    )


def test_a_refit_takes_all_photos_and_has_no_validation(tmp_path, stored):
    folder = fit(tmp_path / "refit", stored, fold=0)
    assert pd.read_csv(folder / "history.csv")["validation_loss"].isna().all()


def test_flips_follow_the_photo_and_the_epoch_alone(stored):
    _, draw = stored
    drawn = heads._views(draw, 2, 7, 1)
    assert torch.equal(heads._views(draw[10:30], 2, 7, 1), drawn[10:30])
    assert not torch.equal(heads._views(draw, 2, 7, 2), drawn)
    many = pd.DataFrame({"dataset": "leaves", "image_id": [str(index) for index in range(4000)]})
    assert abs(heads._views(many, 2, 7, 1).double().mean() - 0.5) < 0.04


def test_training_views_change_the_head(tmp_path, stored):
    plain = fit(tmp_path / "plain", stored)
    flipped = fit(tmp_path / "flipped", stored, views=["identity", "hflip"])
    mirrored = fit(tmp_path / "mirrored", stored, views=["hflip"])
    assert len({files.sha256(folder / "weights.safetensors") for folder in (plain, flipped, mirrored)}) == 3
    answers = predict(plain, stored, stored[1])
    assert answers.dtype == np.float32 and np.allclose(answers.sum(1), 1)


def test_a_damaged_head_is_refused(tmp_path, stored):
    folder = fit(tmp_path / "head", stored)
    content = bytearray((folder / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(content)
    with pytest.raises(StudyError, match=r"weights\.safetensors is missing or damaged: delete"):
        predict(folder, stored, stored[1])


def test_a_tuned_head_says_what_was_tuned_and_predicts_by_its_layer(tmp_path, stored):
    folder = fit(tmp_path / "head", stored, recipe=TUNED)
    model, history = files.read_json(folder / "model.json"), pd.read_csv(folder / "history.csv")
    assert (model["kind"], model["trainable"], model["class_weights"]) == ("head", 21, [1.0] * 3)
    assert list(history.columns) == logistic.HISTORY and history["C"].tolist() == model["tuned"]["tried"]
    assert model["tuned"]["C"] == history["C"][history["inner_loss"].idxmin()]
    assert model["tuned"]["inner_log_loss"] == pytest.approx(history["inner_loss"].min(), abs=1e-5)
    assert model["tuned"]["inner_folds"] == 3 and model["tuned"]["iterations"] > 0
    x = feature_table.select(*stored)
    layer = heads.load((folder / "weights.safetensors").read_bytes())
    expected = (torch.from_numpy(x) @ layer["weight"].T + layer["bias"]).softmax(dim=1).numpy()
    said = predict(folder, stored, stored[1])
    np.testing.assert_allclose(said, expected, rtol=1e-5)
    held_out = stored[1]["fold"] == 1
    assert (said[held_out].argmax(1) == [LABELS.index(label) for label in stored[1]["label"][held_out]]).mean() > 0.9


def test_c_is_not_chosen_on_the_fold_that_is_held_out(tmp_path, stored):
    """Its labels, and who is in its groups, change no byte; nor do the number of threads and names of groups."""
    arrays, draw = stored
    whole = fit(tmp_path / "whole", stored, recipe=TUNED)
    random = draw.assign(
        label=draw["label"].where(draw["fold"] != 1, np.random.default_rng(0).choice(LABELS, 60)),
        group=(draw["group"] + 100).where(draw["fold"] != 1, 5),
    )
    again = fit(tmp_path / "random", (arrays, random), recipe=TUNED, threads=2)
    other = fit(tmp_path / "other", stored, recipe=TUNED, fold=2)
    for name in ("weights.safetensors", "history.csv"):
        assert files.sha256(whole / name) == files.sha256(again / name) != files.sha256(other / name)


def test_views_and_classes_weigh_as_they_are_told(tmp_path, stored):
    arrays, draw = stored
    few = draw[(draw["label"] != "a") | (np.arange(60) % 12 == 0)]
    folders = {
        name: fit(tmp_path / name, (arrays, few), recipe=TUNED, **settings)
        for name, settings in {
            "plain": {}, "flipped": {"views": ["identity", "hflip"]}, "balanced": {"class_weights": "balanced"},
        }.items()
    }  # fmt: skip
    assert len({files.sha256(folder / "weights.safetensors") for folder in folders.values()}) == 3
    weights = files.read_json(folders["balanced"] / "model.json")["class_weights"]
    counts = few["label"][few["fold"] != 1].value_counts()
    assert weights == pytest.approx([counts.sum() / (3 * counts[label]) for label in LABELS])
    shares = {name: predict(folder, stored, few)[:, 0].mean() for name, folder in folders.items()}
    assert shares["balanced"] > shares["plain"]


@pytest.mark.parametrize("settings", [TUNED, RECIPE], ids=["logistic", "adam"])
def test_a_head_on_joined_features_has_a_weight_for_each_and_says_whose_they_are(tmp_path, joined, settings):
    both = replace(settings, views=["identity", "hflip"])
    folder = fit(tmp_path / "head", joined, recipe=both)
    model = files.read_json(folder / "model.json")
    assert model["backbones"] == [{**OTHER, "features": 2}, {**BACKBONE, "features": WIDTH}]
    trained = 3 * (2 + WIDTH + 1)
    assert (model["parameters"], model["trainable"]) == (1050 + trained, trained)
    # The layer's columns are the features in this order: who has them needs no more to answer.
    arrays, draw = joined
    columns = np.concatenate([feature_table.select(some, draw) for some in (arrays[:2], arrays[2:])], axis=1)
    layer = heads.load((folder / "weights.safetensors").read_bytes())
    expected = (torch.from_numpy(columns) @ layer["weight"].T + layer["bias"]).softmax(dim=1).numpy()
    np.testing.assert_allclose(predict(folder, joined, draw), expected, rtol=1e-4, atol=1e-6)


def test_features_of_another_scale_do_not_disturb_a_tuned_head(tmp_path, stored, joined):
    """It standardises each column. Adam takes features as they are: those a hundred times as large have their way."""
    truth = [LABELS.index(label) for label in stored[1]["label"]]
    right = {
        (name, kind): (predict(fit(tmp_path / f"{name}_{kind}", some, recipe=recipe), some, stored[1]).argmax(1) == truth)
        for name, some in (("one", stored), ("both", joined))
        for kind, recipe in (("tuned", TUNED), ("adam", RECIPE))
    }  # fmt: skip
    assert right["both", "tuned"].mean() > 0.9 and right["one", "tuned"].mean() > 0.9
    assert right["both", "adam"].mean() < 0.6


def test_a_recipe_is_of_the_kind_that_the_study_says():
    assert heads.recipe({"kind": "logistic", "views": ["identity"], "class_weights": "none", "seed": 7}) == TUNED
    fields = {"views": ["identity"], "epochs": 4, "batch_size": 16, "learning_rate": 1e-2, "weight_decay": 0.0}
    assert heads.recipe({"kind": "adam", **fields, "seed": 7}) == RECIPE
