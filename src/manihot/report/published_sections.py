"""The sections that weigh the published study: its numbers, its conclusions, its protocol's switches."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from manihot import figures
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
SWITCH_PARTS = {"validation": "out of fold", "test": "test", "test_as_found": "test as found"}
MEMORY = "Memory grows linearly with the batch, most of it activations; frozen backbones need little."
NOT_RUN = "not run in this study"
STRAIGHT = 0.1  # a line fits that leaves no point further off than this share of the rise


def published(results: Results) -> dict[str, Any] | None:
    """The published numbers beside the measured ones, a table each of the study's tables, and how many differ."""
    table = results.table("scores/published.csv")
    if table is None:
        return None
    return {"tables": [_numbers(name, rows) for name, rows in table.groupby("table", sort=False)], **_counts(table)}


def _counts(rows: pd.DataFrame) -> dict[str, int]:
    """How many numbers there are, how many could be compared, and how many of these differ."""
    judged = rows[rows["differs"].notna() & rows["difference_low"].notna()]
    differ = int((judged["differs"].astype(str) == "True").sum())
    return {"numbers": len(rows), "compared": len(judged), "differ": differ, "by_chance": round(0.05 * len(judged))}


def _numbers(name: str, rows: pd.DataFrame) -> dict[str, Any]:
    """One of the study's tables; what was not run is only named."""
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
    """The study's conclusions with their evidence, memory weighed here, and what balanced training is worth."""
    content = results.json("scores/conclusions.json")
    if content is None:
        return None
    measured = memory(results, study)
    weighed = sorted([*content["conclusions"], weigh_memory(measured)], key=lambda entry: entry["number"])
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
        "memory_figure": chart(plotted) if (plotted := figures.memory(measured)) else None,
    }


def _balancing(rows: Sequence[Mapping[str, Any]]) -> Table | None:
    titles = ("Balanced", "As found", "On", "Accuracy: difference [95\u00a0%]", "Photos", "They also differ in")
    text = ("Balanced", "As found", "On", "They also differ in")
    shown = Table("balancing", "Training photos balanced against as found, paired", columns(*titles, text=text))
    for row in rows:
        shown.add(
            Cell(row["model"], link=f"model-{row['model']}"),
            Cell(row["based_on"], link=f"model-{row['based_on']}"),
            SWITCH_PARTS[row["part"]],
            _difference(row["value"], row["low"], row["high"]),
            count(row["n"]),
            Cell(", ".join(row["besides"]) or "nothing", prose=True),
        )
    return shown if shown.rows else None


def memory(results: Results, study: Mapping[str, Any]) -> pd.DataFrame:
    """Peak memory (largest job) by what ran, network, size, photos, device and batch, in MB."""
    ran = {
        "train_fold": ("training", study.get("experiments", {})),
        "check_overfit": ("training", study.get("overfit", {})),
        "extract_features": ("features", study.get("backbones", {})),
    }
    rows = []
    for (stage, name), costs in results.costs.groupby(["stage", "name"]):
        what, entries = ran.get(stage, ("", {}))
        if name in entries:
            entry = entries[name]
            keys = {key: entry.get(key) for key in ("network", "size", "batch_size")}
            photos = entry.get("photos") or entry.get("train_photos")
            what = "frozen, trained" if entry.get("frozen") else what
            device = costs["device"].iloc[0]
            rows.append({"what": what, **keys, "photos": photos, "device": device, "mb": costs["peak_memory_mb"].max()})
    names = ["what", "network", "size", "photos", "device", "batch_size"]
    table = pd.DataFrame(rows, columns=[*names, "mb"])
    return table.groupby(names, dropna=False, as_index=False)["mb"].max()


def weigh_memory(measured: pd.DataFrame) -> dict[str, Any]:
    """The study's second conclusion, on the memory of a GPU where there is one."""
    gpu = measured[measured["device"] != "cpu"]
    lines = {
        names: rows.sort_values("batch_size")
        for names, rows in gpu[gpu["what"] == "training"].groupby(["network", "size", "photos"], dropna=False)
        if len(rows) > 2
    }
    said, judged, values = [], [], []
    for (network, size, _), rows in lines.items():
        batch, mb = rows["batch_size"].to_numpy(float), rows["mb"].to_numpy(float)
        slope, start = np.polyfit(batch, mb, 1)
        off = np.abs(mb - start - slope * batch).max() / max(np.ptp(mb), 1e-9)
        grows = slope * batch[-1] / mb[-1]
        judged.append("for" if slope > 0 and off <= STRAIGHT and grows > 0.5 else "against")
        said.append(
            f"{network} at {size} px takes {slope:.1f} MB a photo of the batch and {start:,.0f} MB besides (batches of "
            f"{batch[0]:.0f} to {batch[-1]:.0f}, at most {100 * off:.0f} % of the rise off the line)"
        )
        values.append(
            {"what": f"{network}, {size} px: MB a photo of the batch", "value": slope, "low": None, "high": None}
        )
    frozen, trained = (gpu.loc[chosen, "mb"] for chosen in (gpu["what"] != "training", gpu["what"] == "training"))
    if len(frozen) and len(trained):
        judged.append("for" if frozen.max() < trained.max() else "against")
        said.append(f"frozen backbones take at most {frozen.max():,.0f} MB, training at most {trained.max():,.0f} MB")
    # It says three things: one that is not so is enough.
    verdict = "cannot tell" if not lines else "against" if "against" in judged else "for"
    evidence = f"On the GPU, {'; '.join(said)}." if said else ""
    if not lines:
        evidence += (
            " It needs a network trained at three or more batch sizes on a GPU; on a processor the peak is that "
        )
        evidence += "of the whole process, photos and program included."
    return {"number": 2, "statement": MEMORY, "verdict": verdict, "evidence": evidence.strip(), "values": values}


def _memory_table(measured: pd.DataFrame) -> Table | None:
    titles = ("What ran", "Network", "Pixels", "Photos", "Batch", "Peak memory, MB", "Device")
    shown = Table("memory", "Largest peak of a job", columns(*titles, text=("What ran", "Network", "Device")))
    for row in measured.to_dict("records"):
        numbers = (count(row[key]) for key in ("size", "photos", "batch_size", "mb"))
        shown.add(row["what"], str(row["network"]), *numbers, row["device"])
    return shown if shown.rows else None


def switches(results: Results) -> Table | None:
    """What each switch of the protocol is worth."""
    table = results.table("scores/switches.csv")
    if table is None or table.empty:
        return None
    titles = (
        "Row", "Switch", "Model", "Based on", "On", "Accuracy: with", "Accuracy: without",
        "Accuracy: difference [95\u00a0%]", "Seeds", "What this cannot show",
    )  # fmt: skip
    text = ("Row", "Switch", "Model", "Based on", "On", "What this cannot show")
    shown = Table("switches", "Each switch of the protocol, one at a time", columns(*titles, text=text))
    for row in table.to_dict("records"):
        shown.add(
            str(row["protocol_row"]),
            row["switch"],
            Cell(row["model"], link=f"model-{row['model']}"),
            row["based_on"],
            SWITCH_PARTS[row["part"]],
            number(row["model_value"]),
            number(row["based_on_value"]),
            _difference(row["difference"], row["low"], row["high"]),
            count(row["seeds"]),
            Cell("" if pd.isna(row["remark"]) else row["remark"], prose=True),
        )
    return shown
