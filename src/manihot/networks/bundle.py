"""The records of fitted models: all that somebody needs to use a model without its study.

`results/models/{model}/fold{n}/` holds a fold: `model.json` (its record), `history.csv`, and its weights, whose file
the record names. `results/models/{model}/model.json` is the record of the whole model: which folds it has, in which
views they see a photo, and how their answers are averaged. Paths in records are as seen from the folder of the run.
No torch is needed to read or write a record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.core.names import RECORD, WEIGHTS
from manihot.splits.folds import Fold

SCHEMA_VERSION = 2
MEAN = "mean of probabilities"
# What a record says of a network, a fitted or a frozen one: its name, what it sees, where it comes from and looks.
SEEN = ("network", "input", "initial_weights", "cam_layer", "cam_layout")


@dataclass(frozen=True)
class Bundle:
    """A fitted fold on the disk: the path of its record, and what the record says."""

    path: Path
    record: Mapping[str, Any]

    @property
    def labels(self) -> list[str]:
        """The labels of the classes in the order of the model's answers."""
        return [entry["label"] for entry in self.record["classes"]]

    @property
    def normalisation(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of the three channels of pixels 0..1 that a network sees."""
        return self.record["input"]["mean"], self.record["input"]["std"]

    def identity(self) -> dict[str, Any]:
        """What the model's answers depend on: its record without the names of its classes."""
        return {**self.record, "classes": self.labels}

    def weights(self) -> bytes:
        """The content of the weights file, checked against the SHA-256 in the record.

        Raises:
            StudyError: it is missing or damaged.
        """
        path = self.path.with_name(self.record["weights"]["file"])
        try:
            intact = files.sha256(path) == self.record["weights"]["sha256"]
        except OSError:
            intact = False
        if not intact:
            raise StudyError(f"{path} is missing or damaged: {_mend(path, self.path)}")
        return path.read_bytes()


def read(path: str | PathLike[str]) -> Bundle:
    """The fitted fold whose record lies at `path`.

    Raises:
        StudyError: the record is missing, damaged, or written by a later version.
    """
    path = Path(path)
    try:
        record = files.read_json(path)
        version = record["schema_version"]
        labels = [entry["label"] for entry in record["classes"]]
        networks = [record] if record["kind"] == "network" else record["backbones"]
        whole = bool(networks) and all({"size", "mean", "std"} <= set(one["input"]) for one in networks)
        whole = whole and all("network" in one and "sha256" in one["weights"] for one in networks)
        whole = whole and bool(labels) and {"file", "sha256"} <= set(record["weights"])
    except (OSError, ValueError, KeyError, TypeError):
        whole, version = False, None
    _check(path, version, whole)
    return Bundle(path, record)


def read_whole(path: str | PathLike[str]) -> dict[str, Any]:
    """The record of a whole model at `path`, as `whole` made it.

    Raises:
        StudyError: it is missing, damaged, or written by a later version.
    """
    path = Path(path)
    try:
        record = files.read_json(path)
        version = record["schema_version"]
        members = [{"record", "sha256"} <= set(member) for member in record["members"]]
        labels = [entry["label"] for entry in record["classes"]]
        intact = bool(members and labels) and all(members) and {"temperature", "shares"} <= set(record["calibration"])
        intact = intact and set(labels) == set(record["calibration"]["shares"]) and bool(record["views"])
        intact = intact and "unlike" in record
    except (OSError, ValueError, KeyError, TypeError):
        intact, version = False, None
    _check(path, version, intact)
    return record


def _check(path: Path, version: Any, intact: bool) -> None:
    """Raise what is wrong with a record, if anything."""
    if version not in {None, SCHEMA_VERSION}:
        raise StudyError(
            f"{path} has the schema version {version}, and this version of Manihot reads {SCHEMA_VERSION}: "
            f"take the version that wrote it, or {_mend(path)}"
        )
    if not intact:
        raise StudyError(f"{path} is missing or damaged: {_mend(path)}")


def _mend(*paths: Path) -> str:
    return f"delete {' and '.join(map(str, paths))}, and run the same command again"


def describe(
    kind: str,
    fold: Fold,
    seen: Mapping[str, Any],
    counts: Mapping[str, int],
    precision: str,
    class_weights: Sequence[float] | None = None,
    prior: Sequence[float] | None = None,
) -> dict[str, Any]:
    """The record of a fitted fold, but for its weights, which `save` adds.

    Args:
        kind: `network`, `head` or `boosting`.
        fold: the photos that it was fitted on, and the classes.
        seen: of a network, `network`, and `input` with size (pixels), decode, interpolation, mean and std (of the
            channels of pixels 0..1), and `trained_with` of published weights; where they are known, `initial_weights`
            (their source), and `cam_layer` and `cam_layout` (`cam.cam_layer`). Of a head or trees, `backbones`: the
            frozen networks whose features, side by side in this order, they are fitted on. Each has all of this, the
            path and SHA-256 of its `weights`, its `precision`, and its `features`, how many columns are its own.
        counts: `parameters` and `trainable`, and for boosting `trees`.
        precision: the number format that it was fitted in.
        class_weights: what a photo of each class counted in the loss; None where each counted 1.
        prior: the shares of the classes that its answers take for granted, where they are others than those of the
            photos and class weights.
    """
    shares = fold.class_shares()
    weights = [1.0] * len(shares) if class_weights is None else list(class_weights)
    counted = [share * weight for share, weight in zip(shares, weights, strict=True)]
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": kind,
        "fold": fold.number,
        **{key: seen[key] for key in (*SEEN, "backbones") if key in seen},
        "classes": [dict(entry) for entry in fold.classes],
        "class_shares": shares,
        "class_weights": weights,
        # The class shares that its answers take for granted: those of the loss, not of the photos.
        "prior": [value / sum(counted) for value in counted] if prior is None else list(prior),
        "precision": precision,
        **counts,
    }


def save(folder: Path, record: Mapping[str, Any], weights: bytes) -> None:
    """Write a fold's weights and its record, which then names them and their SHA-256, to `folder`."""
    name = WEIGHTS[record["kind"]]
    files.write_bytes(folder / name, weights)
    digest = files.sha256(folder / name)
    files.write_json(folder / RECORD, {**record, "weights": {"file": name, "sha256": digest}})


def name_classes(path: str | PathLike[str], classes: Sequence[Mapping[str, str]]) -> None:
    """Give the classes of the record at `path` the names in `classes`, which has the same labels.

    Names change without a new fit: the fit that is kept may have had others.
    """
    record = files.read_json(path)
    files.write_json_if_changed(path, {**record, "classes": [dict(entry) for entry in classes]})


def whole(
    name: str,
    kind: str,
    views: Sequence[str],
    folds: Sequence[Bundle],
    calibration: Mapping[str, Any],
    unlike: str | None,
) -> dict[str, Any]:
    """The record of a model of one or more fitted folds.

    A photo's probabilities are the mean over `views` and over the folds. `parameters` are those of the first fold.

    Args:
        name: that of the model.
        kind: `network`, `tta`, `head` or `boosting`.
        views: in which it sees a photo.
        folds: its members.
        calibration: how the answers of a member are made fit for other class shares before they are averaged:
            `temperature`, None where nothing was held out to fit it on; `temperature_from`, the model whose answers out
            of fold it was fitted on (of a refit, that of its folds); and `shares`, those of all photos.
        unlike: the array of reference photos that new ones are held against; None where its split has none.
    """
    first = folds[0].record
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "kind": kind,
        "classes": first["classes"],
        "parameters": first["parameters"],
        "members": [
            {"record": str(fold.path), "fold": fold.record["fold"], "sha256": fold.record["weights"]["sha256"]}
            for fold in folds
        ],
        "views": list(views),
        "averaging": {"views": MEAN, "members": MEAN},
        "calibration": dict(calibration),
        "unlike": unlike,
    }
