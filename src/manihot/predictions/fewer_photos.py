"""A head that is fitted on fewer photos: on nested parts of each fold's training photos, and on all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.features import heads
from manihot.networks import bundle
from manihot.networks.bundle import Bundle
from manihot.predictions.calibration import answer
from manihot.predictions.parts import part_tables
from manihot.splits.folds import Fold
from manihot.splits.sampling import seeded_order

# The shares of a fold's training photos that are fitted on, evenly apart in their logarithms. All of them together have
# 1.3 times the photos of one fit, and the whole is the study's own head.
SHARES = tuple(8 ** (place / 4 - 1) for place in range(4))
# The answers that are kept: the heads' own, and those that models are chosen by.
KINDS = ("raw", "calibrated")


def out_of_fold(
    features: Sequence[str | PathLike[str]],
    folds: Sequence[Fold],
    fitted: Sequence[Bundle],
    split: pd.DataFrame,
    record: Mapping[str, Any],
    recipe: heads.Recipe,
    threads: int,
) -> dict[str, pd.DataFrame]:
    """Predictions out of fold of a head that is fitted on more and more photos, a table for each of `KINDS`.

    The tables have share, photos (trained on), dataset, image_id, label, fold, p0..pK: `SHARES` first, then 1, the
    study's own head. Parts are nested (`places`). Each is fitted with the C that was tuned on the whole, so that
    no photo is set aside to tune on; by Adam in as many steps as the whole. Nothing of these heads is kept.

    Args:
        features: the stored features of the head's backbone.
        folds: the head's folds.
        fitted: the study's own head, a fit a fold.
        split: the table of the split.
        record: that of the split.
        recipe: the head's.
        threads: of the predictions.

    Raises:
        StudyError: features or a fit that are damaged.
    """
    raw: dict[float, list[pd.DataFrame]] = {share: [] for share in (*SHARES, 1.0)}
    priors: dict[float, list[list[float]]] = {share: [] for share in raw}
    photos: dict[tuple[float, int], int] = {}
    pool = split[split["role"] == "pool"]
    for fold, whole in zip(folds, fitted, strict=True):
        tuned, place = heads.as_tuned(recipe, whole.record), places(fold, recipe.seed)
        for share in raw:
            part = replace(fold, sample=fold.training[place < share])
            with TemporaryDirectory() as folder:
                if share < 1:
                    heads.fit(Path(folder), features, part, _as_long(tuned, part, fold), threads)
                head = bundle.read(Path(folder) / "model.json") if share < 1 else whole

                def predict(_: str, shown: pd.DataFrame, head: Bundle = head) -> NDArray[np.float32]:
                    return heads.predict(head, features, shown, threads)

                raw[share].append(part_tables(part, pool, predict)["validation"])
                priors[share].append(head.record["prior"])
            photos[share, fold.number] = len(part.sample)
    kinds = {"raw": {share: pd.concat(tables, ignore_index=True) for share, tables in raw.items()}}
    kinds["calibrated"] = {share: _calibrated(tables, priors[share], record) for share, tables in raw.items()}
    return {kind: _stacked(tables, photos) for kind, tables in kinds.items()}


def places(fold: Fold, seed: int) -> NDArray[np.float64]:
    """Where each of a fold's training photos comes in, 0 to 1, float64 [n]: a part has those below its share.

    Groups stay whole and come in a seeded random order, another one in each fold. Each class (a group's is that of its
    first photo) has the same share in every part, as far as whole groups allow, and one group in any.
    """
    photos = fold.training[["dataset", "image_id", "label", "group"]]
    photos = photos.assign(order=seeded_order(photos, seed, f"fewer photos {fold.number}"))
    photos["first"] = photos.groupby("group")["order"].transform("min")
    ordered = photos.sort_values(["first", "order"])
    ordered["class"] = ordered.groupby("group")["label"].transform("first")
    of_class = ordered.groupby("class")
    ordered["before"] = of_class.cumcount()
    of_group = ordered.groupby("group")
    before, size = of_group["before"].transform("min"), of_group["before"].transform("size")
    middle = (before + size / 2) / of_class["order"].transform("size")
    return middle.where(before > 0, 0.0).reindex(photos.index).to_numpy(np.float64)


def _as_long(recipe: heads.Recipe, part: Fold, whole: Fold) -> heads.Recipe:
    """The recipe with as many steps on a part as on the whole."""
    if not isinstance(recipe, heads.Adam):
        return recipe
    few, many = (-(-len(fold.training) // recipe.batch_size) for fold in (part, whole))
    return replace(recipe, epochs=round(recipe.epochs * many / few))


def _calibrated(
    tables: Sequence[pd.DataFrame], priors: Sequence[Sequence[float]], record: Mapping[str, Any]
) -> pd.DataFrame:
    nothing = [table[:0] for table in tables]
    folds = {"validation": tables, "test": nothing, "test_as_found": nothing}
    return answer(folds, priors, record)[0]["calibrated"]["validation"]


def _stacked(tables: Mapping[float, pd.DataFrame], photos: Mapping[tuple[float, int], int]) -> pd.DataFrame:
    stacked = pd.concat(tables, names=["share"]).reset_index("share").reset_index(drop=True)
    keys = zip(stacked["share"], stacked["fold"], strict=True)
    stacked.insert(1, "photos", [photos[share, int(fold)] for share, fold in keys])
    return stacked
