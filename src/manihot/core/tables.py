"""The tables that stages hand to each other: how they are read, which columns they have, how they are joined."""

from collections.abc import Iterable, Sequence
from os import PathLike

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.core.errors import StudyError

KEYS = ["dataset", "image_id"]


def read_photos(path: str | PathLike[str]) -> pd.DataFrame:
    """A table of photos (split, sample or catalog): ids, labels and what users know are text, folds are Int64."""
    text = [*KEYS, "label", "name", "status", "camera", "taken", "given_group", "site", "given_role", "given_fold"]
    return pd.read_csv(
        path,
        dtype={column: "str" for column in text} | {"fold": "Int64"},
        keep_default_na=False,
        na_values={"fold": [""]},
    )


def read_pairs(path: str | PathLike[str]) -> pd.DataFrame:
    """A table of pairs of photos (duplicates, copies between data sets): ids and labels are text."""
    text = [f"{name}_{side}" for name in ("image_id", "label") for side in "ab"]
    return pd.read_csv(path, dtype=dict.fromkeys(text, "str"), keep_default_na=False)


def read_catalogs(paths: Iterable[str | PathLike[str]]) -> pd.DataFrame:
    """The catalogs of several data sets, one below the other."""
    return pd.concat(map(read_photos, paths), ignore_index=True)


def locate(photos: pd.DataFrame, catalogs: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """What the catalogs say of each of `photos`: dataset, image_id and `columns`, in the photos' order, index 0..n-1.

    Raises:
        StudyError: a photo is in no catalog.
    """
    known = catalogs[[*KEYS, *columns]]
    located = photos[KEYS].merge(known, on=KEYS, how="left", validate="many_to_one", indicator="found")
    unknown = located.pop("found") == "left_only"
    if unknown.any():
        lost = located[unknown].iloc[0]
        raise StudyError(f"photo {lost['image_id']} of {lost['dataset']} is in no catalog: run the split again")
    return located


def history_columns(step: str) -> list[str]:
    """The columns of a learning history, a row a step: `step` is `epoch` or `round`."""
    return [step, "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate"]


def probability_columns(classes: int) -> list[str]:
    """The columns p0..pK of a table of predictions, in the order of the classes."""
    return [f"p{index}" for index in range(classes)]


def probabilities(table: pd.DataFrame, classes: int) -> NDArray[np.float64]:
    """The probabilities of a table of predictions, float64 [n, classes].

    A class that has no column is given nothing: the model never heard of it.
    """
    return table.reindex(columns=probability_columns(classes), fill_value=0.0).to_numpy(np.float64)
