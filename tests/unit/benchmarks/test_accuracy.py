"""The tables of docs/accuracy.md (benchmarks/accuracy.py): what is compared, and on which photos."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from manihot.splits.folds import Fold

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))
import accuracy  # noqa: E402


@pytest.mark.parametrize("table", accuracy.TABLES)
def test_a_row_is_compared_with_one_above_it_on_the_same_photos(table):
    models, above = accuracy.study(1).plan.models, {}
    for row in accuracy.TABLES[table]:
        if row.against is not None:
            assert models[above[row.against].model].split == models[row.model].split
            assert set(row.seeds) <= set(above[row.against].seeds)
        assert row.name not in above
        above[row.name] = row


def test_fewer_training_photos_are_part_of_more_and_none_is_held_out():
    photos = pd.DataFrame(
        {"dataset": "d", "image_id": [f"{i}.jpg" for i in range(40)], "label": "a", "group": range(40)}
    )
    fold = Fold(1, photos.assign(fold=[1, 2] * 20), [{"label": "a", "name": "a"}])
    some, more = (accuracy.fewer(fold, share, seed=1) for share in (0.2, 0.5))
    assert [len(some.training), len(more.training)] == [4, 10]
    assert set(some.training["image_id"]) < set(more.training["image_id"])
    assert some.validation.equals(fold.validation)
    assert set(accuracy.fewer(fold, 0.2, seed=2).training["image_id"]) != set(some.training["image_id"])


def test_what_is_compared_is_each_fold_of_each_seed(monkeypatch):
    index = pd.MultiIndex.from_product([(1, 2), (1, 2, 3)], names=["seed", "fold"])
    values = {"a": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "b": [0.2, 0.3, 0.4, 0.5, 0.6, 0.7]}
    monkeypatch.setattr(
        accuracy, "measure",
        lambda row: pd.DataFrame({"balanced_accuracy": values[row.model], "log_loss": 1.0, "seconds": 2.0, "photos": 9},
                                 index=index),
    )  # fmt: skip
    first, second = accuracy.compared([accuracy.Row("first", "a"), accuracy.Row("second", "b", "first")])
    assert first["balanced_accuracy"] == {"mean": pytest.approx(0.35)}
    assert second["balanced_accuracy"]["difference"] == pytest.approx(0.1)
    assert second["balanced_accuracy"]["low"] == pytest.approx(0.1)
    assert (second["fits"], second["seconds"], second["photos"]) == (6, 2.0, 9)
