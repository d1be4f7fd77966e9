"""A head that is shown photos without their middle, beside the same head that is shown them whole."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.features import heads
from manihot.networks import bundle
from manihot.networks.bundle import Bundle
from manihot.predictions.parts import part_tables
from manihot.splits.folds import Fold

# What each table of predictions is called, and the view that its head is fitted on and shown.
VIEWS = {"masked": "masked", "whole": "identity"}


def out_of_fold(
    features: Sequence[str | PathLike[str]],
    folds: Iterable[Fold],
    split: pd.DataFrame,
    recipe: heads.Recipe,
    threads: int,
) -> dict[str, pd.DataFrame]:
    """Predictions out of fold of two heads that differ in their view alone, a table for each name in `VIEWS`.

    The tables have dataset, image_id, label, fold, p0..pK. Each fold's heads are fitted by `recipe`, its views apart,
    on the photos of the other folds, and predict the pool's photos of their own. Nothing of the heads is kept.

    Raises:
        StudyError: features that are damaged, or that lack a view.
    """
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in VIEWS}
    for fold in folds:
        for name, view in VIEWS.items():
            with TemporaryDirectory() as folder:
                heads.fit(Path(folder), features, fold, replace(recipe, views=[view]), threads, view)
                fitted = bundle.read(Path(folder) / "model.json")

                def predict(
                    _: str, photos: pd.DataFrame, head: Bundle = fitted, seen: str = view
                ) -> NDArray[np.float32]:
                    return heads.predict(head, features, photos, threads, seen)

                tables[name].append(part_tables(fold, split, predict)["validation"])
    return {name: pd.concat(some, ignore_index=True) for name, some in tables.items()}
