"""The chart of answering only the photos that a model is surest of."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.ticker import PercentFormatter

from manihot.figures.svg import PALETTE, canvas, render

# The coverages that its description names; the first is the sentence of the page.
SAID = (0.8, 1.0, 0.5)


def risk_coverage(measured: Mapping[str, Any], model: str) -> str:
    """The share right of the photos that are answered against their share, the surest first, with 95 % intervals.

    `measured` is what `scores.answering` gives.
    """
    at = measured["at"]
    answered, value, low, high = (
        np.array([entry[key] for entry in at]) for key in ("answered", "value", "low", "high")
    )
    curve = np.array(measured["curve"])
    with canvas(2.7, width=3.6) as figure:
        axes = figure.subplots()
        axes.plot(np.arange(1, len(curve) + 1) / len(curve), curve, color=PALETTE["first"], lw=1.2)
        axes.vlines(answered, low, high, color=PALETTE["first"], lw=1.3)
        axes.plot(answered, value, "o", ms=4, color=PALETTE["first"], zorder=3)
        lowest = np.floor(10 * min(low.min(), curve.min())) / 10
        axes.set(xlabel="share of photos answered, the surest first", ylabel="share right of these")
        axes.set(xlim=(0, 1.03), ylim=(min(lowest, 0.9), 1.01))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.grid(True)
        by_coverage = {entry["coverage"]: entry for entry in at}
        first, *others = (by_coverage[coverage] for coverage in SAID)
        said = "".join(f"; at {100 * entry['answered']:.0f} %, {_right(entry)}" for entry in others)
        threshold = f"those it is surest of, of probability {first['threshold']:.2f} or more"
        best = f"At {100 * first['answered']:.0f} % answered ({threshold}), {_right(first, 'are right')}"
        return render(
            figure,
            f"Answering some of the photos: {model}",
            f"{best}{said}. Area under the curve of errors: {measured['area']:.3f}.",
        )


def _right(entry: Mapping[str, Any], verb: str = "") -> str:
    """How many are right, in per cent with the interval."""
    value, low, high = (f"{100 * entry[key]:.0f}" for key in ("value", "low", "high"))
    return " ".join(filter(None, [f"{value} %", verb, f"({low} to {high})"]))
