"""The chart of a head's scores against the photos that it is fitted on, continued to more than there are."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.ticker import NullLocator, PercentFormatter, StrMethodFormatter

from manihot.figures.svg import PALETTE, canvas, render


def more_photos(weighed: Mapping[str, Any], split: str) -> str:
    """Balanced accuracy out of fold by the photos trained on, with 95 % intervals, and the power law through it.

    `weighed` is what `scores.more_photos.weigh` gives. Beyond the last point the law and its band are dashed and pale.
    """
    points = weighed["points"]
    photos = np.array([point["photos"] for point in points])
    value, low, high = (
        np.array([point["balanced_accuracy"][end] for point in points], dtype=float) for end in ("value", "low", "high")
    )
    law = weighed["laws"].get("balanced_accuracy")
    with canvas(3.0, width=5.2) as figure:
        axes = figure.subplots()
        color, beyond = PALETTE["first"], PALETTE["second"]
        axes.vlines(photos, low, high, color=color, lw=1.3)
        axes.plot(photos, value, "o", ms=4, color=color, zorder=3, label="measured, 95 % interval")
        marks = [*photos]
        if law:
            names = ("photos", "value", "low", "high")
            along = {key: np.array([entry[key] for entry in law["curve"]]) for key in names}
            inside = along["photos"] <= photos[-1]
            axes.plot(along["photos"][inside], along["value"][inside], color=color, lw=1.0, label="power law")
            rest = ~inside
            rest[np.flatnonzero(inside)[-1]] = True
            ends = along["low"][rest], along["high"][rest]
            axes.fill_between(along["photos"][rest], *ends, color=beyond, alpha=0.15, lw=0)
            dashes: dict[str, Any] = {"color": beyond, "lw": 1.2, "ls": (0, (4, 3))}
            axes.plot(along["photos"][rest], along["value"][rest], label="continued, 95 % band", **dashes)
            marks += [entry["photos"] for entry in law["more"]]
        axes.set_xscale("log")
        axes.set_xticks(marks)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set(xlabel="photos trained on", ylabel="balanced accuracy out of fold")
        axes.grid(True)
        figure.legend(loc="outside lower center", ncols=3)
        measured = "; ".join(
            f"{count:,.0f} photos {100 * at:.1f} % ({100 * start:.1f} to {100 * end:.1f})"
            for count, at, start, end in zip(photos, value, low, high, strict=True)
        )
        return render(figure, f"More and fewer photos: split {split}", f"{measured}.{_beyond(law)}")


def _beyond(law: Mapping[str, Any] | None) -> str:
    if not law:
        return " Too few for a curve."
    said = "; ".join(
        f"{entry['photos']:,.0f} photos {100 * entry['value']:.1f} % "
        f"({100 * entry['low']:.1f} to {100 * entry['high']:.1f})"
        for entry in law["more"]
    )
    return f" Continued: {said}."
