"""A fitted model of a study, taken from its records, that answers new photos as it answered those of the study."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.applied import unlike
from manihot.applied.answers import Answering, Shares
from manihot.applied.backbones import Backbone, Computing
from manihot.applied.members import Member, Shown
from manihot.applied.photos import Decoded, StrPath, decoded
from manihot.core.gpus import Compute
from manihot.networks import device as machine

Floats = NDArray[np.float64]
# The shares of photos whose sets hold the true class.
COVERAGE = 0.9


@dataclass(frozen=True)
class Settings:
    """How a model computes: what `load_model` was given."""

    device: str
    precision: str | None
    batch_size: int
    workers: int
    max_pixels: int


class Model:
    """A fitted model: `predict` answers photos.

    `name`, `record` (as in its model.json), and `labels` of its classes in the order of p0..pK. `sets` is the record of
    its prediction sets and `reference` the photos that new ones are held against, each None where there is none.
    """

    def __init__(self, name: str, record: Mapping[str, Any], members: Sequence[Member], settings: Settings):
        self.name, self.record, self.members, self.settings = name, record, members, settings
        self.labels: list[str] = [entry["label"] for entry in record["classes"]]
        self.sets: Mapping[str, Any] | None = None
        self.reference: tuple[unlike.Reference, Backbone] | None = None

    def predict(self, photos: Iterable[StrPath], shares: Shares = "equal", coverage: float = COVERAGE) -> pd.DataFrame:
        """The answers to the photos at these paths, a row a photo in their order; none is left out.

        Columns: `image_id` (the path as it was given); `answer` (the label of the most probable class), `probability`
        (that class's) and `p0`..`pK` (of all classes, float64); `set` (labels joined by `;`: the classes that may be
        right) where the model has prediction sets; `unlike` (0 to 100) where it has reference photos; `problem` (why a
        photo has no answer; empty where it has one).

        Args:
            photos: paths of image files.
            shares: the class shares of the photos, which the probabilities are for. `equal`, the default: all classes
                are as common; a study's models are chosen by such answers. `as_found`: the shares of all photos of the
                study. Or a share for each label, as `estimate_shares` gives them; they are scaled to a sum of 1.
            coverage: the share of photos whose `set` should hold the true class, for each class by itself
                (`applied/sets.py` says what is guaranteed).

        Returns:
            The table. Probabilities are the calibrated ones of the study: each fold's own, shifted from its prior to
            `shares` and tempered, in the mean over the folds.

        Raises:
            StudyError: shares that are not those of the classes, a device that is not there.
        """
        tables = list(self.predict_batches(photos, shares, coverage))
        if tables:
            return pd.concat(tables, ignore_index=True)
        none = np.empty((len(self.members), 0, len(self.labels)))
        return self.answering.table(self._told(Decoded([], [], {}), None), none, self.target(shares), coverage)

    def predict_batches(
        self, photos: Iterable[StrPath], shares: Shares = "equal", coverage: float = COVERAGE
    ) -> Iterator[pd.DataFrame]:
        """What `predict` gives, a table a batch, for more photos than memory holds: `photos` is read as it goes."""
        answering, target = self.answering, self.target(shares)
        for told, own in self.own_batches(photos):
            yield answering.table(told, own, target, coverage)

    def estimate_shares(self, photos: Iterable[StrPath]) -> dict[str, float]:
        """The share of each class among the photos at these paths, as the answers to all of them tell: for `shares`.

        An estimate, by EM (`predictions/calibration.py`): it holds where the classes look as they did in the study and
        no other class is among the photos, and is rough for few photos. Photos that cannot be used do not count.

        Raises:
            StudyError: no photo can be used, or the device is not there.
        """
        own = [said for _, said in self.own_batches(photos)]
        none = np.empty((len(self.members), 0, len(self.labels)))
        return self.answering.estimate(np.concatenate([none, *own], axis=1))

    def own_batches(self, photos: Iterable[StrPath]) -> Iterator[tuple[pd.DataFrame, Floats]]:
        """What answers are made of (`answers.Answering`), a batch of the photos at these paths at a time.

        A table with `image_id`, `problem` and, where the model has reference photos, `unlike` of each; and what the
        members say of those without a problem, float64 [members, usable, K].

        Raises:
            StudyError: the device is not there.
        """
        seen = {way for member in self.members for way in member.seen}
        seen |= {self.reference[1].seen} if self.reference else set()
        chosen = self.settings
        with machine.choose(Compute(chosen.device)) as device:
            computing = Computing(device, chosen.batch_size, chosen.precision)
            for batch in decoded(photos, seen, chosen.batch_size, chosen.workers, chosen.max_pixels):
                if not batch.usable.any():
                    yield self._told(batch, None), np.empty((len(self.members), 0, len(self.labels)))
                    continue
                shown = Shown(batch.pixels, computing)
                own = np.stack([np.asarray(member.answers(shown), np.float64) for member in self.members])
                yield self._told(batch, shown), own

    @property
    def temperature(self) -> float:
        """What the answers are tempered with; 1 where none was fitted."""
        return self.record["calibration"]["temperature"] or 1.0

    @property
    def answering(self) -> Answering:
        """What makes answers of what the members say."""
        priors, found = [member.prior for member in self.members], self.record["calibration"]["shares"]
        return Answering(self.labels, priors, self.temperature, found, self.sets)

    def target(self, shares: Shares = "equal") -> list[float]:
        """Class shares in the order of the classes, with a sum of 1.

        Raises:
            StudyError: a class has none, a label is no class, or they are no shares.
        """
        return self.answering.target(shares)

    def _told(self, batch: Decoded, shown: Shown | None) -> pd.DataFrame:
        """What is known of each photo of a batch besides what the members say; `shown` are the usable ones."""
        table = pd.DataFrame({"image_id": batch.paths, "problem": batch.problems}, dtype="str")
        if self.reference is not None:
            reference, backbone = self.reference
            table["unlike"] = np.nan
            if shown is not None:
                table.loc[batch.usable, "unlike"] = reference.unlike(shown.features(backbone))
        return table
