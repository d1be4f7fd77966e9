"""The sections that weigh the paper: its numbers, its conclusions, its protocol's switches."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from manihot.core.names import PART_TITLES
from manihot.figures import plots
from manihot.published import memory, paper
from manihot.report.results import Results, chart
from manihot.report.tables import ABSENT, Cell, Column, Table, columns, count, number

TABLES = {
    "experiments": "Ensembles of small networks on the test",
    "epochs": "Last epoch of their training, mean of the folds",
    "backbones": "Frozen ImageNet backbones",
    "xgboost": "XGBoost on EfficientNet-B0's features",
    "confusions": "Recall of each class, from the printed confusion matrices",
    "hardware": "What it observed of memory, use and time",
}
NOT_RUN = "not run in this study"
# Published against corrected, row by row; `paper.ROWS` counts them from 1.
PROTOCOL = [
    (
        "Training photos",
        "drawn from all photos, the test photos among them",
        "test photos and their near-duplicates are set aside first",
    ),
    ("Duplicates", "ignored", "a group of near-duplicates never straddles training, validation and test"),
    (
        "New class",
        "in every fold's training part, also where it is validated on",
        "folded like every other class",
    ),
    (
        "Pixels for ImageNet networks",
        "0 to 1, no mean and standard deviation",
        "the weights' own normalisation",
    ),
    ("Frozen networks", "train mode: batch norm statistics drift, dropout acts", "eval mode"),
    (
        "Choosing settings",
        "on the one test set, without intervals",
        "on out-of-fold predictions; intervals and paired tests",
    ),
    ("Random steps", "mostly unseeded", "every one derives from the study's seed"),
    ("Folds", "plain", "stratified, groups whole"),
    ("Flips", "also on the validation photos of the backbones", "only in training"),
    ("Tests", "balanced only", "balanced, and as found"),
    ("Identity of a photo", "its file name", "data set and file name"),
    ("Telling photos", "from the first test batch", "from the whole test"),
    ("XGBoost", "fitted on 80 % of the pool", "the same, and refitted on the whole pool"),
    ("New and old classes", "one accuracy", "scored apart"),
]


def published(results: Results) -> dict[str, Any] | None:
    """The published numbers beside the measured ones, a table each of the paper's tables, and how many differ."""
    table = results.table("published/numbers.csv")
    if table is None:
        return None
    return {"tables": [_numbers(name, rows) for name, rows in table.groupby("table", sort=False)], **_counts(table)}


def _counts(rows: pd.DataFrame) -> dict[str, int]:
    """How many numbers there are, how many could be compared, and how many of these differ."""
    judged = rows[rows["differs"].notna() & rows["difference_low"].notna()]
    differ = int((judged["differs"].astype(str) == "True").sum())
    return {"numbers": len(rows), "compared": len(judged), "differ": differ, "by_chance": round(0.05 * len(judged))}


def _numbers(name: str, rows: pd.DataFrame) -> dict[str, Any]:
    """One of the paper's tables; what was not run is only named."""
    titles = ("Row", "Published", "Measured [95\u00a0%]", "Difference [95\u00a0%]", "Verdict", "Remark")
    shown = Table(f"published-{name}", TABLES.get(name, name), columns(*titles, text=("Row", "Verdict", "Remark")))
    one = rows["quantity"].nunique() == 1
    not_run = rows.loc[rows["remark"] == NOT_RUN, "row"].unique()
    for row in rows[~rows["row"].isin(not_run)].to_dict("records"):
        differs = {"True": "differs", "False": "agrees"}.get(str(row["differs"]), ABSENT)
        shown.add(
            row["row"] if one else f"{row['row']}: {row['quantity']}",
            _number(row["published"]),
            _number(row["measured"], row["low"], row["high"]),
            _difference(row["difference"], row["difference_low"], row["difference_high"]),
            differs,
            Cell("" if pd.isna(row["remark"]) else row["remark"], prose=True),
            tags=differs if differs == "differs" else "",
        )
    return {"table": shown, "not_run": list(not_run), **_counts(rows)}


def _number(value: float, low: float = np.nan, high: float = np.nan) -> Cell:
    """A number with its interval: shares and losses with three decimals, counts and seconds with four digits."""
    if pd.isna(value):
        return Cell(ABSENT)
    digits = ".3f" if abs(value) < 20 else ".4g"
    return Cell(f"{value:{digits}}", value, note=None if pd.isna(low) else f"{low:{digits}}–{high:{digits}}")


def _difference(value: float, low: float, high: float) -> Cell:
    if pd.isna(value):
        return Cell(ABSENT)
    digits = "+.3f" if abs(value) < 20 else "+.4g"
    text, *ends = (f"{end:{digits}}".replace("-", "−") for end in (value, low, high))
    return Cell(text, value, note=None if pd.isna(low) else " to ".join(ends))


def conclusions(results: Results, study: Mapping[str, Any]) -> dict[str, Any] | None:
    """The paper's conclusions with their evidence, that on memory among them, and what balanced training is worth."""
    content = results.json("published/conclusions.json")
    if content is None:
        return None
    measured = memory.memory(results.costs, study)
    second = memory.weigh_memory(measured)
    weighed = sorted([*content["conclusions"], second], key=lambda entry: entry["number"])
    values = Table("conclusion-values", "What the verdicts rest on", [Column("No."), Column("What", False)])
    values.columns += columns("Value [95\u00a0%]")
    for entry in weighed:
        for value in entry["values"]:
            ends = (np.nan if value[key] is None else value[key] for key in ("value", "low", "high"))
            values.add(count(entry["number"]), Cell(value["what"], prose=True), _difference(*ends))
    return {
        "weighed": weighed,
        "values": values,
        "balancing": _balancing(content["balancing"]),
        "memory": _memory_table(measured),
        "memory_figure": chart(plotted) if (plotted := plots.memory(measured)) else None,
    }


def _balancing(rows: Sequence[Mapping[str, Any]]) -> Table | None:
    titles = (
        "Balanced",
        "As found",
        "Answers",
        "On",
        "Accuracy: difference [95\u00a0%]",
        "Photos",
        "They also differ in",
    )
    text = ("Balanced", "As found", "Answers", "On", "They also differ in")
    shown = Table("balancing", "Training photos balanced against as found, paired", columns(*titles, text=text))
    for row in rows:
        shown.add(
            Cell(row["model"], link=f"model-{row['model']}"),
            Cell(row["based_on"], link=f"model-{row['based_on']}"),
            {"own": "their own", "corrected": "corrected for the class shares of training"}[row["answers"]],
            PART_TITLES[row["part"]],
            _difference(row["value"], row["low"], row["high"]),
            count(row["n"]),
            Cell(", ".join(row["besides"]) or "nothing", prose=True),
        )
    return shown if shown.rows else None


def _memory_table(measured: pd.DataFrame) -> Table | None:
    titles = ("What ran", "Network", "Pixels", "Photos", "Batch", "Peak memory, MB", "Device")
    shown = Table("memory", "Largest peak of a job", columns(*titles, text=("What ran", "Network", "Device")))
    for row in measured.to_dict("records"):
        numbers = (count(row[key]) for key in ("size", "photos", "batch_size", "mb"))
        shown.add(row["what"], str(row["network"]), *numbers, row["device"])
    return shown if shown.rows else None


def switches(results: Results, study: Mapping[str, Any]) -> Table | None:
    """What each switch of the protocol is worth; the row of the paper's table only where it is weighed."""
    table = results.table("scores/switches.csv")
    if table is None or table.empty:
        return None
    titles = (
        "Switch", "Model", "Based on", "On", "Accuracy: with", "Accuracy: without",
        "Accuracy: difference [95\u00a0%]", "Seeds", "What this cannot show",
    )  # fmt: skip
    text = ("Switch", "Model", "Based on", "On", "What this cannot show")
    shown = Table("switches", "Each switch of the protocol, one at a time", columns(*titles, text=text))
    if study["published"]:
        shown.columns.insert(0, Column("Row", False))
    for row in table.to_dict("records"):
        places = [", ".join(paper.rows_of(row["keys"]))] if study["published"] else []
        shown.add(
            *places,
            row["switch"],
            Cell(row["model"], link=f"model-{row['model']}"),
            row["based_on"],
            PART_TITLES[row["part"]],
            number(row["model_value"]),
            number(row["based_on_value"]),
            _difference(row["difference"], row["low"], row["high"]),
            count(row["seeds"]),
            Cell("" if pd.isna(row["remark"]) else row["remark"], prose=True),
        )
    return shown


def protocol(study: Mapping[str, Any]) -> Table | None:
    """Where the published and the corrected protocol differ; None where no paper is weighed."""
    if not study["published"]:
        return None
    shown = Table(
        "protocol",
        "The two protocols",
        columns("What", "Published", "Corrected", text=("What", "Published", "Corrected")),
    )
    for row in PROTOCOL:
        shown.add(*row)
    return shown
