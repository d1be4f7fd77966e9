"""Boosted trees: XGBoost's own, the same bytes after a kill."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost

from manihot.core import files, gpus
from manihot.core.errors import StudyError
from manihot.core.gpus import Compute
from manihot.core.state import State
from manihot.features import boosting
from manihot.features import table as feature_table
from manihot.networks import bundle
from manihot.splits.folds import Fold

LABELS = ["a", "b", "c", "absent"]
CLASSES = [{"label": label, "name": label} for label in LABELS]
RECIPE = boosting.Recipe(n_estimators=12, max_depth=3, learning_rate=0.3, seed=7)
BACKBONE = {
    "network": "net",
    "input": {"size": 64, "mean": [0.5] * 3, "std": [0.5] * 3},
    "weights": {"path": "net.safetensors", "sha256": "0" * 64},
}


@pytest.fixture
def stored(tmp_path):
    """Features of 90 photos of three classes and a draw of them in 3 folds; a fourth class has no photo."""
    random = np.random.default_rng(0)
    ids, classes = [f"{index}.jpg" for index in range(90)], np.arange(90) % 3
    rows = (random.normal(size=(3, 8))[classes] + random.normal(size=(90, 8))).astype(np.float32)
    feature_table.write(
        tmp_path / "identity.npy",
        ids,
        [(np.arange(90), rows)],
        {"dataset": "leaves", "view": "identity", "backbone": BACKBONE},
    )
    draw = pd.DataFrame({"dataset": "leaves", "image_id": ids, "label": [LABELS[c] for c in classes]})
    draw["fold"] = pd.array(np.arange(90) // 3 % 3 + 1, "Int64")
    draw["group"] = np.arange(90) // 9
    return [tmp_path / "identity.npy"], draw


def fit(root, stored, fold=1, progress=lambda *_: None, **settings):
    arrays, draw = stored
    with State(root, "fit_booster", {}, "", "") as state:
        boosting.fit(state, arrays, Fold(fold, draw, CLASSES), replace(RECIPE, **settings), Compute("cpu"), progress)
        return state.folder


def predict(folder, stored, photos):
    return boosting.predict(bundle.read(folder / "model.json"), stored[0], photos, threads=1)


def test_the_trees_are_xgboosts_own(tmp_path, stored, monkeypatch):
    monkeypatch.setattr(boosting, "ROUNDS_A_CHECKPOINT", 5)
    folder = fit(tmp_path / "ours", stored)
    arrays, draw = stored
    x, y = feature_table.select(arrays, draw), np.array([LABELS.index(label) for label in draw["label"]])
    trained = (draw["fold"] != 1).to_numpy()
    published = {
        "objective": "multi:softprob",
        "num_class": 4,
        "max_depth": 3,
        "learning_rate": 0.3,
        "tree_method": "hist",
        "seed": 7,
        "nthread": 1,
    }
    own = xgboost.train(published, xgboost.DMatrix(x[trained], label=y[trained]), 12)
    assert (folder / "booster.ubj").read_bytes() == bytes(own.save_raw("ubj"))
    answers = predict(folder, stored, draw)
    np.testing.assert_array_equal(answers, own.predict(xgboost.DMatrix(x)))
    assert answers.dtype == np.float32 and answers.shape == (90, 4) and answers[:, 3].max() < 0.01
    history = pd.read_csv(folder / "history.csv")
    assert history["round"].tolist() == list(range(1, 13))
    last = history.iloc[-1]
    assert last["validation_accuracy"] == pytest.approx((answers.argmax(1) == y)[~trained].mean())
    assert last["train_accuracy"] == pytest.approx((answers.argmax(1) == y)[trained].mean())
    loss = -np.log(answers[np.arange(90), y])
    assert last["validation_loss"] == pytest.approx(loss[~trained].mean(), rel=1e-5)


def test_its_size_is_told(tmp_path, stored):
    folder = fit(tmp_path, stored)
    trees = xgboost.Booster(model_file=folder / "booster.ubj").trees_to_dataframe()
    model = files.read_json(folder / "model.json")
    assert model["trees"] == 12 * 4 and model["parameters"] == len(trees) and model["kind"] == "boosting"
    assert model["backbones"] == [{**BACKBONE, "features": 8}] and model["class_shares"] == [1 / 3, 1 / 3, 1 / 3, 0]


def test_trees_grow_on_joined_features_whatever_their_scale(tmp_path, stored):
    """A tree asks whether one feature is above a value: columns of another scale change no answer."""
    arrays, draw = stored
    noise = np.random.default_rng(1).normal(size=(90, 3)).astype(np.float32)
    other = BACKBONE | {"network": "other"}
    answers, records = [], []
    for scale in (1.0, 1024.0):  # a power of two rounds nothing
        path = tmp_path / f"{scale}" / "identity.npy"
        about = {"dataset": "leaves", "view": "identity", "backbone": other}
        feature_table.write(path, list(draw["image_id"]), [(np.arange(90), noise * np.float32(scale))], about)
        joined = ([*arrays, path], draw)
        folder = fit(tmp_path / f"trees_{scale}", joined)
        answers.append(predict(folder, joined, draw))
        records.append(files.read_json(folder / "model.json")["backbones"])
    np.testing.assert_array_equal(*answers)
    assert records == [[{**BACKBONE, "features": 8}, {**other, "features": 3}]] * 2
    assert np.abs(answers[0] - predict(fit(tmp_path / "one", stored), stored, draw)).max() > 0


def killed(after):
    """Ends a fit by the `after`th time that it tells how far it is."""
    told = []

    def kill(*_):
        told.append(1)
        if len(told) == after:
            raise KeyboardInterrupt

    return kill


@pytest.mark.parametrize("left_behind", [False, True])
def test_a_killed_fit_goes_on_and_gives_the_same_bytes(tmp_path, stored, monkeypatch, left_behind):
    monkeypatch.setattr(boosting, "ROUNDS_A_CHECKPOINT", 4)
    whole = fit(tmp_path / "whole", stored)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "killed", stored, progress=killed(2))
    if left_behind:  # killed between its two savings
        with State(tmp_path / "killed", "fit_booster", {}, "", "") as state:
            state.save_json("rounds.json", state.load_json("rounds.json")[:4])
    steps = []
    resumed = fit(tmp_path / "killed", stored, progress=lambda done, *_: steps.append(done))
    assert steps == ([8, 12] if left_behind else [12])
    for name in ("booster.ubj", "history.csv", "model.json"):
        assert (resumed / name).read_bytes() == (whole / name).read_bytes()


TUNED = {"early_stopping": 5, "n_estimators": 40, "subsample": 0.7, "colsample_bynode": 0.5}


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_a_killed_fit_with_early_stopping_gives_the_same_bytes(tmp_path, stored, monkeypatch, after):
    monkeypatch.setattr(boosting, "ROUNDS_A_CHECKPOINT", 4)
    steps = []
    whole = fit(tmp_path / "whole", stored, progress=lambda *told: steps.append(told), **TUNED)
    assert {"inner", "train"} == {told[2].split()[0] for told in steps} and len(steps) > 4
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "killed", stored, progress=killed(after), **TUNED)
    resumed = fit(tmp_path / "killed", stored, **TUNED)
    for name in ("booster.ubj", "history.csv", "model.json"):
        assert (resumed / name).read_bytes() == (whole / name).read_bytes()


def test_early_stopping_looks_at_an_inner_fold_and_never_at_the_fold_that_is_held_out(tmp_path, stored, monkeypatch):
    arrays, draw = stored
    whole = fit(tmp_path / "whole", stored, **TUNED)
    wrong = draw.assign(label=draw["label"].where(draw["fold"] != 1, "a"))
    again = fit(tmp_path / "wrong", (arrays, wrong), **TUNED)
    assert files.sha256(whole / "booster.ubj") == files.sha256(again / "booster.ubj")
    tuned = files.read_json(whole / "model.json")["tuned"]
    assert 1 <= tuned["rounds"] < tuned["most_rounds"] == 40
    assert files.read_json(whole / "model.json")["trees"] == tuned["rounds"] * 4
    x, y = feature_table.select(arrays, draw), np.array([LABELS.index(label) for label in draw["label"]])
    fold = Fold(1, draw, CLASSES)
    trained = (draw["fold"] != 1).to_numpy()
    held = boosting._inner(fold, 7)[0]
    known, asked = (xgboost.DMatrix(x[trained][rows], label=y[trained][rows]) for rows in (~held, held))
    plain = {"early_stopping": 3, "n_estimators": 20}
    settings = boosting.parameters(4, replace(RECIPE, **plain), "cpu", 1) | {"eval_metric": "mlogloss"}
    own = xgboost.train(settings, known, 20, evals=[(asked, "held")], early_stopping_rounds=3, verbose_eval=False)
    told = files.read_json(fit(tmp_path / "plain", stored, **plain) / "model.json")["tuned"]
    assert told["rounds"] == own.best_iteration + 1
    assert told["inner_log_loss"] == pytest.approx(own.best_score, rel=1e-4)


def test_an_inner_fold_with_all_photos_of_a_class_is_judged_by_those_of_the_others(tmp_path, stored, monkeypatch):
    arrays, draw = stored
    alone = np.where(draw["label"][draw["fold"] != 1] == "c", 0, np.arange(60) % 4)
    monkeypatch.setattr(boosting, "inner_folds", lambda *_: alone)
    told = files.read_json(fit(tmp_path, stored, early_stopping=3, n_estimators=20) / "model.json")["tuned"]
    x, y = feature_table.select(arrays, draw), np.array([LABELS.index(label) for label in draw["label"]])
    x, y = (values[(draw["fold"] != 1).to_numpy()] for values in (x, y))
    rows = alone != 0, (alone == 0) & (y != 2)
    known, asked = (xgboost.DMatrix(x[chosen], label=y[chosen]) for chosen in rows)
    settings = boosting.parameters(4, RECIPE, "cpu", 1) | {"eval_metric": "mlogloss"}
    own = xgboost.train(settings, known, 20, evals=[(asked, "held")], early_stopping_rounds=3, verbose_eval=False)
    assert told["rounds"] == own.best_iteration + 1
    assert told["inner_log_loss"] == pytest.approx(own.best_score, rel=1e-4)


def test_the_best_round_is_that_before_the_patience_ends():
    assert boosting.best_round([3, 2, 2.5, 2.6, 1], 2) == 2
    assert boosting.best_round([3, 2, 2.5, 2.6, 1], 3) == 5
    assert boosting.best_round([3, 2, 1], 2) == 3 and boosting.best_round([1, 1, 1], 2) == 1


def test_rounds_that_do_not_suffice_are_said(tmp_path, stored, caplog):
    fit(tmp_path, stored, early_stopping=5, n_estimators=2)
    assert "the lowest log loss is that of the last round, 2: set n_estimators higher" in caplog.text


def test_a_refit_takes_all_photos_and_has_no_validation(tmp_path, stored):
    folder = fit(tmp_path, stored, fold=0)
    history = pd.read_csv(folder / "history.csv")
    assert history["validation_loss"].isna().all() and history["train_loss"].notna().all()


def test_damage_of_a_booster_is_refused(tmp_path, stored):
    folder = fit(tmp_path, stored)
    content = bytearray((folder / "booster.ubj").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "booster.ubj").write_bytes(content)
    with pytest.raises(StudyError, match=r"booster\.ubj is missing or damaged: delete"):
        predict(folder, stored, stored[1])


def test_boosting_does_without_torch():
    code = "import sys, manihot.features.boosting; sys.exit('torch' in sys.modules)"
    source = Path(boosting.__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(source)})


@pytest.mark.parametrize(
    ("requested", "found", "named", "expected"),
    [
        ("auto", 0, None, "cpu"),
        ("cpu", 2, None, "cpu"),
        ("auto", 2, None, "cuda:1"),
        ("cuda", 2, "5,7", "cuda:1"),
        ("auto", 1, "7", "cuda:0"),
    ],
)
def test_a_gpu_is_taken_where_there_is_one(monkeypatch, tmp_path, requested, found, named, expected):
    """Another job holds the first device; a single one is the scheduler's choice."""
    monkeypatch.setattr(gpus, "count", lambda: found)
    monkeypatch.setattr(xgboost, "build_info", lambda: {"USE_CUDA": True})
    monkeypatch.setattr(gpus.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    folder = tmp_path / f"manihot-devices-{os.getuid()}"
    with gpus.lease((named or "0").split(",")[:1], 1, folder), boosting._device(Compute(requested)) as device:
        assert device == expected


def test_cuda_without_a_device_is_an_error(monkeypatch):
    monkeypatch.setattr(gpus, "count", lambda: 0)
    with pytest.raises(StudyError, match="device is cuda, but no CUDA device is visible"):
        boosting._device(Compute("cuda")).__enter__()
