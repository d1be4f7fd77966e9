"""One fold of sampled photos: what its model is fitted on and validated on, and the classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.core.tables import locate, read_photos


@dataclass(frozen=True)
class Fold:
    """A fold of sampled photos (dataset, image_id, label, fold); number 0 stands for a fit on all of them.

    `classes` are those of the split (label, name) in the order of their index. Where something is tuned within the
    fold, the photos have a `group` too: a number for those that stay together.
    """

    number: int
    sample: pd.DataFrame
    classes: Sequence[dict[str, str]]

    @classmethod
    def read(
        cls,
        number: int | str,
        sample: str | PathLike[str],
        record: str | PathLike[str],
        split: str | PathLike[str] | None = None,
    ) -> "Fold":
        """The fold of a table of sampled photos; the classes are in the split's record, the groups in its table."""
        photos = read_photos(sample)
        if split is not None:
            groups = locate(photos, read_photos(split), ["group"])
            # Numbered as they come: what the split calls them changes with photos that are not in the sample.
            photos["group"] = groups.groupby(["dataset", "group"], sort=False).ngroup()
        return cls(int(number), photos, files.read_json(record)["classes"])

    @property
    def labels(self) -> list[str]:
        """The labels of the classes in the order of their index."""
        return [entry["label"] for entry in self.classes]

    @property
    def training(self) -> pd.DataFrame:
        """The photos that the fold's model is fitted on: those of the other folds."""
        return self.sample if self.number == 0 else self.sample[self.sample["fold"] != self.number]

    @property
    def validation(self) -> pd.DataFrame:
        """The photos that a history's validation is on; none where the model is fitted on all.

        Photos that the published protocol puts in every fold's training part (fold 0) are validated on too, as
        it did.
        """
        return self.sample[self.sample["fold"].isin([0, self.number])] if self.number else self.sample[:0]

    def targets(self, photos: pd.DataFrame) -> NDArray[np.int64]:
        """The class index of each photo of a table, int64 [n].

        Raises:
            StudyError: a label is not among the classes.
        """
        return targets(photos, self.labels)

    def class_shares(self) -> list[float]:
        """The share of each class among the training photos, in the order of the classes."""
        counts = np.bincount(self.targets(self.training), minlength=len(self.classes))
        return (counts / max(1, counts.sum())).tolist()


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
