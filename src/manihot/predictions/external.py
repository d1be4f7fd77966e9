"""What a fitted fold says of photos that its study has no part in."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.core import files
from manihot.core.gpus import Compute
from manihot.core.state import State
from manihot.networks.bundle import Bundle
from manihot.predictions.parts import part_tables
from manihot.splits.folds import Fold

Paths = Sequence[str | PathLike[str]]


def predict_external(
    state: State,
    fitted: Bundle,
    photos: pd.DataFrame,
    shown: Paths | Callable[..., Any],
    asked: Mapping[str, Any],
    compute: Compute,
) -> dict[str, Any]:
    """Write `test.csv`, a table of predictions as of a test, to the state's folder; returns what it cost.

    Args:
        state: where the table goes.
        fitted: the fold: a network, a head or trees.
        photos: dataset, image_id and label (a class) of each.
        shown: their stored features; for a network a function of photos and `size`, which gives their pixels.
        asked: `views` and, for a network, `batch_size`.
        compute: on what, and how.

    Raises:
        StudyError: a damaged file, or no device.
    """
    tested = photos.assign(role="test", fold=pd.array([pd.NA] * len(photos), "Int64"))
    fold = Fold(fitted.record["fold"], tested[:0], fitted.record["classes"])
    if callable(shown):
        from manihot.predictions.network import Viewing, predict_fold

        size, viewing = fitted.record["input"]["size"], Viewing(asked["views"], asked["batch_size"], {}, 0)
        return predict_fold(state, fitted, fold, tested, lambda rows: shown(rows, size=size), viewing, compute)
    table = part_tables(fold, tested, lambda _, rows: _from_features(fitted, shown, rows, compute.threads))["test"]
    files.write_table(state.folder / "test.csv", table)
    return {"photos": len(table)}


def _from_features(fitted: Bundle, features: Paths, photos: pd.DataFrame, threads: int) -> NDArray[np.float32]:
    if fitted.record["kind"] == "head":
        from manihot.features import heads

        return heads.predict(fitted, features, photos, threads)
    from manihot.features import boosting

    return boosting.predict(fitted, features, photos, threads)
