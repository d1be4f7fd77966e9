"""The section that asks how many more photos would help: a head's scores on fewer, and what lies beyond them."""

from collections.abc import Mapping, Sequence
from typing import Any

from manihot.figures import more_photos as figure
from manihot.report.results import Results
from manihot.report.tables import Column, Table, count, interval, signed
from manihot.report.tables import number as plain

METRICS = ("balanced_accuracy", "accuracy")
WORDS = {2: "twice", 4: "four times"}
ONE_FOLD = (
    "There is one fold: nothing tells how far the curve would move with other training photos, and the intervals, of "
    "the photos held out alone, are too narrow."
)


def more_photos(results: Results, splits: Sequence[str]) -> list[dict[str, Any]]:
    """What a head of each of `splits` says of more photos, or what is missing."""
    return [_split(results, name) for name in splits]


def _split(results: Results, name: str) -> dict[str, Any]:
    weighed = results.json(f"scores/more_photos/{name}/curve.json")
    if weighed is None:
        return {"name": name, "missing": f"what more photos may give in the split {name}"}
    law = weighed["laws"].get("balanced_accuracy")
    once = " " + ONE_FOLD if len(weighed["folds"]) == 1 and law is not None else ""
    return {
        "name": name,
        "headline": headline(weighed, law) + once,
        "figure": results.figure(f"more_photos/{name}.svg", figure.more_photos(weighed, name)),
        "table": _table(weighed, name),
    }


def headline(weighed: Mapping[str, Any], law: Mapping[str, Any] | None) -> str:
    """What twice and four times as many photos may give, in words; that it cannot be told, where that is so."""
    last = weighed["points"][-1]
    reached = last["balanced_accuracy"]
    begin = (
        f"Fitted on {last['photos']:,.0f} photos (those of a fold), {weighed['head']} reaches "
        f"{100 * reached['value']:.1f}\u00a0% balanced accuracy out of fold."
    )
    if law is None:
        return f"Cannot tell. {begin} These are too few photos for a curve."
    double, four = ({**entry["gain"], "times": WORDS[entry["times"]]} for entry in law["more"])
    if law["verdict"] == "little":
        return (
            f"Hardly any gain from more photos of the same kind. {begin} By the curve, {four['times']} as many give "
            f"{_gain(four)}: less than the {weighed['margin']:g} points that count in this study."
        )
    if law["verdict"] == "gain":
        return (
            f"More photos of the same kind would help. {begin} By the curve, {double['times']} as many may give "
            f"{_gain(double)}, and {four['times']} as many {_gain(four)}."
        )
    return (
        f"Cannot tell whether more photos would help. {begin} By the curve, {double['times']} as many may give "
        f"anything from {_points(double['low'])} to {_points(double['high'])} points, {four['times']} as many from "
        f"{_points(four['low'])} to {_points(four['high'])}."
    )


def _gain(gain: Mapping[str, Any]) -> str:
    return f"{_points(gain['value'])} points [{_points(gain['low'])} to {_points(gain['high'])}]"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")


def _table(weighed: Mapping[str, Any], split: str) -> Table:
    shown = Table(f"more-photos-{split}", f"{weighed['head']} on fewer and on more photos, out of fold")
    shown.columns = [
        Column("Photos trained on", hint="the mean over the folds"),
        Column("Times all"),
        Column("", False),
        Column("Balanced accuracy [95\u00a0%]", hint="of calibrated answers, by which models are chosen"),
        Column("Gain, points"),
        Column("Accuracy [95\u00a0%]", hint="of the head's own answers"),
    ]
    ends = ("value", "low", "high")
    for point in weighed["points"]:
        scores = [interval(*(point[metric][end] for end in ends)) for metric in METRICS]
        shown.add(count(point["photos"]), plain(point["share"], 2), "measured", scores[0], plain(None), scores[1])
    laws = [weighed["laws"][metric]["more"] for metric in METRICS if metric in weighed["laws"]]
    for balanced, accuracy in zip(*laws, strict=True) if laws else ():
        scores = [interval(*(entry[end] for end in ends)) for entry in (balanced, accuracy)]
        gain = signed(100 * balanced["gain"]["value"], 1)
        times = plain(balanced["times"], 2)
        shown.add(count(balanced["photos"]), times, "by the power law", scores[0], gain, scores[1], tags="baseline")
    return shown
