"""Roles that the user gives: the test of a benchmark is the test, its validation photos the only fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from manihot.core.errors import StudyError
from manihot.splits.folding import Folding, fold_photos


@dataclass(frozen=True)
class AsGiven:
    """The given roles: `test` is tested, `train` and `validation` are the pool.

    With one fold the validation photos are that fold, and those to train on have the number 2, which no model is
    validated on.
    """

    folding: Folding

    @property
    def asked(self) -> dict[str, int]:
        """Nothing is drawn, so no counts are asked for."""
        return {}

    def roles(self, photos: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
        """The photos in the order of their image_id with a column `role`."""
        photos = photos.sort_values("image_id")
        given = photos["given_role"]
        if self.folding.folds == 1:
            photos = photos.assign(given_fold=given.map({"validation": "1", "train": "2", "test": ""}))
        return photos.assign(role=given.map({"train": "pool", "validation": "pool", "test": "test"}))

    def new_class_roles(self, photos: pd.DataFrame, new_class: Mapping[str, Any]) -> pd.DataFrame:
        """Nothing: nobody gave roles to the photos of another data set.

        Raises:
            StudyError: always. The study's checks say it before a run.
        """
        raise StudyError(
            f"new_class: the photos of {new_class['dataset']} have no given role; take new_class out, or the roles"
        )

    def with_folds(self, rows: pd.DataFrame) -> pd.DataFrame:
        """`rows` with a column `fold`, which the pool alone has.

        Raises:
            StudyError: a class of the pool cannot be folded.
        """
        return rows.assign(fold=fold_photos(rows[rows["role"] == "pool"], self.folding))
