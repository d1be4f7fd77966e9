"""The sections that set models side by side."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from manihot.core.classes import class_title
from manihot.core.names import PART_TITLES
from manihot.core.tables import probabilities
from manihot.figures import plots
from manihot.report.results import Results
from manihot.report.tables import (
    ABSENT,
    Cell,
    Column,
    Table,
    columns,
    count,
    interval,
    number,
    p_value,
    seconds,
    signed,
)

Model = Mapping[str, Any]
SHOWN = ("test", "validation", "test_as_found")  # parts, the one that is read first before the others
KINDS = {
    "network": "network",
    "tta": "network, TTA",
    "head": "linear head",
    "boosting": "XGBoost",
    "baseline": "majority class",
    "fold": "one fold",
    "corrected": "corrected for class shares",
    "calibrated": "corrected and calibrated",
}
SOURCES = {"none": "untrained", "imagenet": "ImageNet", "package": "ImageNet"}  # of weights
HINTS = {
    "Choosing": "models are chosen by that of their calibrated answers, never by the test",
    "Overfit": "balanced accuracy of each fold's model on its training photos minus that on its held-out ones, mean",
}


class Scores:
    """`summary.csv`, looked up by model and part."""

    def __init__(self, summary: pd.DataFrame | None):
        self.table = pd.DataFrame(columns=["model", "kind", "part"]) if summary is None else summary
        self._rows = {(row["model"], row["part"]): row for row in self.table.to_dict("records")}

    def value(self, model: str, part: str, measure: str) -> float | None:
        """One number, None where it is not known."""
        return self._rows.get((model, part), {}).get(measure)

    def accuracy(self, model: str, part: str) -> Cell:
        """Accuracy with its interval."""
        return interval(*(self.value(model, part, f"accuracy{end}") for end in ("", "_low", "_high")))

    def has(self, model: str) -> bool:
        """Whether the model has been scored."""
        return any(name == model for name, _ in self._rows)


def all_models(scores: Scores, models: Iterable[Model], badges: Mapping[str, str]) -> Table:
    """One row a model (folds and baselines too): out of fold, both tests, overfit, parameters; `badges` by model."""
    known = {model["name"]: model for model in models}
    shown = Table("models", "All models")
    shown.columns = [
        Column("Model", False),
        Column("Kind", False),
        Column("Family", False),
        Column("Out of fold: balanced accuracy", hint=HINTS["Choosing"]),
        Column("Out of fold: log loss"),
        Column("Test: accuracy [95\u00a0%]"),
        Column("Test: balanced accuracy"),
        Column("Test: macro F1"),
        Column("Test: log loss"),
        Column("As found: accuracy [95\u00a0%]"),
        Column("As found: balanced accuracy"),
        Column("Train − out of fold", hint=HINTS["Overfit"]),
        Column("Parameters"),
    ]
    for name, rows in scores.table.groupby("model", sort=False):
        kind = rows["kind"].iloc[0]
        model = known.get(name) or known.get(name.split("/")[0], {})
        family = "" if kind == "baseline" else model.get("family", "")
        # The answers that a model is chosen by, and quoted for, have its badge too.
        badge = badges.get(name.removesuffix("/calibrated"))
        shown.add(
            Cell(name, link=f"model-{name}" if name in known else None, badge=badge),
            KINDS.get(kind, kind),
            family,
            number(scores.value(name, "validation", "balanced_accuracy")),
            number(scores.value(name, "validation", "log_loss")),
            scores.accuracy(name, "test"),
            *(number(scores.value(name, "test", measure)) for measure in ("balanced_accuracy", "macro_f1", "log_loss")),
            scores.accuracy(name, "test_as_found"),
            number(scores.value(name, "test_as_found", "balanced_accuracy")),
            signed(_overfit(scores, name, model.get("folds", ()))),
            count(scores.value(name, "test", "parameters")),
            tags=f"chosen {kind}" if badge == "chosen" else kind,
        )
    return shown


def _overfit(scores: Scores, name: str, folds: Sequence[int]) -> float | None:
    """How far a model overfits, fold model by fold model: an ensemble on all photos would be another thing."""
    fitted = [f"{name}/fold{fold}" for fold in folds] if len(folds) > 1 and "/" not in name else [name]
    gaps = []
    for single in fitted:
        train, held_out = (scores.value(single, part, "balanced_accuracy") for part in ("train", "validation"))
        if train is None or held_out is None:
            return None
        gaps.append(train - held_out)
    return sum(gaps) / len(gaps)


def models_chart(results: Results) -> dict[str, Any] | None:
    """The tests of every model as a chart."""
    summary = results.table("summary.csv")
    return None if summary is None else results.figure("summary/models.svg", plots.models(summary))


def comparisons_chart(results: Results) -> dict[str, Any] | None:
    """The paired comparisons as a chart."""
    table = results.table("scores/comparisons.csv")
    return None if table is None else results.figure("summary/comparisons.svg", plots.comparisons(table))


def compared(table: pd.DataFrame | None, margin: float) -> list[Table]:
    """The paired comparisons, a table a part and a row a pair, each with its meaning in words.

    `margin` is the study's, in points of accuracy.
    """
    tables = []
    for part in SHOWN:
        rows = None if table is None else table[table["part"] == part]
        if rows is None or rows.empty:
            continue
        shown = Table(f"comparisons-{part}", f"Paired comparisons, {PART_TITLES[part]}")
        shown.columns = columns(
            "Model", "Based on", "Family", "Accuracy: difference [95\u00a0%]", "Accuracy: p",
            "Accuracy: Holm p", "Accuracy: in words", "Right alone: model", "Right alone: based on",
            "Other differences: balanced accuracy [95\u00a0%]", "Other differences: log loss [95\u00a0%]",
            "Photos", "Seeds", "Folds", text=("Model", "Based on", "Family", "Accuracy: in words"),
        )  # fmt: skip
        for (name, based_on), pair in rows.groupby(["model", "based_on"], sort=False):
            by_metric = pair.set_index("metric").to_dict("index")
            row = by_metric["accuracy"]
            shown.add(
                Cell(name, link=f"model-{name}"),
                based_on,
                row["family"],
                _change(row),
                p_value(row["p"]),
                p_value(row["p_holm"]),
                Cell(in_words(row, margin), prose=True),
                number(row["only_model_right"], 0),
                number(row["only_based_on_right"], 0),
                *(_change(by_metric[metric]) for metric in ("balanced_accuracy", "log_loss")),
                count(row["n"]),
                count(row["seeds"]),
                count(row["folds"] or None),
            )
        tables.append(shown)
    return tables


def _change(row: Mapping[str, Any]) -> Cell:
    ends = f"{row['low']:+.3f} to {row['high']:+.3f}".replace("-", "−")
    return Cell(signed(row["difference"]).text, row["difference"], note=ends)


def in_words(row: Mapping[str, Any], margin: float) -> str:
    """What a comparison of accuracies shows, and what it does not; `margin` is in points.

    Of what it speaks: with folds of the settings at this number of training photos, with several seeds of the
    settings, else of the trained models at hand. Two folds tell hardly anything, whatever they show.
    """
    return _shown(row, margin) + ("; two folds tell hardly anything" if row["folds"] == 2 else "")


def _shown(row: Mapping[str, Any], margin: float) -> str:
    if row["equivalent"] == 1:
        return f"no difference that matters: inside ±{margin:g} points"
    points = f"{abs(100 * row['difference']):.1f} points {'better' if row['difference'] > 0 else 'worse'}"
    if row["low"] == row["high"] == 0:
        return f"cannot tell: right on the same photos, but {row['n']:,.0f} are too few to say more"
    if row["low"] <= 0 <= row["high"]:
        worst, best = abs(100 * row["low"]), 100 * row["high"]
        return f"cannot tell: from {worst:.1f} points worse to {best:.1f} better"
    if row["p_holm"] < 0.05:
        if row["folds"] > 0:
            return f"{points}: these settings, at this number of training photos"
        # One seed a side: other models of the same settings were not seen.
        return f"{points}; chance would rarely do that" if row["seeds"] > 1 else f"{points}: these two trained models"
    if row["p"] < 0.05:
        return f"{points}, but chance may, among all of the family's comparisons"
    return f"{points}, but chance may do that (p = {row['p']:.2f})"


def augmented(results: Results, scores: Scores, models: Iterable[Model]) -> list[dict[str, Any]]:
    """Each model with views averaged beside the same model without."""
    pairs = []
    for model in models:
        if model["kind"] != "tta":
            continue
        names = [model["based_on"], model["name"]]
        shown = Table(
            f"tta-{model['name']}",
            f"{model['name']} beside {model['based_on']}",
            columns(
                "Model",
                "Out of fold: accuracy [95\u00a0%]",
                "Test: accuracy [95\u00a0%]",
                "Test: log loss",
                "As found: accuracy [95\u00a0%]",
                text=("Model",),
            ),
        )
        for name in names:
            accuracies = {part: scores.accuracy(name, part) for part in SHOWN}
            shown.add(
                Cell(name, link=f"model-{name}"),
                accuracies["validation"],
                accuracies["test"],
                number(scores.value(name, "test", "log_loss")),
                accuracies["test_as_found"],
            )
        matrices = [matrix(results, results.split_record(model["split"]), name, "test") for name in names]
        pairs.append({"table": shown, "matrices": [entry for entry in matrices if entry]})
    return pairs


def matrix(results: Results, record: Mapping[str, Any] | None, model: str, part: str) -> dict[str, Any] | None:
    """A confusion matrix as a small table: counts, and the row share that shades each cell."""
    score = results.score(model, part)
    if score is None or record is None:
        return None
    counts = np.asarray(score["confusion"], dtype=int)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    titles = [class_title(entry["label"], entry["name"]) for entry in record["classes"]]
    rows = [
        {
            "title": title,
            "cells": [{"count": int(n), "share": round(float(s), 2)} for n, s in zip(row, share, strict=True)],
        }
        for title, row, share in zip(titles, counts, shares, strict=True)
    ]
    return {
        "title": model,
        "classes": titles,
        "rows": rows,
        "right": int(np.trace(counts)),
        "photos": int(counts.sum()),
    }


def joined(study: Mapping[str, Any], backbone: str) -> dict[str, Mapping[str, Any]]:
    """The settings of the frozen networks whose features a backbone's are: itself, or those that it joins."""
    known = study.get("backbones", {})
    return {name: known.get(name, {}) for name in known.get(backbone, {}).get("join", [backbone])}


def backbones(results: Results, scores: Scores, models: Iterable[Model], study: Mapping[str, Any]) -> Table | None:
    """The frozen backbones: heads on stored features, and experiments that ran the backbone in every epoch."""
    experiments = study.get("experiments", {})
    frozen = [
        model
        for model in models
        if model["kind"] == "head" or (model["kind"] == "network" and experiments[model["experiment"]].get("frozen"))
    ]
    if not frozen:
        return None
    titles = (
        "Backbone", "Weights", "Pixels", "Parameters", "Trainable", "Out of fold: log loss",
        "Out of fold: accuracy [95\u00a0%]",
        "Test: log loss", "Test: accuracy [95\u00a0%]", "Right", "Wrong", "Only it is right",
        "Time: decode", "Time: forward", "Time: fit",
    )  # fmt: skip
    shown = Table("backbones", "Frozen backbones", columns(*titles, text=("Backbone", "Weights")))
    alone = _alone(results, frozen)
    for model in frozen:
        name, fold = model["name"], f"fold{model['folds'][0]}"
        head = model["kind"] == "head"
        seen = joined(study, model["backbone"]) if head else {name: experiments[model["experiment"]]}
        record = results.json(f"models/{name}/{fold}/model.json") or {}
        score = results.score(name, "test")
        right = None if score is None else int(np.trace(np.asarray(score["confusion"])))
        networks = [str(entry.get("network", name)) for entry in seen.values()]
        sources = dict.fromkeys(str(entry.get("weights", ABSENT)) for entry in seen.values())
        sizes = list(dict.fromkeys(entry.get("size", 0) for entry in seen.values()))
        shown.add(
            Cell(networks[0] if len(seen) == 1 else " + ".join(seen), link=f"model-{name}"),
            " + ".join(dict.fromkeys(SOURCES.get(source, source) for source in sources)),
            count(sizes[0]) if len(sizes) == 1 else Cell(" + ".join(map(str, sizes)), max(sizes)),
            count(record.get("parameters")),
            count(record.get("trainable")),
            number(scores.value(name, "validation", "log_loss")),
            scores.accuracy(name, "validation"),
            number(scores.value(name, "test", "log_loss")),
            scores.accuracy(name, "test"),
            count(right),
            count(None if score is None or right is None else score["n"] - right),
            count(alone.get(name)),
            *_run_time(results, study, model, seen),
        )
    return shown


def _rounds(results: Results, model: Model, entry: Mapping[str, Any]) -> str | Cell:
    """How many rounds the folds of a booster have: as many as it was told, or the fewest and the most."""
    records = (results.json(f"models/{model['name']}/fold{fold}/model.json") for fold in model["folds"])
    chosen = [record["tuned"]["rounds"] for record in records if record and "tuned" in record]
    if not chosen:
        return count(entry.get("n_estimators"))
    low, high = min(chosen), max(chosen)
    return count(low) if low == high else f"{low:,} to {high:,}"


def _run_time(
    results: Results, study: Mapping[str, Any], model: Model, seen: Mapping[str, Mapping[str, Any]]
) -> list[Cell]:
    """Time to decode the photos, to run the backbone over them, and to fit (an experiment runs it in every epoch)."""
    dataset = study.get("splits", {}).get(model["split"], {}).get("dataset")
    jobs = {
        "cache_pixels": {f"{dataset}_{entry.get('size')}px" for entry in seen.values()},
        "extract_features": set(seen) if model["backbone"] else set(),
        "fit_head" if model["backbone"] else "train_fold": {model["name"]},
    }
    stages, names, spent = (results.costs[key] for key in ("stage", "name", "seconds"))
    return [seconds(spent[(stages == stage) & names.isin(asked)].sum() or None) for stage, asked in jobs.items()]


def _alone(results: Results, heads: Iterable[Model]) -> dict[str, int]:
    """For each frozen backbone, the test photos that it alone of those on its split gets right."""
    by_split: dict[str, dict[str, pd.Series]] = {}
    for model in heads:
        table, record = results.predictions(model["name"], "test"), results.split_record(model["split"])
        if table is not None and record is not None and len(table):
            labels = np.array([entry["label"] for entry in record["classes"]])
            predicted = labels[probabilities(table, len(labels)).argmax(axis=1)]
            right = pd.Series(
                predicted == table["label"], index=pd.MultiIndex.from_frame(table[["dataset", "image_id"]])
            )
            by_split.setdefault(model["split"], {})[model["name"]] = right
    alone: dict[str, int] = {}
    for rights in by_split.values():
        together = pd.DataFrame(rights)
        if len(rights) > 1:
            alone |= {name: int((together[name] & (together.sum(axis=1) == 1)).sum()) for name in rights}
    return alone


def _fitted_on(folds: Sequence[int]) -> str:
    if list(folds) == [0]:
        return "all training photos"
    return "1 fold" if len(folds) == 1 else f"{len(folds)} folds"


def boosters(
    results: Results, scores: Scores, models: Iterable[Model], study: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The XGBoost settings and their confusion matrices on the test."""
    fitted = [model for model in models if model["kind"] == "boosting"]
    if not fitted:
        return None
    titles = (
        "Setting", "Features of", "Fitted on", "Trees", "Depth", "Learning rate", "Train: accuracy",
        "Out of fold: accuracy [95\u00a0%]",
        "Test: accuracy [95\u00a0%]", "As found: accuracy [95\u00a0%]", "Time",
    )  # fmt: skip
    shown = Table(
        "boosting",
        "XGBoost on the features of a frozen backbone",
        columns(*titles, text=("Setting", "Features of", "Fitted on")),
    )
    for model in fitted:
        name = model["name"]
        entry = study.get("boosting", {}).get(name) or study.get("boosting", {}).get(name.removesuffix("_refit"), {})
        costs, parts = results.costs, joined(study, model["backbone"])
        spent = costs.loc[
            (costs["name"] == name) & costs["stage"].isin(("fit_booster", "predict_booster")), "seconds"
        ].sum()
        shown.add(
            Cell(name, link=f"model-{name}"),
            model["backbone"] if len(parts) == 1 else f"{model['backbone']} ({' + '.join(parts)})",
            _fitted_on(model["folds"]),
            _rounds(results, model, entry),
            count(entry.get("max_depth")),
            Cell(f"{entry.get('learning_rate', ABSENT)}"),
            number(scores.value(name, "train", "accuracy")),
            *(scores.accuracy(name, part) for part in ("validation", "test", "test_as_found")),
            seconds(spent or None),
        )
    matrices = [matrix(results, results.split_record(model["split"]), model["name"], "test") for model in fitted]
    return {"table": shown, "matrices": [entry for entry in matrices if entry]}
