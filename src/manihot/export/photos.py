"""The photos of its study that an export is made and checked with: those of the tests, and some of the pool."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.applied.independent import one_a_group
from manihot.catalog.inspect import UnusableError
from manihot.core.errors import StudyError
from manihot.core.tables import read_photos
from manihot.export.quantise import CALIBRATING, DECIDING
from manihot.pixels.cache import new_square

TESTS = ("test", "test_as_found")
# Where a study has no test: so many of the pool, which the model has seen.
WITHOUT_TEST = 200


def tests(split: str, shown: Mapping[str, Any]) -> pd.DataFrame:
    """The test photos of a split: dataset, image_id, label, `role` and `path`; some of the pool where it has no test.

    `shown` has `roots`, the folder of each data set's photos, and `seed`.

    Raises:
        StudyError: a photo is not there.
    """
    table = _with_paths(split, shown["roots"])
    chosen = table[table["role"].isin(TESTS)]
    if chosen.empty:
        chosen = _drawn(table, shown["seed"], WITHOUT_TEST)
    missing = [path for path in chosen["path"] if not path.is_file()]
    if missing:
        raise StudyError(f"{missing[0]} is missing: an export is checked on all test photos of the study")
    return chosen.reset_index(drop=True)


def pool(split: str, shown: Mapping[str, Any], seen: Mapping[str, Any]) -> list[NDArray[np.uint8]]:
    """Photos of the pool, one of each group and class, drawn by the seed: uint8 [size, size, 3], as the study's
    networks see them (`seen`: `sizes`, of which the largest, and `decode`). Those that are not there are left out.

    Raises:
        StudyError: none is there.
    """
    drawn, found = _drawn(_with_paths(split, shown["roots"]), shown["seed"], CALIBRATING + DECIDING), []
    for path in drawn["path"]:
        try:
            found.append(new_square(path, max(seen["sizes"]), seen["decode"], shown["max_pixels"]))
        except UnusableError:
            continue
    if not found:
        raise StudyError(f"{drawn['path'].iloc[0]} is missing, as are the other photos of the pool: put them back")
    return found


def _with_paths(split: str, roots: Mapping[str, str]) -> pd.DataFrame:
    table = read_photos(split)
    places = [Path(roots[name], photo) for name, photo in zip(table["dataset"], table["image_id"], strict=True)]
    return table.assign(path=pd.Series(places, dtype="object"))


def _drawn(table: pd.DataFrame, seed: int, most: int) -> pd.DataFrame:
    photos = table[table["role"] == "pool"].reset_index(drop=True)
    return photos.iloc[one_a_group(photos, seed, "export")[:most]].reset_index(drop=True)
