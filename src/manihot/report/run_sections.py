"""The sections about the run: what was asked and found, what that does not show, what it cost."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from manihot.core.text import duration
from manihot.figures import plots
from manihot.report.results import Results, chart
from manihot.report.tables import Table, absent, columns, count, number, seconds

STAGES = (
    "measure_speeds", "list_photos", "catalog_shard", "build_catalog", "find_copies", "cache_pixels", "split_photos",
    "sample_photos", "check_overfit", "fetch_weights", "train_fold", "show_augmentation", "predict_fold",
    "extract_features", "draw_reference", "store_activations", "fit_head", "predict_head", "fit_booster",
    "predict_booster", "ensemble_folds", "draw_grad_cams", "score_model", "summarise_scores", "choose_model",
    "compare_models", "compare_published", "weigh_conclusions", "weigh_switches", "probe_facts", "probe_masked",
    "weigh_masked", "fit_fewer_photos", "weigh_more_photos", "map_external", "predict_external", "score_external",
)  # fmt: skip
# Groups in a test below which the percentile intervals of a bootstrap are plainly too narrow (docs/statistics.md).
FEW_GROUPS = 20
COUNTED = {
    "network": "trained",
    "tta": "with views averaged",
    "head": "on a frozen backbone",
    "boosting": "of XGBoost",
}


def overview(results: Results, settings: Mapping[str, Any]) -> dict[str, str]:
    """What was run, at a glance."""
    study, costs = settings["study"], results.costs
    kinds = [model["kind"] for model in settings["models"]]
    sources = (f"{name} ({entry['source']})" for name, entry in settings["datasets"].items())
    shown = {
        "Data": ", ".join(sources),
        "Protocol": settings["protocol"],
        "Seed": str(settings["seed"]),
        "Splits": ", ".join(dict.fromkeys(model["split"] for model in settings["models"])),
        "Models": ", ".join(f"{kinds.count(kind)} {text}" for kind, text in COUNTED.items() if kind in kinds),
        "Intervals": f"95 %, over groups: Wilson's for shares, {study.get('resamples', '')} bootstrap resamples else",
    }
    if not costs.empty:
        shown["Computed on"] = f"{_kinds(costs['device'])}, {_kinds(costs['precision'])}"
        shown["Time of all jobs"] = duration(float(costs["seconds"].sum()))
        shown["Peak memory of a job"] = f"{costs['peak_memory_mb'].max():,.0f} MB"
    return shown


def limits(settings: Mapping[str, Any], said: list[dict[str, Any]]) -> list[str]:
    """What this study does not show, from what was run."""
    widths = [100 * (entry["high"] - entry["low"]) / 2 for entry in said if "value" in entry]
    texts = []
    if widths:
        least, most = f"±{min(widths):.0f}", f"±{max(widths):.0f}"
        texts.append(
            f"Test accuracies are uncertain by about {least if least == most else f'{least} to {most}'} points (95 % "
            "intervals over photos); smaller differences between models cannot be seen on this test unless a "
            "paired comparison shows them."
        )
    texts += [_sites(entry) for entry in said if len(entry.get("sites", [])) > 1]
    few = min((entry["groups"] for entry in said if entry.get("given_groups")), default=FEW_GROUPS)
    if few < FEW_GROUPS:
        texts.append(
            f"The test holds only {few} groups (plants, plots): it shows how {few} of them came out, however many "
            "photos they have. The intervals of macro F1 and log loss are too narrow for that."
        )
    if not any(model["repeat_of"] for model in settings["models"]):
        texts.append(
            "Every setting was run with one seed. The intervals cover which photos were tested, not how a "
            "second training would differ: they compare fitted models, not settings in general."
        )
    texts.append(
        "The test photos come from the source of the training photos; other regions, seasons and cameras may differ."
    )
    texts.append("Labels are taken as they are. Wrong labels lower every score, and the best one that can be reached.")
    untrained = sorted(
        n for n, entry in settings["study"].get("backbones", {}).items() if entry.get("weights") == "none"
    )
    if untrained:
        texts.append(
            f"Untrained weights (random numbers) stand in for: {', '.join(untrained)}. Their rows say "
            "nothing of ImageNet."
        )
    if settings["protocol"] == "published":
        texts.append(
            "This run follows the published protocol, flaws included: test photos may have been trained on, "
            "settings were chosen on the test, and there is no test as found: none can be honest here."
        )
    if any(entry.get("source") == "demo" for entry in settings["datasets"].values()):
        texts.append("Photos of the source “demo” are synthetic: their scores say nothing of real leaves.")
    return texts


def _sites(entry: Mapping[str, Any]) -> str:
    """The worst and the best site of a chosen model's test, in words."""
    worst, best = entry["sites"][0], entry["sites"][-1]
    low, high = (100 * site["accuracy"]["value"] for site in (worst, best))
    return (
        f"One number hides the sites: on the test {entry['model']} is right on {low:.0f} % at {worst['site']} "
        f"({worst['n']} photos) and on {high:.0f} % at {best['site']} ({best['n']} photos)."
    )


def costs(results: Results) -> dict[str, Any]:
    """Time and peak memory of each stage; the chart is plotted here, after the last job has ended."""
    table = results.costs
    if table.empty:
        return {"missing": "no job has written its costs yet"}
    order = {stage: index for index, stage in enumerate(STAGES)}
    table = table.sort_values("stage", key=lambda stages: stages.map(order), kind="stable")
    titles = (
        "Stage",
        "Jobs",
        "Reused",
        "Time, all jobs",
        "Estimated",
        "Time / estimated",
        "Longest job",
        "Photos",
        "Photos/s",
        "Peak memory, MB",
        "Device",
        "Precision",
    )
    shown = Table(
        "costs", "Time and peak memory of each stage", columns(*titles, text=("Stage", "Device", "Precision"))
    )
    known = estimated(results)
    for stage, rows in table.groupby("stage", sort=False):
        beforehand = known.get(str(stage))
        total, photos = rows["seconds"].sum(), rows["photos"].sum(min_count=1)
        timed = rows.loc[rows["photos"].notna(), "seconds"].sum()
        shown.add(
            str(stage), count(len(rows)), count(rows["reused"].sum()), seconds(total),
            seconds(beforehand), number(total / beforehand if beforehand else None, 2),
            seconds(rows["seconds"].max()), count(photos), number(photos / timed if timed else None, 1),
            count(rows["peak_memory_mb"].max()),
            _kinds(rows["device"]), _kinds(rows["precision"]),
        )  # fmt: skip
    return {
        "table": shown,
        "figure": chart(plots.costs(table)),
        "total": duration(float(table["seconds"].sum())),
        "estimate": _beside(table, known),
        "memory": f"{table['peak_memory_mb'].max():,.0f} MB",
        "hosts": sorted(set(table["host"].dropna())),
    }


def estimated(results: Results) -> dict[str, float]:
    """The seconds of each stage's jobs that computed something, as they were reckoned when the run began."""
    found = results.json("costs/estimate.json")
    table = results.costs
    computed = table[table["reused"] == 0].groupby("stage").size()
    rows = found["stages"] if found else []
    return {
        row["stage"]: row["seconds"] * computed[row["stage"]] / row["jobs"] for row in rows if row["stage"] in computed
    }


def _beside(table: pd.DataFrame, known: Mapping[str, float]) -> str | None:
    """What the jobs took beside what was reckoned for them, in a sentence; None where nothing was."""
    if not known:
        return None
    took = float(table.loc[(table["reused"] == 0) & table["stage"].isin(known.keys()), "seconds"].sum())
    reckoned = sum(known.values())
    return (
        f"{duration(reckoned)} were estimated for these jobs, from the speeds that the run measured as it began; they "
        f"took {duration(took)}, {took / reckoned:.2f} times as long. Jobs that run side by side slow each other down, "
        "and so does other work on the machine: the speeds are those of a job alone."
    )


def _kinds(values: pd.Series) -> str:
    return ", ".join(sorted({str(value) for value in values if value and not absent(value)})) or "–"
