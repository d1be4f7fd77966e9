"""The sections on what an answer leaves open: the classes that a photo may have, and how unlike others it is."""

from collections.abc import Mapping, Sequence
from typing import Any

from manihot.applied.sets import REFIT
from manihot.core.classes import class_title
from manihot.core.names import PART_TITLES
from manihot.report.results import Results
from manihot.report.tables import ABSENT, Cell, Column, Table, count, metric, number

Model = Mapping[str, Any]
TESTS = ("test", "test_as_found")
METHODS = {"cv+": "folds (CV+)", "split": "one fold", REFIT: "scores of its folds"}


def sets(results: Results, models: Sequence[Model], badges: Mapping[str, str]) -> dict[str, Any] | None:
    """How often the sets of each model hold the true class, and class by class those of the models with a badge; None
    where no model has sets on a test."""
    told = {
        (model["name"], part): score["sets"]
        for model in models
        for part in TESTS
        if (score := results.score(model["name"], part)) and "sets" in score
    }
    if not told:
        return None
    shown = Table("sets", "The prediction sets of every model on the tests")
    shown.columns = [
        Column("Model", False),
        Column("Photos of", False),
        Column("Judged by", False, hint="whose scores a photo is held against"),
        Column("Photos"),
        Column("Hold the true class [95\u00a0%]", hint="the share of photos whose set holds their class"),
        Column("Worst class", hint="the share of the class whose photos' sets hold it least often"),
        Column("Classes in a set", hint="the mean"),
        Column("One class", hint="the share of sets with a single class"),
    ]
    for (name, part), found in told.items():
        there = [entry["covered"]["value"] for entry in found["classes"] if entry["n"]]
        shown.add(
            Cell(name, link=f"model-{name}", badge=badges.get(name)),
            PART_TITLES[part].capitalize(),
            METHODS[found["method"]],
            count(found["n"]),
            metric(found, "covered"),
            number(min(there)),
            number(found["size"], 2),
            number(found["single"]),
        )
    chosen = [key for key in told if badges.get(key[0]) == "chosen"] or list(told)[:1]
    asked = next(iter(told.values()))["coverage"]
    return {
        "asked": asked,
        "table": shown,
        "classes": [_classes(name, part, told[name, part]) for name, part in chosen],
        "said": [guarantee(method, asked) for method in METHODS if method in {e["method"] for e in told.values()}],
    }


def guarantee(method: str, coverage: float) -> str:
    """What is guaranteed of sets that are judged by this method, in words."""
    asked = 100 * coverage
    if method == REFIT:
        return (
            "Of a refit nothing is guaranteed: no photo was held out from it, and its sets are judged by the scores of "
            "its folds. How often they hold the true class was only measured."
        )
    if method == "split":
        return f"With one fold, {asked:g}\u00a0% of the new photos of a class are guaranteed, in the mean over studies."
    return (
        f"With several folds (CV+), {max(0.0, 2 * asked - 100):g}\u00a0% of the new photos of a class are guaranteed, "
        f"in the mean over studies, less a little for few photos; what is found is about {asked:g}\u00a0%."
    )


def _classes(model: str, part: str, found: Mapping[str, Any]) -> Table:
    shown = Table(f"sets-{model}-{part}", f"The sets of {model}, class by class: {PART_TITLES[part]}")
    shown.columns = [
        Column("Class", False),
        Column("Photos"),
        Column("Hold it [95\u00a0%]"),
        Column("Guaranteed", hint="the least share, in the mean over studies"),
        Column(
            "Judged by", hint="photos of the class whose scores judge it, one a group; a dash: those of all classes"
        ),
        Column("Classes in a set"),
    ]
    for entry in found["classes"]:
        shown.add(
            class_title(entry["label"], entry["name"]),
            count(entry["n"]),
            metric(entry, "covered"),
            number(entry["guaranteed"]),
            count(entry["scores"]) if entry["scores"] else Cell(ABSENT),
            number(entry["size"], 2),
        )
    return shown


def unlike(results: Results, splits: Sequence[str], models: Sequence[Model]) -> list[dict[str, Any]]:
    """Whether how unlike a photo is tells strange photos, for each split that models are fitted on: a table, why there
    is none, or what is missing."""
    return [_split(results, name, name in splits) for name in dict.fromkeys(model["split"] for model in models)]


def _split(results: Results, name: str, asked: bool) -> dict[str, Any]:
    if not asked:
        return {
            "name": name,
            "none": f"The split {name} has no frozen backbone whose network comes from outside of this study: its "
            "models do not say how unlike a photo is. A network that was trained on these photos keeps only what tells "
            "its classes apart.",
        }
    told = results.json(f"scores/unlike/{name}.json")
    if told is None:
        return {"name": name, "missing": f"how unlike photos are in the split {name}"}
    shown = Table(f"unlike-{name}", f"How unlike the photos of {name} others are")
    shown.columns = [
        Column("Photos", False),
        Column("Number"),
        Column("Median", hint="of how unlike they are, 0 to 100"),
        Column(f"Above {told['limit']:g}", hint="the share of photos that would be called strange"),
        Column("AUROC [95\u00a0%]", hint="how often such a photo is more unlike than a tested one: 0.5 is chance"),
    ]
    for kind, entry in [("tested photos of this study", told["own"]), *((e["kind"], e) for e in told["kinds"])]:
        area = metric(entry, "auroc") if "auroc" in entry else Cell(ABSENT)
        shown.add(kind, count(entry["n"]), number(entry["median"], 1), number(entry["far"]), area)
    return {"name": name, "network": told["network"], "reference": told["reference"], "table": shown}
