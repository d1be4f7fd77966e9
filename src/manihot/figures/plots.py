"""The study's charts as small SVG texts: the same input gives the same bytes.

Every chart has a title, axis labels with units, and a description that states its numbers. Its colours are
those of `PALETTE` only, so that a page can put its own in their place; as files they are read on white.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import NDArray

from manihot.core.classes import class_order, class_title
from manihot.core.names import PART_TITLES
from manihot.figures.svg import PALETTE, canvas, render

# A chart of more models than this names only the highest in its description.
LISTED = 12
PART_NAMES = PART_TITLES | {"validation": "validation (out of fold)"}

_BESIDE: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 7.5}


def class_bars(catalog: pd.DataFrame, dataset: str) -> str:
    """Photos of each class, as a bar with count and share; `catalog` is a whole catalog table."""
    usable = catalog[catalog["status"] == "ok"]
    counts = usable.groupby("label")["image_id"].size()
    names = usable.drop_duplicates("label").set_index("label")["name"]
    labels = class_order(counts.index)
    titles = [class_title(label, names[label]) for label in labels]
    values = counts[labels].to_numpy()
    with canvas(0.85 + 0.24 * len(labels)) as figure:
        axes = figure.subplots()
        axes.barh(titles, values, color=PALETTE["third"], height=0.68)
        for row, value in enumerate(values):
            axes.annotate(f"{value:,} · {value / values.sum():.1%}", (value, row), (4, 0), **_BESIDE)
        axes.set_xlim(0, values.max() * 1.17)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("photos")
        _rows(axes, len(labels))
        most, least = int(values.argmax()), int(values.argmin())
        return render(
            figure,
            f"Photos of each class: {dataset}",
            f"{values.sum():,} usable photos, {_count(len(labels), 'class', 'classes')}; "
            f"most in {titles[most]} ({values[most]:,}, {values[most] / values.sum():.1%}), "
            f"fewest in {titles[least]} ({values[least]:,}).",
        )


def sizes(catalog: pd.DataFrame, dataset: str) -> str:
    """Width against height (area of a dot: photos), file sizes, and colour modes of the usable photos."""
    usable = catalog[catalog["status"] == "ok"]
    shapes = usable.groupby(["width", "height"]).size()
    modes = usable["mode"].value_counts()
    kilobytes = usable["bytes"].to_numpy(dtype=float) / 1000
    with canvas(2.5) as figure:
        left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1.15, 0.8])
        width, height = (shapes.index.get_level_values(level).to_numpy() for level in (0, 1))
        left.scatter(width, height, s=6 + 90 * shapes / shapes.max(), color=PALETTE["third"], alpha=0.75, lw=0)
        left.set(xlabel="width (pixels)", ylabel="height (pixels)", title="Dimensions")
        left.set_xlim(0, width.max() * 1.18)
        left.set_ylim(0, height.max() * 1.25)
        left.grid(True)
        middle.hist(kilobytes, bins=30, color=PALETTE["third"])
        middle.set(xlabel="file size (kB)", ylabel="photos", title="File sizes")
        middle.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        middle.grid(True, axis="y")
        right.barh(
            modes.index.astype(str),
            modes.to_numpy(),
            color=PALETTE["third"],
            height=min(0.68, 0.2 * len(modes)),
        )
        right.set(xlabel="photos", title="Colour modes")
        right.xaxis.set_major_locator(MaxNLocator(3))
        _rows(right, len(modes))
        common = shapes.idxmax()
        return render(
            figure,
            f"Sizes and modes: {dataset}",
            f"{shapes.max():,} of {len(usable):,} photos are {common[0]} x {common[1]} pixels "
            f"({_count(len(shapes), 'size', 'sizes')} in all); "
            f"median file size {np.median(kilobytes):,.3g} kB; "
            f"modes: {', '.join(f'{mode} {count:,}' for mode, count in modes.items())}.",
        )


def confusion(scores: Mapping[str, Mapping[str, Any]], model: str, names: Mapping[str, str] = PART_NAMES) -> str:
    """Counts and row shares side by side, a row of panels a part; rows are true classes.

    `scores` has a part's record of `scores.score`; a part without photos is left out. `names` has what parts are
    called.
    """
    scored = {part: record for part, record in scores.items() if record["n"]}
    if not scored:
        with canvas(0.8) as figure:
            return render(figure, f"Confusion matrices: {model}", "No photo was predicted.")
    classes = next(iter(scored.values()))["per_class"]
    titles = [class_title(entry["label"], entry["name"]) for entry in classes]
    findings = []
    height = (0.3 * max(4, len(titles)) + 0.35) * len(scored) + 0.075 * max(map(len, titles)) + 0.6
    with canvas(height) as figure:
        grid = figure.subplots(len(scored), 2, squeeze=False, sharex=True, sharey=True)
        for panels, (part, record) in zip(grid, scored.items(), strict=True):
            counts = np.asarray(record["confusion"])
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            name = names[part]
            _heat(panels[0], shares, [[f"{n}" for n in row] for row in counts], titles, f"{name}, photos")
            _heat(
                panels[1],
                shares,
                [[f"{n:.2f}" for n in row] for row in shares],
                titles,
                f"{name}, row shares",
            )
            panels[0].set_ylabel("true class")
            told = zip(titles, np.diag(shares), counts.sum(axis=1), strict=True)
            recalls = ", ".join(f"{title} {share:.2f}" for title, share, photos in told if photos)
            right = int(np.trace(counts))
            findings.append(f"{name.capitalize()}: {right:,} of {record['n']:,} photos right; recall {recalls}.")
        for axes in grid[-1]:
            axes.set_xlabel("predicted class")
        return render(figure, f"Confusion matrices: {model}", " ".join(findings))


def models(summary: pd.DataFrame, title: str = "Accuracy of every model's calibrated answers on the tests") -> str:
    """Accuracy with its 95 % interval on the test (dot) and the test as found (ring) of every whole model.

    Shown are the calibrated answers, by which models are chosen.
    """
    whole = summary[summary["kind"] == "calibrated"].assign(model=lambda rows: rows["model"].str.rpartition("/")[0])
    parts = {part: whole[whole["part"] == part].set_index("model") for part in ("test", "test_as_found")}
    names = list(dict.fromkeys(name for table in parts.values() for name in table.index))
    baselines = summary[(summary["kind"] == "baseline") & (summary["part"] == "test")]
    with canvas(0.95 + 0.25 * len(names)) as figure:
        axes = figure.subplots()
        styles = {"test": ("first", "first", -0.13), "test_as_found": ("second", "surface", 0.13)}
        for part, (color, fill, shift) in styles.items():
            table = parts[part]
            if not table.empty:
                rows = np.array([names.index(name) for name in table.index]) + shift
                columns = ("accuracy", "accuracy_low", "accuracy_high")
                _intervals(axes, rows, table, columns, PALETTE[color], PALETTE[fill], PART_NAMES[part])
        for value in sorted(set(baselines["accuracy"].round(4))):
            axes.axvline(value, color=PALETTE["muted"], lw=0.9, ls=(0, (4, 3)), label="majority class, test")
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("accuracy (share right), 95 % interval")
        axes.grid(True, axis="x")
        _rows(axes, len(names))
        handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
        best = parts["test"].sort_values("accuracy", ascending=False, kind="stable").head(LISTED)
        finding = "; ".join(
            f"{name} {row['accuracy']:.3f} ({row['accuracy_low']:.3f} to {row['accuracy_high']:.3f})"
            for name, row in best.iterrows()
        )
        which = "" if len(best) == len(parts["test"]) else f", the {LISTED} highest of {len(parts['test'])}"
        base = "".join(f" Majority class: {value:.3f}." for value in baselines["accuracy"][:1])
        return render(figure, title, f"Test accuracy{which}: {finding or 'none'}.{base}")


def comparisons(table: pd.DataFrame, part: str = "test") -> str:
    """Paired differences in accuracy, each model minus the one it is based on, with 95 % intervals."""
    table = table[(table["part"] == part) & (table["metric"] == "accuracy")].reset_index(drop=True)
    names = [f"{row['model']} − {row['based_on']}" for _, row in table.iterrows()]
    with canvas(0.95 + 0.25 * max(1, len(names))) as figure:
        axes = figure.subplots()
        clear = (table["low"] > 0) | (table["high"] < 0)
        for chosen, fill, label in (
            (clear, PALETTE["first"], "interval leaves out zero"),
            (~clear, PALETTE["surface"], "interval holds zero"),
        ):
            if chosen.any():
                rows = table.index[chosen].to_numpy(dtype=float)
                _intervals(axes, rows, table[chosen], ("difference", "low", "high"), PALETTE["first"], fill, label)
        axes.axvline(0, color=PALETTE["muted"], lw=0.9)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("difference in accuracy (share of photos), 95 % interval")
        axes.grid(True, axis="x")
        _rows(axes, len(names))
        if len(names):
            figure.legend(loc="outside lower center", ncols=2)
        finding = "; ".join(
            f"{name} {row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})".replace("-", "−")
            for name, (_, row) in zip(names, table.iterrows(), strict=True)
        )
        return render(
            figure,
            f"Paired differences on the {PART_NAMES[part]}",
            f"{finding or 'No comparison is declared'}.",
        )


def probes(table: pd.DataFrame, guessing: float, split: str) -> str:
    """Balanced accuracy out of fold of what sees no plant, or no middle of a photo, beside models that see photos.

    `table` has name, value, low, high, and `hint` (whether it is one of the former); `guessing` is a share.
    """
    with canvas(0.95 + 0.25 * max(1, len(table))) as figure:
        axes = figure.subplots()
        hint = table["hint"].astype(bool)
        for chosen, color, label in (
            (hint, PALETTE["second"], "does not see the plant, or not its middle"),
            (~hint, PALETTE["first"], "sees whole photos"),
        ):
            if chosen.any():
                rows = np.flatnonzero(chosen).astype(float)
                _intervals(axes, rows, table[chosen], ("value", "low", "high"), color, color, label)
        axes.axvline(guessing, color=PALETTE["muted"], lw=0.9, ls=(0, (4, 3)), label="guessing")
        axes.set_yticks(range(len(table)), table["name"])
        axes.set_xlabel("balanced accuracy out of fold (mean share right of the classes), 95 % interval")
        axes.set_xlim(0, 1.02)
        axes.grid(True, axis="x")
        _rows(axes, max(1, len(table)))
        figure.legend(loc="outside lower center", ncols=3)
        finding = "; ".join(
            f"{row['name']} {row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})" for _, row in table.iterrows()
        )
        return render(figure, f"Could it cheat? Split {split}", f"{finding or 'None'}. Guessing: {guessing:.3f}.")


def calibration(measured: Mapping[str, Any], model: str) -> str:
    """Share right against mean confidence, in bins of confidence that hold photos, over the band of chance.

    `measured` is what `scores.calibration` gives.
    """
    bins = [entry for entry in measured["bins"] if entry["n"]]
    keys = ("confidence", "accuracy", "n", "band_low", "band_high")
    confidence, right, photos, low, high = ([entry[key] for entry in bins] for key in keys)
    perfect = measured["perfect"]
    with canvas(2.7, width=3.6) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=PALETTE["muted"], lw=0.9, ls=(0, (4, 3)))
        axes.vlines(confidence, low, high, color=PALETTE["muted"], lw=6, alpha=0.3)
        axes.plot(confidence, right, color=PALETTE["first"], lw=1.2)
        share = np.asarray(photos) / max(1, max(photos))
        axes.scatter(confidence, right, s=8 + 60 * share, color=PALETTE["first"], lw=0, zorder=3)
        axes.set(xlabel="mean confidence (probability)", ylabel="share right", xlim=(0, 1.02), ylim=(0, 1.02))
        axes.grid(True)
        return render(
            figure,
            f"Calibration on the test: {model}",
            f"Expected calibration error {measured['ece']:.3f}; perfect calibration would have {perfect['mean']:.3f} "
            f"on these {sum(photos):,} photos, and rarely more than {perfect['high']:.3f}. Grey bars: where its dots "
            "would lie. Above the diagonal the model is less sure than it could be.",
        )


def costs(table: pd.DataFrame) -> str:
    """Time (all jobs) and peak memory (largest job) of each stage: `stage,seconds,peak_memory_mb`."""
    by_stage = table.groupby("stage", sort=False).agg({"seconds": "sum", "peak_memory_mb": "max"})
    with canvas(0.75 + 0.22 * len(by_stage)) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        for axes, column, label, form in zip(
            panels,
            by_stage,
            ("time, all jobs (s)", "peak memory of a job (MB)"),
            ("{:,.1f}", "{:,.0f}"),
            strict=True,
        ):
            values = by_stage[column].to_numpy()
            axes.barh(by_stage.index, values, color=PALETTE["third"], height=0.62)
            for row, value in enumerate(values):
                axes.annotate(form.format(value), (value, row), (4, 0), **_BESIDE)
            axes.set_xlim(0, max(values.max(), 1e-9) * 1.22)
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            axes.set_xlabel(label)
        _rows(panels[0], len(by_stage))
        longest, largest = by_stage["seconds"].idxmax(), by_stage["peak_memory_mb"].idxmax()
        return render(
            figure,
            "Time and peak memory of each stage",
            f"{by_stage['seconds'].sum():,.0f} s of jobs in all, most in {longest} "
            f"({by_stage['seconds'].max():,.0f} s); "
            f"most memory in {largest} ({by_stage['peak_memory_mb'].max():,.0f} MB).",
        )


def memory(table: pd.DataFrame) -> str | None:
    """Peak memory of a job against its batch size: `what,network,size,photos,device,batch_size,mb`.

    A line for what ran at two or more batch sizes; None where nothing did.
    """
    keys = ["what", "network", "size", "photos", "device"]
    lines = [
        (f"{name[0]}, {name[1]}, {name[2]} px", name[4], rows.sort_values("batch_size"))
        for name, rows in table.groupby(keys, dropna=False)
        if rows["batch_size"].nunique() > 1
    ]
    if not lines:
        return None
    with canvas(2.7) as figure:
        axes = figure.subplots()
        for number, (name, device, rows) in enumerate(lines):
            color = PALETTE[("first", "second", "third")[number % 3]]
            style = ("-", "--", ":")[number // 3 % 3]
            label = f"{name} ({'processor' if device == 'cpu' else device})"
            axes.plot(rows["batch_size"], rows["mb"], style, marker="o", ms=3.5, lw=1.3, color=color, label=label)
        axes.set(xlabel="batch size (photos)", ylabel="peak memory of a job (MB)")
        axes.set_xlim(0)
        axes.set_ylim(0)
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.grid(True)
        figure.legend(loc="outside right upper")
        ends = (
            f"{name}: {rows['mb'].iloc[0]:,.0f} MB at {rows['batch_size'].iloc[0]:.0f} photos a batch, "
            f"{rows['mb'].iloc[-1]:,.0f} MB at {rows['batch_size'].iloc[-1]:.0f}"
            for name, _, rows in lines[:LISTED]
        )
        return render(figure, "Peak memory against batch size", f"{'; '.join(ends)}.")


def _rows(axes: Axes, count: int) -> None:
    """Read a horizontal chart from the top, with the same room for every row."""
    axes.set_ylim(count - 0.45, -0.55)
    axes.spines["left"].set_visible(False)


def _heat(
    axes: Axes, shares: NDArray[np.float64], texts: Sequence[Sequence[str]], titles: Sequence[str], title: str
) -> None:
    """A matrix as cells whose opacity is the share; never so dark that ink is not read on it."""
    count = len(titles)
    for row, column in np.ndindex(count, count):
        alpha = round(0.04 + 0.58 * float(shares[row, column]), 3)
        axes.add_patch(Rectangle((column, row), 1, 1, facecolor=PALETTE["heat"], alpha=alpha))
        if count <= 12:
            place = (column + 0.5, row + 0.5)
            axes.text(*place, texts[row][column], ha="center", va="center", fontsize=7.5)
    places = np.arange(count) + 0.5
    axes.set(xlim=(0, count), ylim=(count, 0), title=title)
    slanted = max(map(len, titles)) > 6
    axes.set_xticks(places, titles, rotation=35 if slanted else 0, ha="right" if slanted else "center")
    axes.set_yticks(places, titles)
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)


def _intervals(
    axes: Axes,
    rows: NDArray[np.float64],
    table: pd.DataFrame,
    columns: Sequence[str],
    color: str,
    fill: str,
    label: str,
) -> None:
    """A dot and its interval on each row; `columns` name the value, its lower and its upper end."""
    value, low, high = (table[column].to_numpy(dtype=float) for column in columns)
    axes.hlines(rows, low, high, color=color, lw=1.3)
    axes.plot(value, rows, "o", ms=4.6, color=color, markerfacecolor=fill, markeredgewidth=1.2, label=label)


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
