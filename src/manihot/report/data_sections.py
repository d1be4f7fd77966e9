"""The sections about the data: what there is, what was set aside, and who is trained and tested on what."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from manihot.core.classes import class_order, full_title
from manihot.figures import plots
from manihot.report.results import Results
from manihot.report.tables import Cell, Column, Table, columns, count
from manihot.report.thumbnails import Photos, examples

EXAMPLES = 4
PAIRS_SHOWN = 12
KINDS = ("exact", "near", "mirrored", "turned", "cropped")
ROLES = {
    "pool": "training and validation (pool)",
    "test": "test",
    "test_as_found": "test as found",
    "unused": "unused",
}


def exploration(results: Results, photos: Photos, dataset: str, source: str, seed: int) -> dict[str, Any]:
    """A data set's counts, charts, seeded example photos of every class, and pairs of duplicates."""
    catalog = results.photos(f"catalog/{dataset}.csv")
    if catalog is None:
        return {"name": dataset, "missing": f"the catalog of {dataset} has not been built"}
    usable = catalog[catalog["status"] == "ok"]
    names = usable.drop_duplicates("label").set_index("label")["name"]
    labels = class_order(names.index)
    classes = [
        {"title": full_title(label, names[label]), "photos": _examples(photos, catalog, label, seed)}
        for label in labels[:24]
    ]
    duplicates = results.table(f"catalog/{dataset}/duplicates.csv")
    search = results.json(f"catalog/{dataset}/duplicates.json") or {}
    overview = {
        "Source": source,
        "Labelled photos": f"{len(catalog):,}",
        "Usable": f"{len(usable):,}",
        "Classes": str(len(labels)),
        "Bytes": f"{usable['bytes'].sum() / 1e6:,.1f} MB",
        "Duplicate pairs": "–" if duplicates is None else _by_kind(duplicates),
    }
    return {
        "name": dataset,
        "overview": overview,
        "figures": [
            results.figure(f"exploration/{dataset}_classes.svg", plots.class_bars(catalog, dataset)),
            results.figure(f"exploration/{dataset}_sizes.svg", plots.sizes(catalog, dataset)),
        ],
        "classes": classes,
        "more_classes": max(0, len(labels) - 24),
        "pairs": [] if duplicates is None else _pairs(photos, dataset, duplicates),
        "search_remark": search.get("remark", ""),
        "more_pairs": 0 if duplicates is None else max(0, len(duplicates) - PAIRS_SHOWN),
        "conflicts": 0 if duplicates is None else int((duplicates["label_a"] != duplicates["label_b"]).sum()),
    }


def _examples(photos: Photos, catalog: pd.DataFrame, label: str, seed: int) -> list[dict[str, Any]]:
    chosen = examples(catalog, label, EXAMPLES, seed)
    return [photos.show(row.dataset, row.image_id) for row in chosen.itertuples()]


def _by_kind(duplicates: pd.DataFrame) -> str:
    """How many pairs there are, and of which kinds."""
    counts = duplicates["kind"].value_counts()
    kinds = ", ".join(f"{counts[kind]:,} {kind}" for kind in KINDS if kind in counts)
    return f"{len(duplicates):,} ({kinds})" if kinds else "0"


def _what(pair: Any) -> str:
    """What made one photo of a pair of the other, in a few words."""
    match pair.kind:
        case "exact":
            return "same bytes"
        case "mirrored":
            turn = "" if min(pair.angle, 360 - pair.angle) < 3 else f", turned by {pair.angle:.0f}°"
            return f"mirrored{turn}"
        case "turned":
            return f"turned by {pair.angle:.0f}°"
        case "cropped":
            return f"one shows a part of the other, {max(pair.scale, 1 / pair.scale):.2f} times as large"
    return f"near, {pair.distance} bits apart"


def _pairs(photos: Photos, dataset: str, duplicates: pd.DataFrame) -> list[dict[str, Any]]:
    """Pairs with conflicting labels first."""
    ordered = duplicates.assign(same=duplicates["label_a"] == duplicates["label_b"]).sort_values("same", kind="stable")
    shown = []
    for pair in ordered.head(PAIRS_SHOWN).itertuples():
        tone = "" if pair.same else "wrong"
        sides = ((pair.image_id_a, pair.label_a), (pair.image_id_b, pair.label_b))
        pictures = [photos.show(dataset, image_id, f"label {label}", tone=tone) for image_id, label in sides]
        shown.append({"photos": pictures, "what": _what(pair), "same": pair.same})
    return shown


def set_aside(results: Results, datasets: Iterable[str]) -> Table:
    """The photos that cannot be used, each with the reason."""
    table = Table("set-aside", "Photos set aside", columns("Data set", "Photo", "Label", "Reason", text=_ALL_TEXT))
    for dataset in datasets:
        catalog = results.photos(f"catalog/{dataset}.csv")
        if catalog is not None:
            for row in catalog[catalog["status"] != "ok"].itertuples():
                table.add(row.dataset, row.image_id, row.label, row.status)
    return table


_ALL_TEXT = ("Data set", "Photo", "Label", "Reason")


def split(results: Results, photos: Photos, name: str) -> dict[str, Any]:
    """Roles against classes, the folds of the pool, what groups did to the counts, and leaks across given borders."""
    record, table = results.split_record(name), results.photos(f"splits/{name}.csv")
    if record is None or table is None:
        return {"name": name, "missing": f"the split {name} has not been made"}
    titles = {entry["label"]: full_title(entry["label"], entry["name"]) for entry in record["classes"]}
    pool = table[table["role"] == "pool"]
    folds = sorted(pool["fold"].dropna().unique())
    groups: list[tuple[str, pd.Series]] = [
        (text, table.loc[table["role"] == role, "label"])
        for role, text in ROLES.items()
        if (table["role"] == role).any()
    ]
    groups += [(_fold_title(fold, record), pool.loc[pool["fold"] == fold, "label"]) for fold in folds]
    shown = Table(f"split-{name}", f"Photos of each role and class, split “{name}”", [Column("Role", False)])
    shown.columns += columns(*titles.values(), "All")
    for text, labels in groups:
        counts = labels.value_counts()
        cells = [count(int(counts.get(label, 0))) for label in titles]
        shown.add(Cell(text), *cells, count(len(labels)), tags="" if text in ROLES.values() else "nested")
    return {
        "name": name,
        "table": shown,
        "conflicts": record["conflicts"],
        "groups": _groups(record),
        "copied": record["copied"],
        "leaks": [_leak(photos, table["dataset"].iloc[0], entry) for entry in record["leaks"]],
    }


def _fold_title(fold: int, record: Mapping[str, Any]) -> str:
    if record["sites"]:
        return f"fold {fold}: site {record['sites'][fold - 1]}"
    if record["folds"] == 1:
        return "validation, as given" if fold == 1 else "to train on, as given"
    return "fold of none: in every training part" if fold == 0 else f"fold {fold}"


def _groups(record: Mapping[str, Any]) -> str:
    """What the user's groups did to the counts, in words; empty where there are none."""
    if not record["given_groups"]:
        return ""
    said = f"The {record['given_groups']:,} groups that the labels give (plants, plots) are kept whole. "
    got = {
        role: sum(photos for label, photos in record["counts"][role].items() if label != record["new_class"])
        for role in record["asked"]
    }
    tests = [
        f"{got[role]:,} photos in the {ROLES[role]} ({asked:,} were asked for)"
        for role, asked in record["asked"].items()
        if asked
    ]
    drawn = f"Whole groups came nearest with {' and '.join(tests)}. " if tests else ""
    return said + drawn + "Intervals resample groups: a hundred photos of four plants say no more than four plants do."


def _leak(photos: Photos, dataset: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A kind of leak across a border that the user gave: in words, and some of its photos with their partners."""
    held_out = {"test": "in the test", "validation": "held out for validation", "folds": "in another fold"}
    where, one = held_out[entry["border"]], entry["photos"] == 1
    kinds = {"copies": ("is a copy of", "are copies of"), "groups": ("is of one group with", "are of one group with")}
    is_or_are, other = kinds[entry["kind"]][not one], "a photo" if one else "photos"
    dealt = "left out of training" if entry["excluded"] else "kept in training: scores are too high (on_leak: report)"
    text = f"{entry['photos']:,} photo{'' if one else 's'} to train on {is_or_are} {other} {where}: {dealt}."
    pairs = [
        [photos.show(dataset, trained, "to train on"), photos.show(dataset, held, where)]
        for trained, held in entry["pairs"]
    ]
    return {"text": text, "pairs": pairs, "serious": not entry["excluded"]}
