"""Tables of photos, and the parts of a split."""

from collections.abc import Iterable
from os import PathLike

import pandas as pd

PARTS = ("train", "validation", "test", "test_as_found")


def read_photos(path: str | PathLike[str]) -> pd.DataFrame:
    """A table of photos (split, draw or catalog): ids and labels are text, folds are Int64."""
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
