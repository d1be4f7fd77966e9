"""The benchmark's rows of fine-tuning and of fits on features, on tiny sizes: they measure, and what they say is so."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from manihot.study.protocols import PROTOCOLS
from manihot.study.recipes import FINETUNE
from manihot.study.schema import Booster

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))
import finetuning  # noqa: E402
import fitting  # noqa: E402
import gpu  # noqa: E402
import page  # noqa: E402
import trainers  # noqa: E402

CPU = torch.device("cpu")


def test_what_is_measured_is_what_a_study_does():
    assert {key: value for key, value in FINETUNE.items() if key != "epochs"} == trainers.FINETUNE
    said = {name: field.default for name, field in Booster.model_fields.items() if not field.is_required()}
    said |= PROTOCOLS["corrected"]["boosting"]
    assert {key: getattr(fitting.TREES, key) for key in vars(fitting.TREES) if key != "seed"} == {
        key: said[key] for key in vars(fitting.TREES) if key != "seed"
    }


def test_every_row_has_its_line_in_the_page():
    keys = [
        *(f"finetune/{network}" for network in trainers.TUNED),
        f"from_cut/{trainers.CUT_NETWORK}",
        "tuned_head",
        "trees",
    ]
    assert set(keys) <= set(page.WHAT)


@pytest.mark.parametrize("key", ["finetune/resnet18", "from_cut/timm/tf_efficientnet_lite0"])
@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_step_is_measured(monkeypatch, key, side):
    monkeypatch.setattr(finetuning, "BATCH", 4)
    monkeypatch.setattr(finetuning, "rate", lambda step: step() / 0.5)
    assert finetuning.way(side, key, 32)() == 8


def test_a_trainer_from_a_cut_trains_what_is_above_it():
    pixels = finetuning.noise(4, 32)
    own = trainers.cut_trainer(pixels, trainers.finetuned(32, trainers.CUT_NETWORK, 4, trainers.CUT), CPU)
    before = {name: value.clone() for name, value in own.model.named_parameters()}
    own.run_epoch(lambda *_: None)
    changed = {name for name, value in own.model.named_parameters() if not torch.equal(value, before[name])}
    assert changed and all(
        name.startswith(("blocks.5", "blocks.6", "conv_head", "bn2", "classifier")) for name in changed
    )


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Few features of few photos, stored."""
    monkeypatch.setattr(fitting, "PHOTOS", 200)
    monkeypatch.setattr(fitting, "WIDTH", 24)
    monkeypatch.setattr(fitting, "TELLING", 12)
    monkeypatch.setattr(fitting, "SIGNAL", 1.0)
    monkeypatch.setattr(fitting, "WRONG", 0.1)
    fitting.drawn.cache_clear()
    yield fitting.stored(tmp_path)
    fitting.drawn.cache_clear()


def test_both_heads_are_as_good_and_the_trees_know_something(small, tmp_path, capsys):
    fitting.check(tmp_path)
    assert "heads: log loss" in capsys.readouterr().out
    for way in fitting.WAYS.values():
        answers, _ = way(small)
        assert answers.shape == (40, 5)
        np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)


def test_heads_that_answer_otherwise_are_not_measured(small, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "their_head", lambda path: (np.full((40, 5), 0.2), {"C": 1e6}))
    with pytest.raises(SystemExit, match="nothing is measured"):
        fitting.check(tmp_path)


def test_the_same_rows_are_there_for_a_gpu(small, monkeypatch):
    monkeypatch.setattr(trainers, "TUNED", (trainers.CUT_NETWORK,))
    tuned, from_cut = gpu.finetuning(CPU, 32, 0.0, 1e12)
    assert tuned["key"] == "finetune/timm/tf_efficientnet_lite0/batch_4"
    assert from_cut["key"] == "from_cut/timm/tf_efficientnet_lite0/batch_4" and from_cut["plain"] == tuned["value"]
    [trees] = gpu.trees(CPU)
    assert trees["ratio"] == pytest.approx(trees["plain"] / trees["value"])
    assert {"finetuning", "trees"} <= set(gpu.STAGES)
    assert "| `trees` |" in page._gpu(trees)
