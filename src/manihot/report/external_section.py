"""The section on other people's photos: how models do there, beside their own test."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from manihot.core.classes import class_title
from manihot.core.names import PART_TITLES
from manihot.figures import plots
from manihot.report.results import Results
from manihot.report.tables import ABSENT, Cell, Column, Table, count, interval, metric, number, signed

Found = Mapping[str, Any]
# The template of what `section` gives, which pages include.
BODY = "external.html"
HINTS = {
    "difference": "here minus its own test, with the interval of both",
    "error": "expected calibration error; beside it what a perfectly calibrated model would have on these photos",
    "estimated": "of answers for the class shares that are estimated from the answers to these photos, without a label",
    "unlike": "the share of these photos that lie farther from the study's own than 95 in 100 of these do",
    "sets": "the share of photos whose set holds their class",
}
# What no number of the section shows.
UNSEEN = (
    "These photos are one more sample of places, cameras and seasons. How a model does on the next one is not in them.",
    "Their labels are other people's: where these mean something else by a class, a right model counts as wrong.",
    "Nothing was fitted, tuned or chosen on them. So the chosen model's row is an estimate. The best row of many is "
    "too high.",
    "Accuracy goes with the class shares of the photos, and these differ from those of the own test. Balanced accuracy "
    "does not: compare by it.",
    "What is guaranteed of sets is guaranteed of photos that come as those of the pool did, and not of these.",
)


def external(results: Results, trials: Sequence[Sequence[str]], badges: Mapping[str, str]) -> list[dict[str, Any]]:
    """What the models of `trials`, pairs of an external data set and a model, make of each of these data sets."""
    names = dict.fromkeys(name for name, _ in trials)
    return [_one(results, name, [model for other, model in trials if other == name], badges) for name in names]


def _one(results: Results, name: str, models: Sequence[str], badges: Mapping[str, str]) -> dict[str, Any]:
    record = results.json(f"external/{name}/photos.json")
    scores = {model: results.json(f"external/{name}/{model}/scores.json") for model in models}
    scored = {model: found for model, found in scores.items() if found is not None}
    if record is None or not scored:
        return {"name": name, "missing": f"what models make of the photos of {name}"}
    return section(
        name, record, scored, badges, lambda model, text: results.figure(f"external/{name}/{model}.svg", text)
    )


def section(
    name: str,
    record: Mapping[str, Any],
    scored: Mapping[str, Found],
    badges: Mapping[str, str],
    draw: Callable[[str, str], dict[str, Any]],
) -> dict[str, Any]:
    """What there is to show of models on other people's photos.

    Args:
        name: what the photos are called.
        record: which they are, as `splits.external.external_photos` tells.
        scored: the scores of each model (`scores.external.score_external`).
        badges: of the models that have one; the chosen one is shown class by class, else the first.
        draw: makes a chart of a page of a model's SVG text.
    """
    shown = next((model for model in scored if badges.get(model) == "chosen"), next(iter(scored)))
    figures = {model: draw(model, _confusion(found, name, model)) for model, found in scored.items()}
    return {
        "name": name,
        "photos": photos_said(record),
        "headline": headline(shown, scored[shown], name),
        "absent": absent_said(scored[shown]),
        "table": models_table(name, scored, badges),
        "figure": figures.pop(shown),
        "figures": list(figures.values()),
        "classes": _classes(name, shown, scored[shown]),
        "sites": _sites(name, shown, scored[shown]),
        "shares": _shares(name, shown, scored[shown]),
        "unseen": UNSEEN,
    }


def photos_said(record: Mapping[str, Any]) -> str:
    """Which photos there are, and which were left out, in words."""
    total, given = sum(record["photos"].values()), record["classes"].items()
    named = ", ".join(f"{label} as {target}" for label, target in given if target not in {None, label})
    left = [f"{number:,} of {label}" for label, number in record["left_out"].items()]
    of = "" if "unlabelled" in record else f" of the data set {record['dataset']}"
    said = [f"{total:,} of {record['listed']:,} labelled photos{of}."]
    if record.get("unlabelled"):
        said.append(f"{record['unlabelled']:,} photos of the folder have no label.")
    if named:
        said.append(f"Labels are taken as classes of the study: {named}.")
    if left:
        said.append(f"Left out, as the map of labels says: {', '.join(left)}.")
    if record["set_aside"]:
        said.append(f"{record['set_aside']:,} could not be used.")
    copied = record["copied"]
    if not record.get("compared", True):
        said.append("Whether they show pictures that the study has too was not looked for: its catalogs are not here.")
    elif copied:
        said.append(f"{copied:,} show{'s' if copied == 1 else ''} a picture that the study has too: left out.")
    else:
        said.append("None of them shows a picture that the study has too.")
    return " ".join(said)


def headline(model: str, found: Found, name: str) -> str:
    """How a model does here and on its own test, in words, and whether the difference is more than chance."""
    here = found["tried"]["metrics"]["balanced_accuracy"]
    begin = f"{model} has a balanced accuracy of {_share(here)} on {found['tried']['n']:,} photos of {name}"
    if found["own"] is None:
        return f"{begin}. Its own test has no photo of these classes to compare with."
    own, gap = found["own"]["metrics"]["balanced_accuracy"], found["difference"]["balanced_accuracy"]
    begin += f", and of {_share(own)} on {found['own']['n']:,} of its own {PART_TITLES[found['own_part']]}"
    if gap["low"] is None:
        return f"{begin}."
    points = f"{_points(gap['value'])} points [{_points(gap['low'])} to {_points(gap['high'])}]"
    if gap["high"] < 0:
        return f"Worse than at home. {begin}: {points}."
    if gap["low"] > 0:
        return f"Better than at home. {begin}: {points}."
    return f"Cannot tell whether it is worse than at home. {begin}: {points}."


def absent_said(found: Found) -> str:
    """That the photos lack classes, in words; empty where they have all."""
    every = found["tried"]["per_class"]
    missing = [class_title(entry["label"], entry["name"]) for entry in every if entry["label"] in found["absent"]]
    if not missing:
        return ""
    return (
        f"These photos show {len(found['present'])} of the {len(every)} classes; none shows {', '.join(missing)}. "
        "Balanced accuracy is the mean over the classes that are there, here and on the own test; an answer with "
        "another class counts as wrong, and nothing is said of how well that class is known."
    )


def models_table(name: str, scored: Mapping[str, Found], badges: Mapping[str, str]) -> Table:
    """Every model on the photos of an external data set, beside its own test."""
    shown = Table(f"external-{name}", f"The models on the photos of {name}, and on their own test")
    shown.columns = [
        Column("Model", False),
        Column("Balanced accuracy: here [95\u00a0%]"),
        Column("Balanced accuracy: own test [95\u00a0%]"),
        Column("Balanced accuracy: difference [95\u00a0%]", hint=HINTS["difference"]),
        Column("Balanced accuracy: estimated shares [95\u00a0%]", hint=HINTS["estimated"]),
        Column("Accuracy: here [95\u00a0%]"),
        Column("Accuracy: own test [95\u00a0%]"),
        Column("Accuracy: difference [95\u00a0%]", hint=HINTS["difference"]),
        Column("Accuracy: estimated shares [95\u00a0%]", hint=HINTS["estimated"]),
        Column("Log loss: here [95\u00a0%]"),
        Column("Log loss: own test [95\u00a0%]"),
        Column("Log loss: difference [95\u00a0%]", hint=HINTS["difference"]),
        Column("Calibration error: here", hint=HINTS["error"]),
        Column("Calibration error: own test", hint=HINTS["error"]),
        Column("Unlike", hint=HINTS["unlike"]),
        Column("Sets: hold the true class [95\u00a0%]", hint=HINTS["sets"]),
        Column("Sets: own test [95\u00a0%]", hint=HINTS["sets"]),
        Column("Sets: classes in one", hint="the mean"),
    ]
    for model, found in scored.items():
        tried, own = found["tried"], found["own"]
        # Only a report, which knows the chosen one, has a place for each model.
        cells = [Cell(model, link=f"model-{model}" if badges else None, badge=badges.get(model))]
        for measure in ("balanced_accuracy", "accuracy", "log_loss"):
            cells += [metric(tried["metrics"], measure), metric(own["metrics"], measure) if own else Cell(ABSENT)]
            cells.append(_difference(found["difference"][measure]) if own else Cell(ABSENT))
            cells += [] if measure == "log_loss" else [metric(found["estimated"]["metrics"], measure)]
        cells += [_error(tried), _error(own) if own else Cell(ABSENT)]
        cells.append(number(found["unlike"]["far"]) if found["unlike"] else Cell(ABSENT))
        cells += [metric(part["sets"], "covered") if part and part["sets"] else Cell(ABSENT) for part in (tried, own)]
        shown.add(*cells, number(tried["sets"]["size"] if tried["sets"] else None, 2))
    return shown


def _classes(name: str, model: str, found: Found) -> Table:
    shown = Table(f"external-{name}-classes", f"{model} on the photos of {name}, class by class")
    shown.columns = [
        Column("Class", False),
        Column("Photos"),
        Column("Recall: here [95\u00a0%]"),
        Column("Recall: own test [95\u00a0%]"),
        Column("Answered so [95\u00a0%]", hint="the share of all these photos that are answered with the class"),
        Column("Sets hold it [95\u00a0%]", hint=HINTS["sets"]),
    ]
    own = found["own"]["per_class"] if found["own"] else [None] * len(found["tried"]["per_class"])
    held = found["tried"]["sets"]["classes"] if found["tried"]["sets"] else [None] * len(own)
    for here, there, sets in zip(found["tried"]["per_class"], own, held, strict=True):
        shown.add(
            class_title(here["label"], here["name"]),
            count(here["n"]),
            _recall(here),
            _recall(there) if there else Cell(ABSENT),
            interval(here["answered"], here["answered_low"], here["answered_high"]),
            metric(sets, "covered") if sets else Cell(ABSENT),
        )
    return shown


def _shares(name: str, model: str, found: Found) -> Table:
    estimated = found["estimated"]
    shown = Table(f"external-{name}-shares", f"The class shares of {name}, as {model} estimates them without labels")
    shown.columns = [Column("Class", False), Column("Estimated"), Column("Found")]
    for entry in found["tried"]["per_class"]:
        label = entry["label"]
        shown.add(
            class_title(label, entry["name"]), number(estimated["shares"][label]), number(estimated["found"][label])
        )
    return shown


def _sites(name: str, model: str, found: Found) -> Table | None:
    if not found["sites"]:
        return None
    shown = Table(f"external-{name}-sites", f"{model} on the photos of {name}, site by site")
    shown.columns = [
        Column("Site", False),
        Column("Photos"),
        Column("Groups"),
        Column("Accuracy [95\u00a0%]"),
        Column("Balanced accuracy [95\u00a0%]"),
        Column("Log loss [95\u00a0%]"),
    ]
    for site in found["sites"]:
        scores = [metric(site, measure) for measure in ("accuracy", "balanced_accuracy", "log_loss")]
        shown.add(site["site"], count(site["n"]), count(site["groups"]), *scores)
    return shown


def _confusion(found: Found, name: str, model: str) -> str:
    scores = {"tried": found["tried"]} | ({"own": found["own"]} if found["own"] else {})
    return plots.confusion(scores, f"{model} on {name}", {"tried": name, "own": "own test"})


def _recall(entry: Found) -> Cell:
    return interval(entry["recall"], entry["recall_low"], entry["recall_high"])


def _error(part: Found) -> Cell:
    found = part["calibration"]
    return number(found["ece"], note=f"perfect: {found['perfect']['mean']:.3f}")


def _difference(gap: Mapping[str, float | None]) -> Cell:
    text = signed(gap["value"])
    if gap["low"] is None or gap["high"] is None:
        return text
    return Cell(text.text, text.sort, note=f"{signed(gap['low']).text} to {signed(gap['high']).text}")


def _share(estimate: Mapping[str, Any]) -> str:
    if estimate["low"] is None:
        return f"{100 * estimate['value']:.1f}\u00a0%"
    return f"{100 * estimate['value']:.1f}\u00a0% [{100 * estimate['low']:.1f} to {100 * estimate['high']:.1f}]"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")
