"""A fitted model of a study, taken from its records, that answers new photos as it answered those of the study."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.applied import sets, unlike
from manihot.applied.backbones import Backbone, Computing
from manihot.applied.members import Member, Shown
from manihot.applied.photos import Decoded, StrPath, decoded
from manihot.core.errors import StudyError
from manihot.core.gpus import Compute
from manihot.core.tables import probability_columns
from manihot.core.text import did_you_mean
from manihot.networks import device as machine
from manihot.predictions.calibration import estimate_shares, shift

Shares = Literal["equal", "as_found"] | Mapping[str, float]
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
        return pd.concat(tables, ignore_index=True) if tables else self._table(Decoded([], [], {}), {})

    def predict_batches(
        self, photos: Iterable[StrPath], shares: Shares = "equal", coverage: float = COVERAGE
    ) -> Iterator[pd.DataFrame]:
        """What `predict` gives, a table a batch, for more photos than memory holds: `photos` is read as it goes."""
        target = self.target(shares)
        for batch, shown in self._shown(photos):
            yield self._table(batch, self._answers(shown, target, coverage) if batch.usable.any() else {})

    def estimate_shares(self, photos: Iterable[StrPath]) -> dict[str, float]:
        """The share of each class among the photos at these paths, as the answers to all of them tell: for `shares`.

        An estimate, by EM (`predictions/calibration.py`): it holds where the classes look as they did in the study and
        no other class is among the photos, and is rough for few photos. Photos that cannot be used do not count.

        Raises:
            StudyError: no photo can be used, or the device is not there.
        """
        own = [self._own(shown) for batch, shown in self._shown(photos) if batch.usable.any()]
        if not own:
            raise StudyError("the class shares of no photo cannot be estimated: give photos that can be opened")
        given = [np.concatenate(answers) for answers in zip(*own, strict=True)]
        priors = [member.prior for member in self.members]
        shares = estimate_shares(given, priors, [self.temperature] * len(priors))
        return dict(zip(self.labels, shares.tolist(), strict=True))

    @property
    def temperature(self) -> float:
        """What the answers are tempered with; 1 where none was fitted."""
        return self.record["calibration"]["temperature"] or 1.0

    def _shown(self, photos: Iterable[StrPath]) -> Iterator[tuple[Decoded, Shown]]:
        """The photos in batches, each as what was decoded and as what members are shown of it."""
        seen = {way for member in self.members for way in member.seen}
        seen |= {self.reference[1].seen} if self.reference else set()
        chosen = self.settings
        with machine.choose(Compute(chosen.device)) as device:
            computing = Computing(device, chosen.batch_size, chosen.precision)
            for batch in decoded(photos, seen, chosen.batch_size, chosen.workers, chosen.max_pixels):
                yield batch, Shown(batch.pixels, computing)

    def _own(self, shown: Shown) -> list[Floats]:
        """The own answers of each member to the photos that can be used, float64 [n, K]."""
        return [np.asarray(member.answers(shown), np.float64) for member in self.members]

    def target(self, shares: Shares = "equal") -> list[float]:
        """Class shares in the order of the classes, with a sum of 1.

        Raises:
            StudyError: a class has none, a label is no class, or they are no shares.
        """
        if isinstance(shares, str):
            if shares not in ("equal", "as_found"):
                raise StudyError(f"shares: {shares!r} is neither equal nor as_found, nor a share for each class")
            found = self.record["calibration"]["shares"]
            shares = dict.fromkeys(self.labels, 1.0) if shares == "equal" else {k: found[k] for k in self.labels}
        if set(shares) != set(self.labels):
            wrong = sorted(set(shares) ^ set(self.labels))[0]
            known = did_you_mean(wrong, self.labels) if wrong in shares else "give one for each class"
            raise StudyError(f"shares: {wrong} {'is no class' if wrong in shares else 'has no share'}; {known}")
        values = [float(shares[label]) for label in self.labels]
        if not all(0 <= value < np.inf for value in values) or not sum(values):
            raise StudyError(f"shares: {dict(shares)} are no shares: give numbers of 0 or more")
        return [value / sum(values) for value in values]

    def _answers(self, shown: Shown, target: Sequence[float], coverage: float) -> dict[str, Any]:
        """The columns of the photos that can be used."""
        told = list(zip(self._own(shown), [member.prior for member in self.members], strict=True))
        values: Floats = np.mean([shift(said, prior, target, self.temperature) for said, prior in told], axis=0)
        best = values.argmax(axis=1)
        columns: dict[str, Any] = {
            "answer": [self.labels[index] for index in best],
            "probability": values.max(axis=1),
            **dict(zip(probability_columns(len(self.labels)), values.T, strict=True)),
        }
        if self.sets is not None:
            equal = [1 / len(self.labels)] * len(self.labels)
            fair = np.stack([shift(said, prior, equal) for said, prior in told])
            held = sets.sets(self.sets, fair, best, coverage)
            columns["set"] = [";".join(np.array(self.labels, object)[row]) for row in held]
        if self.reference is not None:
            reference, backbone = self.reference
            columns["unlike"] = reference.unlike(shown.features(backbone))
        return columns

    def _table(self, batch: Decoded, columns: Mapping[str, Any]) -> pd.DataFrame:
        names = ["answer", "probability", *probability_columns(len(self.labels))]
        names += ["set"] * (self.sets is not None) + ["unlike"] * (self.reference is not None)
        text = {name: "str" if name in ("answer", "set") else "float64" for name in names}
        answered = pd.DataFrame(columns, index=np.flatnonzero(batch.usable), columns=names).astype(text)
        table = answered.reindex(range(len(batch.paths)))
        table.insert(0, "image_id", pd.Series(batch.paths, dtype="str"))
        return table.assign(problem=pd.Series(batch.problems, dtype="str"))
