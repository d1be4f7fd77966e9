"""What an exported model is: the record that lies beside its ONNX file (`about.json`)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from manihot.applied import sets
from manihot.applied.model import COVERAGE, Model
from manihot.export.layout import REFERENCE, SCHEMA_VERSION

NONE_ABOVE = 99.0
OUTPUTS = {
    "probabilities": "float32 [n, classes], calibrated, for equally common classes",
    "corrected": "float32 [n, members, classes], of each member, for equally common classes, without the temperature: "
    "1 less one of these is the score of a prediction set",
    "features": "float32 [n, D], of the frozen network that tells how unlike the study's photos a photo is",
}


def describe(model: Model, outputs: Sequence[str]) -> dict[str, Any]:
    """The record of an export, but for its files; plain content for JSON.

    `schema_version`; `name`, `kind`, `classes` (label and name, in the order of the probabilities); `input` (its name,
    and how the study decodes photos); `outputs`, what each is; `calibration`: `temperature`, `shares` (as found) and
    `priors`, a list a member; `sets` and `unlike`, None where the model has none.
    """
    ways = [way for member in model.members for way in member.seen]
    ways += [model.reference[1].seen] if model.reference else []
    return {
        "schema_version": SCHEMA_VERSION,
        "name": model.name,
        "kind": model.record["kind"],
        "classes": model.record["classes"],
        "views": list(model.record["views"]),
        "input": {"name": "photos", "decode": ways[0].decode, "sizes": sorted({way.size for way in ways})},
        "outputs": {name: OUTPUTS[name] for name in outputs},
        "calibration": {
            "temperature": model.temperature,
            "shares": model.record["calibration"]["shares"],
            "priors": [list(member.prior) for member in model.members],
        },
        "sets": None if model.sets is None else _sets(model.sets, model.labels),
        "unlike": None if model.reference is None else _unlike(model),
    }


def _sets(record: Mapping[str, Any], labels: list[str]) -> dict[str, Any]:
    """Their method, `scores` (for each label a list a member), and, for a model of one member, `thresholds`: the
    largest score that each class may have at a coverage of COVERAGE; None: any."""
    parts = {label: [part.tolist() for part in record["scores"][label]] for label in labels}
    told = {"score": record["score"], "method": record["method"], "least": sets.LEAST, "coverage": COVERAGE}
    single = len(record["folds"]) == 1
    return {**told, "scores": parts, "thresholds": thresholds(parts, COVERAGE) if single else None}


def thresholds(scores: Mapping[str, list[list[float]]], coverage: float) -> dict[str, float | None]:
    """For each label the largest score with which a photo may have it, by a single model's `scores`: `sets.plausible`
    in other words. None: any score will do."""
    everything = sorted(score for (part,) in scores.values() for score in part)
    found: dict[str, float | None] = {}
    for label, (part,) in scores.items():
        known = part if len(part) >= sets.LEAST else everything
        rank = math.ceil(round(coverage * (1 + len(known)), 9)) - 1
        found[label] = known[rank] if rank < len(known) else None
    return found


def _unlike(model: Model) -> dict[str, Any]:
    """The file of the reference photos' features, how they are compared, and the distances that percentages are of."""
    assert model.reference is not None
    reference, backbone = model.reference
    return {
        "file": REFERENCE,
        "network": backbone.record["network"],
        "shape": list(reference.rows.shape),
        "neighbour": reference.k,
        "own": reference.own.tolist(),
        "none_above": NONE_ABOVE,
    }
