"""What the project knows of the published study fits its tables, its study files and the switches."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from manihot.published import memory, paper
from manihot.report.published_sections import PROTOCOL
from manihot.scores import switches
from manihot.study.load import load
from manihot.study.plan import Plan

ROOT = Path(__file__).parents[3]


def network(name: str, split: str = "main", **changes: Any) -> SimpleNamespace:
    return SimpleNamespace(
        **{"name": name, "kind": "network", "split": split, "folds": (1, 2), "repeat_of": None} | changes
    )


def test_its_tables_are_those_that_come_along() -> None:
    assert sorted(paper.TABLES) == sorted(path.name for path in (ROOT / "config/published").iterdir())


def test_its_runs_are_in_the_study_that_repeats_it() -> None:
    plan = Plan(load(ROOT / "config/cassava.yaml"), ROOT)
    named = {value for key, value in vars(paper).items() if key.startswith(("BALANCED", "IMBALANCED", "NEW"))}
    assert len(named) == 6 and named | {paper.booster(9)} <= set(plan.models)


def test_every_switch_has_a_row_of_its_protocol() -> None:
    assert set(paper.ROWS) == set(switches.KEYS)
    titles = {key: PROTOCOL[row - 1][0] for key, row in paper.ROWS.items()}
    assert titles == {
        "leak": "Training photos", "group_duplicates": "Duplicates", "in_every_fold": "New class",
        "normalisation": "Pixels for ImageNet networks", "frozen_mode": "Frozen networks", "fold_kind": "Folds",
        "flips_at_validation": "Flips", "refit": "XGBoost",
    }  # fmt: skip
    assert paper.rows_of("fold_kind,group_duplicates") == ["8", "2"]


def test_ensembles_are_paired_with_their_folds_and_balanced_with_as_found() -> None:
    models = [
        network("imbalanced"), network("imbalanced_seed2", repeat_of="imbalanced"), network("balanced", folds=(1,)),
        network("balanced_tta", kind="tta"), network("balanced_seedling", folds=(1,)),
    ]  # fmt: skip
    pairs = paper.weighed_pairs(models)
    assert [(pair["what"], pair["part"]) for pair in pairs] == [
        ("ensemble", "test"), ("ensemble", "test"), *[("balancing", "test"), ("balancing", "test_as_found")] * 2,
    ]  # fmt: skip
    assert pairs[0]["based_on_models"] == ["imbalanced/fold1", "imbalanced/fold2"]
    assert pairs[2]["models"] == ["balanced"] and pairs[2]["based_on_models"] == ["imbalanced", "imbalanced_seed2"]
    assert pairs[4]["models"] == ["balanced/corrected"] and pairs[5]["part"] == "test_as_found"
    read = paper.predictions_of(pairs)
    assert len(read) == len(set(read)) == 16 and ("balanced/corrected", "test") in read
    assert ("imbalanced_seed2/fold1", "test") in read
    apart = paper.weighed_pairs([network("imbalanced"), network("balanced", split="other")])
    assert {pair["what"] for pair in apart} == {"ensemble"}


@pytest.mark.parametrize(
    ("device", "largest", "frozen", "verdict"),
    [
        ("gpu", 4900.0, 900.0, "for"),
        ("gpu", 2500.0, 900.0, "against"),
        ("gpu", 4900.0, 9000.0, "against"),
        ("cpu", 4900.0, 900.0, "cannot tell"),
    ],
)
def test_memory_is_linear_or_not_on_a_gpu(device: str, largest: float, frozen: float, verdict: str) -> None:
    columns = ["what", "network", "size", "photos", "device", "batch_size", "mb"]
    grown = [
        ("training", "small_cnn", 224, 1000, device, n, mb) for n, mb in ((32, 1700.0), (64, 3300.0), (96, largest))
    ]
    rows = [*grown, ("features", "resnet18", 224, None, device, 256, frozen)]
    weighed = memory.weigh_memory(pd.DataFrame(rows, columns=columns))
    assert weighed["verdict"] == verdict
    assert ("50.0 MB a photo of the batch" in weighed["evidence"]) == (device == "gpu" and largest == 4900)
