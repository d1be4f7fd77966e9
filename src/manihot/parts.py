"""Which photos a fold's model trains on, and its predictions on each part."""

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot import files
from manihot.errors import StudyError

PARTS = ("train", "validation", "test", "test_as_found")


def read_photos(path: str | PathLike[str]) -> pd.DataFrame:
    """A table of photos (split, sample or catalog): ids and labels are text, folds are Int64."""
    text = ("dataset", "image_id", "label", "name", "status")
    return pd.read_csv(
        path,
        dtype={column: "str" for column in text} | {"fold": "Int64"},
        keep_default_na=False,
        na_values={"fold": [""]},
    )


def read_catalogs(paths: Iterable[str | PathLike[str]]) -> pd.DataFrame:
    """The catalogs of several data sets, one below the other."""
    return pd.concat(map(read_photos, paths), ignore_index=True)


def training_rows(draw: pd.DataFrame, fold: int) -> pd.DataFrame:
    """The drawn photos that a fold's model trains on: those of other folds; all where `fold` is 0."""
    return draw if fold == 0 else draw[draw["fold"] != fold]


def validation_rows(draw: pd.DataFrame, fold: int) -> pd.DataFrame:
    """The drawn photos of the history's validation; none where `fold` is 0.

    Photos that the published protocol puts in every fold's training part (fold 0) are validated on too, as
    it did.
    """
    return draw[draw["fold"].isin([0, fold])] if fold else draw[:0]


def class_labels(record: str | PathLike[str]) -> list[str]:
    """The labels of a split's classes in the order of their index, from its record."""
    return [entry["label"] for entry in files.read_json(record)["classes"]]


def targets(photos: pd.DataFrame, labels: Sequence[str]) -> NDArray[np.int64]:
    """The class index of each photo, int64 [n]: the place of its label in `labels`.

    Raises:
        StudyError: a label is not among the classes.
    """
    index = pd.Index(labels).get_indexer(photos["label"])
    if (index < 0).any():
        wrong = photos[index < 0].iloc[0]
        raise StudyError(
            f"photo {wrong['image_id']} of {wrong['dataset']} has the label {wrong['label']!r}, which is "
            "not a class of this split: run the split again"
        )
    return index.astype(np.int64)


def part_tables(
    draw: pd.DataFrame,
    split: pd.DataFrame,
    fold: int,
    labels: Sequence[str],
    predict: Callable[[pd.DataFrame], NDArray[np.floating]],
) -> dict[str, pd.DataFrame]:
    """A fold model's predictions on each part, `dataset,image_id,label,fold,p0..pK`; a part may be empty.

    `predict` gives probabilities [n, K] in the order of `labels` for a table of photos; it is not called for
    an empty part. `train` is what the model was fitted on, `validation` the pool's whole fold, drawn or not.
    """
    in_fold = (split["role"] == "pool") & (split["fold"] == fold) & (fold != 0)
    photos = {
        "train": training_rows(draw, fold),
        "validation": split[in_fold.fillna(False)],
        "test": split[split["role"] == "test"],
        "test_as_found": split[split["role"] == "test_as_found"],
    }
    return {part: _table(rows, fold, labels, predict) for part, rows in photos.items()}


def _table(
    photos: pd.DataFrame,
    fold: int,
    labels: Sequence[str],
    predict: Callable[[pd.DataFrame], NDArray[np.floating]],
) -> pd.DataFrame:
    keys = photos[["dataset", "image_id", "label"]].reset_index(drop=True).assign(fold=fold)
    columns = [f"p{index}" for index in range(len(labels))]
    values = predict(photos) if len(photos) else np.empty((0, len(labels)))
    return keys.join(pd.DataFrame(values, columns=columns))


def fitted(path: str | PathLike[str], model: str | PathLike[str]) -> bytes:
    """What a fit wrote, checked against the SHA-256 in its model.json.

    Raises:
        StudyError: it is damaged.
    """
    try:
        intact = files.sha256(path) == files.read_json(model)["sha256"]
    except (OSError, ValueError, KeyError):
        intact = False
    if not intact:
        raise StudyError(f"{path} is missing or damaged: delete it and {model}, and run the same command again")
    return Path(path).read_bytes()
