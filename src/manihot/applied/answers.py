"""Answers, made of what the members of a model say of photos: calibrated for class shares, with the sets; no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.applied import sets
from manihot.applied.home import Home
from manihot.core.errors import StudyError
from manihot.core.names import RECORD, SETS
from manihot.core.tables import probability_columns
from manihot.core.text import did_you_mean
from manihot.networks import bundle
from manihot.predictions.calibration import estimate_shares, shift

Shares: TypeAlias = Literal["equal", "as_found"] | Mapping[str, float]
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Answering:
    """What makes answers of what the members of a model say.

    `labels` of the classes in the order of p0..pK, the `priors` that the members take for granted, the `temperature`,
    the class shares `found` among all photos of the study, and the record of the model's `sets` (None: it has none).
    """

    labels: Sequence[str]
    priors: Sequence[Sequence[float]]
    temperature: float
    found: Mapping[str, float]
    sets: Mapping[str, Any] | None

    def target(self, shares: Shares = "equal") -> list[float]:
        """Class shares in the order of the classes, with a sum of 1.

        Raises:
            StudyError: a class has none, a label is no class, or they are no shares.
        """
        if isinstance(shares, str):
            if shares not in ("equal", "as_found"):
                raise StudyError(f"shares: {shares!r} is neither equal nor as_found, nor a share for each class")
            shares = dict.fromkeys(self.labels, 1.0) if shares == "equal" else {k: self.found[k] for k in self.labels}
        if set(shares) != set(self.labels):
            wrong = sorted(set(shares) ^ set(self.labels))[0]
            known = did_you_mean(wrong, self.labels) if wrong in shares else "give one for each class"
            raise StudyError(f"shares: {wrong} {'is no class' if wrong in shares else 'has no share'}; {known}")
        values = [float(shares[label]) for label in self.labels]
        if not all(0 <= value < np.inf for value in values) or not sum(values):
            raise StudyError(f"shares: {dict(shares)} are no shares: give numbers of 0 or more")
        return [value / sum(values) for value in values]

    def estimate(self, own: Floats) -> dict[str, float]:
        """The share of each class among photos, as what the members say of them, [members, n, K], tells.

        Raises:
            StudyError: there is no photo.
        """
        if not own.shape[1]:
            raise StudyError("the class shares of no photo cannot be estimated: give photos that can be opened")
        shares = estimate_shares(list(own.astype(np.float64)), self.priors, [self.temperature] * len(self.priors))
        return dict(zip(self.labels, shares.tolist(), strict=True))

    def table(self, told: pd.DataFrame, own: Floats, target: Sequence[float], coverage: float) -> pd.DataFrame:
        """The answers to photos for the class shares `target`, a row a photo.

        Args:
            told: `image_id`, `problem` (empty where there is none) and, where it is known, `unlike` of each.
            own: what the members say of those without a problem, [members, usable, K].
            target: class shares in the order of the classes.
            coverage: the share of photos whose `set` should hold the true class.

        Returns:
            The columns of `Model.predict`.
        """
        usable = (told["problem"] == "").to_numpy(bool)
        names = ["answer", "probability", *probability_columns(len(self.labels)), *["set"] * (self.sets is not None)]
        text = {name: "str" if name in ("answer", "set") else "float64" for name in names}
        columns = self._columns(own.astype(np.float64), target, coverage) if usable.any() else {}
        answered = pd.DataFrame(columns, index=np.flatnonzero(usable), columns=names).astype(text)
        table = answered.reindex(range(len(told)))
        table.insert(0, "image_id", told["image_id"].to_numpy())
        for name in [column for column in ("unlike", "problem") if column in told]:
            table[name] = told[name].to_numpy()
        return table.astype({"image_id": "str", "problem": "str"})

    def _columns(self, own: NDArray[np.float64], target: Sequence[float], coverage: float) -> dict[str, Any]:
        told = list(zip(own, self.priors, strict=True))
        values: NDArray[np.float64] = np.mean([shift(p, prior, target, self.temperature) for p, prior in told], axis=0)
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
        return columns


def read(folder: Path) -> Answering:
    """What makes answers of what the members of the model in `folder` say, in the order of its record.

    Raises:
        StudyError: a record is missing, damaged or of a later version.
    """
    record = bundle.read_whole(folder / RECORD)
    home = Home(folder, record["name"])
    labels = [entry["label"] for entry in record["classes"]]
    members = [bundle.read(home.find(entry["record"], "a fold of the model")).record for entry in record["members"]]
    known = folder / SETS
    found = sets.read(known, labels, [member["fold"] for member in members]) if known.is_file() else None
    calibrated = record["calibration"]
    priors = [member["prior"] for member in members]
    return Answering(labels, priors, calibrated["temperature"] or 1.0, calibrated["shares"], found)
