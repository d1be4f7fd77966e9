"""All models side by side."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import pandas as pd

from manihot.core.names import ANSWERS, PARTS
from manihot.scores.outcomes import METRICS

COLUMNS = [
    "model", "kind", "part", "n", "accuracy", "accuracy_low", "accuracy_high",
    "balanced_accuracy", "macro_f1", "log_loss", "cost", "parameters",
]  # fmt: skip
Scores: TypeAlias = Mapping[tuple[str, str], Mapping[str, Any]]


def summarise(scores: Scores, models: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A row (COLUMNS) for each model and part that has photos, in the order of `models`.

    `scores` has the record of each (model, part): `scores.score` with `kind`, `parameters` and `answers`. A model is
    followed by its answers for other class shares (`balanced/corrected`, kind `corrected`; `calibrated` too), and one
    of several folds by these (`balanced/fold1`, kind `fold`). The baseline (kind `baseline`),
    which always answers the commonest class of the pool, comes last: `majority_class` for the first model's
    split, and `majority_class/{split}` for another.
    """
    rows = []
    for model in models:
        for part in PARTS:
            record = scores[model["name"], part]
            if record["n"] == 0:
                continue
            common = {"part": part, "parameters": record["parameters"]}
            rows.append(
                {
                    "model": model["name"],
                    "kind": record["kind"],
                    "n": record["n"],
                    **common,
                    **_flat(record["metrics"]),
                    "cost": record["cost"]["answer"]["value"],
                }
            )
            rows += [
                {
                    "model": f"{model['name']}/{kind}",
                    "kind": kind,
                    "n": record["n"],
                    **common,
                    **_flat(record["answers"][kind]["metrics"]),
                    "cost": record["answers"][kind]["cost"]["answer"]["value"],
                }
                for kind in ANSWERS
                if part != "train"
            ]
            if len(model["folds"]) > 1:
                rows += [
                    {**fold, "model": f"{model['name']}/fold{fold['fold']}", "kind": "fold", **common}
                    for fold in record["folds"]
                ]
    rows += _baselines(scores, models)
    return pd.DataFrame(rows, columns=COLUMNS).astype({"n": "Int64", "parameters": "Int64"})


def labels(scores: Scores) -> set[str]:
    """The labels of the classes of all scored models."""
    return {entry["label"] for record in scores.values() if record["n"] for entry in record["per_class"]}


def _flat(measured: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    interval = {f"accuracy_{end}": measured["accuracy"][end] for end in ("low", "high")}
    return {name: measured[name]["value"] for name in METRICS if name in measured} | interval


def _baselines(scores: Scores, models: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    splits = list(dict.fromkeys(model["split"] for model in models))
    for split in splits:
        name = "majority_class" if split == splits[0] else f"majority_class/{split}"
        for part in PARTS[1:]:  # what was trained on differs from model to model
            # Any model of the split will do, but a model of some folds has not all of the validation.
            record = max((scores[m["name"], part] for m in models if m["split"] == split), key=lambda r: r["n"])
            if record["n"]:
                baseline = record["baseline"]
                common = {"kind": "baseline", "part": part, "n": record["n"], "parameters": 0}
                rows.append({"model": name, **common, **_flat(baseline), "cost": baseline["cost"]})
    return rows
