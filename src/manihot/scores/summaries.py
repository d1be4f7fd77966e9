"""All models side by side, and the choice among them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, TypeAlias

import pandas as pd

from manihot.core.names import ANSWERS, PARTS
from manihot.scores.outcomes import METRICS

COLUMNS = [
    "model", "kind", "part", "n", "accuracy", "accuracy_low", "accuracy_high",
    "balanced_accuracy", "macro_f1", "log_loss", "parameters",
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
                }
            )
            rows += [
                {
                    "model": f"{model['name']}/{kind}",
                    "kind": kind,
                    "n": record["n"],
                    **common,
                    **_flat(record["answers"][kind]["metrics"]),
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


def select(scores: Scores, models: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """For each family its candidates, the chosen one and the chosen one's test scores, called the estimate.

    Chosen is the best out-of-fold balanced accuracy, in the mean over the repeats with other seeds; a tie is broken by
    the smaller log loss. Candidates are the family's models with out-of-fold predictions, but for repeats; comparable
    are those that were validated on the same photos as most (models of a part of the folds were not) and that were
    not trained on tested photos (`leak`): the estimate of such a model would be of nothing new. A family without
    a comparable candidate has no choice.
    """
    families: dict[str, Any] = {}
    for family in dict.fromkeys(model["family"] for model in models):
        own = [m for m in models if m["family"] == family and scores[m["name"], "validation"]["n"]]
        candidates = [_candidate(model, own, scores) for model in own if not model["repeat"]]
        fair = [candidate for candidate in candidates if not candidate["leak"]]
        usual = Counter((candidate["photos"], candidate["n"]) for candidate in fair)
        if not usual:
            continue
        photos = max(usual, key=lambda key: (usual[key], key[1]))[0]
        for candidate in candidates:
            candidate["comparable"] = candidate.pop("photos") == photos and not candidate["leak"]
        chosen = max(
            (candidate for candidate in candidates if candidate["comparable"]),
            key=lambda candidate: (candidate["mean_balanced_accuracy"], -candidate["mean_log_loss"]),
        )["model"]
        tests = {part: scores[chosen, part] for part in ("test", "test_as_found")}
        estimate = {part: {"n": r["n"], **r["metrics"]} for part, r in tests.items() if r["n"]}
        families[family] = {"candidates": candidates, "chosen": chosen, "estimate": estimate}
    return families


def _setting(model: Mapping[str, Any]) -> str:
    """The first of the models that repeat one setting with other seeds, `balanced` of `balanced_seed2`."""
    return re.sub(rf"_seed{model['repeat'] + 1}(?=_tta$|$)", "", model["name"]) if model["repeat"] else model["name"]


def _candidate(model: Mapping[str, Any], family: Sequence[Mapping[str, Any]], scores: Scores) -> dict[str, Any]:
    repeats = [other["name"] for other in family if _setting(other) == model["name"]]
    record = scores[model["name"], "validation"]
    metrics = ("balanced_accuracy", "log_loss")
    means = {
        f"mean_{metric}": fmean(scores[name, "validation"]["metrics"][metric]["value"] for name in repeats)
        for metric in metrics
    }
    return {
        "model": model["name"],
        "n": record["n"],
        "photos": record["photos"],
        "leak": model["leak"],
        "seeds": len(repeats),
        **{metric: record["metrics"][metric] for metric in metrics},
        **means,
    }


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
                measured = {key: value for key, value in record["baseline"].items() if key != "label"}
                common = {"kind": "baseline", "part": part, "n": record["n"], "parameters": 0}
                rows.append({"model": name, **common, **_flat(measured)})
    return rows
