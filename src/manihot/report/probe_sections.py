"""The section that asks whether a model could cheat: what facts that are no plant tell, and photos without a middle."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from manihot.figures import plots
from manihot.report.results import Results
from manihot.report.tables import Cell, Column, Table, count, interval, number, p_value

Model = Mapping[str, Any]
# Models that stand beside the probes: the best out of fold.
LISTED = 6
# How far above guessing, as a share, facts must lie to be worth a closer look.
NOTABLE = 0.05
FACTS, MASKED, WHOLE = "facts about the files alone", "photos without their middle", "the same head, whole photos"


def probes(results: Results, models: Sequence[Model], study: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the probes found in each split that models are fitted on, or what is missing."""
    splits = dict.fromkeys(model["split"] for model in models)
    return [_split(results, split, [model for model in models if model["split"] == split], study) for split in splits]


def _split(results: Results, name: str, models: Sequence[Model], study: Mapping[str, Any]) -> dict[str, Any]:
    folder, record = f"scores/probes/{name}", results.split_record(name)
    found, masked = (results.json(f"{folder}/{probe}.json") for probe in ("facts", "masked"))
    if found is None or record is None:
        return {"name": name, "missing": f"what facts about the files tell in the split {name}"}
    asked = study.get("probes", {}).get("masked", True) and any(model["kind"] == "head" for model in models)
    masked = masked if masked and masked["n"] else None
    guessing = 1 / len(record["classes"])
    beside = _beside(results, found["score"], models)
    rows = _rows(found["score"], masked, beside)
    told = [entry["sentence"] for entry in found["facts"] if entry["sentence"]]
    stands_out = bool(told) or _is_notable(found["score"], guessing)
    chart = plots.probes(pd.DataFrame(rows, columns=["name", "value", "low", "high", "hint"]), guessing, name)
    return {
        "name": name,
        "stands_out": stands_out,
        "headline": _headline(found["score"], guessing, beside, stands_out),
        "told": told,
        "new_class": record["new_class"],
        "without": [entry["title"] for entry in found["facts"] if entry["key"] in found["without"]],
        "masked": None if masked is None else _masked_in_words(masked, guessing),
        "masked_missing": asked and not (results.folder / folder / "masked.json").is_file(),
        "masked_asked": asked,
        "figure": results.figure(f"probes/{name}.svg", chart),
        "facts": _facts_table(found, name),
        "alike": found["alike"],
        "unknown": found["unknown"],
        "models": _models_table(found["score"], masked, beside, name),
    }


def _is_notable(scored: Mapping[str, Any] | None, guessing: float) -> bool:
    if scored is None:
        return False
    reached = scored["metrics"]["balanced_accuracy"]
    return bool(reached["low"] > guessing and reached["value"] >= guessing + NOTABLE)


def _beside(
    results: Results, scored: Mapping[str, Any] | None, models: Iterable[Model]
) -> list[tuple[str, Mapping[str, Any]]]:
    """The best models out of fold, of those that were validated on the photos of the probe and trained on no tested
    ones (`leak`)."""
    fair = [model["name"] for model in models if not model["leak"]]
    records = {name: results.score(name, "validation") for name in fair}
    # The calibrated answers are those by which a model is chosen.
    found: list[tuple[str, Mapping[str, Any]]] = [
        (name, {"n": record["n"], **record["answers"]["calibrated"]})
        for name, record in records.items()
        if record and (scored is None or record["photos"] == scored["photos"])
    ]
    return sorted(found, key=lambda entry: -entry[1]["metrics"]["balanced_accuracy"]["value"])[:LISTED]


def _rows(
    scored: Mapping[str, Any] | None,
    masked: Mapping[str, Any] | None,
    beside: Iterable[tuple[str, Mapping[str, Any]]],
) -> list[dict[str, Any]]:
    """What the chart shows, a row a probe or model."""
    rows = [] if scored is None else [{"name": FACTS, "hint": True, **scored["metrics"]["balanced_accuracy"]}]
    if masked is not None:
        rows.append({"name": MASKED, "hint": True, **masked["masked"]["balanced_accuracy"]})
        rows.append({"name": WHOLE, "hint": False, **masked["whole"]["balanced_accuracy"]})
    return rows + [{"name": name, "hint": False, **entry["metrics"]["balanced_accuracy"]} for name, entry in beside]


def _headline(
    scored: Mapping[str, Any] | None,
    guessing: float,
    beside: Sequence[tuple[str, Mapping[str, Any]]],
    stands_out: bool,
) -> str:
    if scored is None:
        return "Nothing stands out: the photos are alike in all facts about their files."
    best = ""
    if beside:
        name, record = beside[0]
        value = _percent(record["metrics"]["balanced_accuracy"]["value"])
        best = f"; the best model on these photos, {name}, reaches {value}"
    reached = _with_interval(scored["metrics"]["balanced_accuracy"])
    beginning = "Look closer" if stands_out else "Nothing stands out"
    return (
        f"{beginning}: a small classifier that sees no pixel, only facts about the files, reaches {reached} balanced "
        f"accuracy out of fold. Guessing reaches {_percent(guessing)}{best}."
    )


def _masked_in_words(masked: Mapping[str, Any], guessing: float) -> str:
    hidden, whole = (masked[key]["balanced_accuracy"] for key in ("masked", "whole"))
    change = masked["compared"]["balanced_accuracy"]
    said = (
        f"With the middle {100 * masked['area']:.0f}\u00a0% of each photo masked, {masked['head']} reaches "
        f"{_with_interval(hidden)}; fitted and tested on whole photos, {_with_interval(whole)}. The difference is "
        f"{_points(change['difference'])} points [{_points(change['low'])} to {_points(change['high'])}]."
    )
    if whole["value"] < guessing + NOTABLE:
        return said
    if hidden["low"] <= guessing:
        return f"{said} Without the middle it is not clearly better than guessing ({_percent(guessing)})."
    if change["high"] >= 0:
        return f"{said} What the middle adds cannot be told apart from chance."
    gain = whole["value"] - guessing
    share, low, high = (100 * max(0, 1 + change[end] / gain) for end in ("difference", "low", "high"))
    return (
        f"{said} So the part around the middle alone gives about {share:.0f}\u00a0% [{low:.0f}–{high:.0f}] of what "
        "whole photos gain over guessing."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\u00a0%"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")


def _with_interval(measured: Mapping[str, float]) -> str:
    return f"{_percent(measured['value'])} [{100 * measured['low']:.1f}–{100 * measured['high']:.1f}]"


def _facts_table(found: Mapping[str, Any], split: str) -> Table:
    shown = Table(f"facts-{split}", f"What each fact tells of the label, {found['photos']:,} photos of the pool")
    shown.columns = [
        Column("Fact", False),
        Column("Values", hint="different values among the photos"),
        Column("Tells of the label, %", hint="0: what chance gives; 100: the label follows from it"),
        Column("Chance seems to tell, %", hint="taken off: what a fact with as many values seems to tell by chance"),
        Column("p", hint="how often chance gives as much"),
    ]
    for entry in found["facts"]:
        shown.add(
            entry["title"],
            count(entry["values"]),
            number(100 * max(0.0, entry["share"]), 1),
            number(100 * entry["by_chance"], 1),
            p_value(entry["p"]),
        )
    return shown


def _models_table(
    scored: Mapping[str, Any] | None,
    masked: Mapping[str, Any] | None,
    beside: Iterable[tuple[str, Mapping[str, Any]]],
    split: str,
) -> Table:
    shown = Table(f"probes-{split}", "Out of fold, beside models that see the photos")
    shown.columns = [
        Column("What it sees, or model", False),
        Column("Balanced accuracy [95\u00a0%]"),
        Column("Accuracy [95\u00a0%]"),
        Column("Photos"),
    ]

    def add(name: str | Cell, metrics: Mapping[str, Any], photos: int, tags: str = "") -> None:
        ends = ("value", "low", "high")
        cells = (interval(*(metrics[key][end] for end in ends)) for key in ("balanced_accuracy", "accuracy"))
        shown.add(name, *cells, count(photos), tags=tags)

    if scored is not None:
        add(FACTS, scored["metrics"], scored["n"])
    if masked is not None:
        add(MASKED, masked["masked"], masked["n"])
        add(WHOLE, masked["whole"], masked["n"])
    for name, record in beside:
        add(Cell(name, link=f"model-{name}"), record["metrics"], record["n"])
    if scored is not None and scored["baseline"]:
        add("majority class", scored["baseline"], scored["n"], "baseline")
    return shown
