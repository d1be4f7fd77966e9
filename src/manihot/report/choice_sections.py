"""The chosen model of each split: its test score, how sure the choice was, and who else could have been chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from manihot.report.model_sections import Model, Scores
from manihot.report.results import Results
from manihot.report.tables import ABSENT, Cell, Table, columns, count, number

CHOSEN, BEST_OF_FAMILY = "chosen", "best of its family"
TEXT = ("Model", "Family", "Compared")
HINTS = {
    "balanced accuracy": "mean over the repeats with other seeds: a model is chosen by this",
    "chosen in": "of the resamples of the out-of-fold photos",
    "Compared": "whether it could be chosen",
}
WHY_NOT = {"leak": "no: trained on tested photos", "photos": "no: validated on other photos"}
Choice = Mapping[str, Any]


def choices(results: Results, models: Sequence[Model]) -> dict[str, Choice | None]:
    """The choice of each split, the study's main one (that of its first model) first; None where there is none yet."""
    splits = dict.fromkeys(model["split"] for model in models)
    return {split: results.json(f"scores/choice/{split}.json") for split in splits}


def badges(made: Mapping[str, Choice | None]) -> dict[str, str]:
    """The badge of each model that has one: CHOSEN, or BEST_OF_FAMILY."""
    there = [choice for choice in made.values() if choice]
    best = {name: BEST_OF_FAMILY for choice in there for name in choice["families"].values()}
    return best | {choice["chosen"]: CHOSEN for choice in there if choice["chosen"]}


def headlines(results: Results, models: Sequence[Model], made: Mapping[str, Choice | None]) -> list[dict[str, Any]]:
    """For each split, its chosen model's test accuracy beside the majority class, and how sure the choice was."""
    said: list[dict[str, Any]] = []
    for split, choice in made.items():
        score = results.score(choice["chosen"], "test") if choice and choice["chosen"] else None
        if choice is None or score is None or "test" not in choice["estimate"]:
            leaks = all(model["leak"] for model in models if model["split"] == split)
            why = ": all of them were trained on tested photos (leak)" if leaks else ""
            said.append({"split": split, "missing": f"no model of the split {split} has been chosen and tested{why}"})
            continue
        accuracy, baseline = choice["estimate"]["test"]["accuracy"], score["baseline"]["accuracy"]["value"]
        beside = "not clearly different from"
        if accuracy["low"] > baseline or accuracy["high"] < baseline:
            beside = "clearly above" if accuracy["low"] > baseline else "clearly below"
        said.append(
            {"split": split, "model": choice["chosen"], "chosen_how": _how(choice), "photos": score["n"], **accuracy}
            | {"sure": _sure(choice), "corrected": _corrected(choice), "whole": _whole(choice["chosen"], models)}
            | {
                "baseline": baseline,
                "beside": beside,
                "groups": score["groups"],
                "sites": score["answers"]["calibrated"]["sites"],
            }
            | {"given_groups": (results.split_record(split) or {}).get("given_groups", 0)}
        )
    return said


def tables(made: Mapping[str, Choice | None], scores: Scores) -> list[dict[str, Any]]:
    """For each split with a choice, its candidates and, where there are several families, the best of each."""
    return [
        {
            "split": split,
            "candidates": _candidates(split, choice),
            "families": _families(split, choice, scores) if len(choice["families"]) > 1 else None,
        }
        for split, choice in made.items()
        if choice and choice["candidates"]
    ]


def _comparable(choice: Choice) -> list[Mapping[str, Any]]:
    """The comparable candidates, the one chosen most often first."""
    fair = [candidate for candidate in choice["candidates"] if candidate["comparable"]]
    return sorted(fair, key=lambda candidate: candidate["chosen_share"] or 0, reverse=True)


def _how(choice: Choice) -> str:
    """By what the chosen model was chosen."""
    fair = _comparable(choice)
    if len(fair) == 1:
        return "the only candidate, so that nothing was chosen"
    own = next(candidate for candidate in fair if candidate["model"] == choice["chosen"])
    over = f", mean of {len(own['repeats'])} seeds" if len(own["repeats"]) > 1 else ""
    return f"the best of {len(fair)} by balanced accuracy out of fold ({own['balanced_accuracy']:.3f}{over})"


def _sure(choice: Choice) -> str:
    """How often photos that came out otherwise would have chosen the same model."""
    fair = _comparable(choice)
    if len(fair) == 1:
        return ""
    share = next(each["chosen_share"] for each in fair if each["model"] == choice["chosen"])
    other = next(each for each in fair if each["model"] != choice["chosen"])
    text = f"{_percent(share)} of resamples of the out-of-fold photos choose it again"
    if other["chosen_share"]:
        text += f", {_percent(other['chosen_share'])} choose {other['model']}"
    return f"{text}."


def _corrected(choice: Choice) -> str:
    """How much of the chosen model's out-of-fold score is owed to the choice."""
    found = choice["out_of_fold"]
    if found is None:
        return ""
    own, after = found["own"]["balanced_accuracy"], found["corrected"]["balanced_accuracy"]
    if after["value"] is None:
        return (
            "How much better the choice made it look cannot be told: all photos that some class has out of fold are of "
            "one group."
        )
    points = 100 * (own - after["value"])
    looks = f"the choice itself made it look better by {points:.1f} points"
    if points < 0.05:
        looks = "the choice itself did not make it look better"
    return (
        f"Corrected for the choice, balanced accuracy out of fold is {after['value']:.3f} "
        f"[{after['low']:.3f}–{after['high']:.3f}]: {looks}."
    )


def _whole(chosen: str, models: Sequence[Model]) -> str:
    """Where the chosen model was fitted on one fold: which model is fitted like it on the whole pool."""
    known = {model["name"]: model for model in models}
    of = known[chosen]
    fitted_as = of["experiment"] or chosen
    refit = next((m["name"] for m in models if m["folds"] == [0] and m["based_on"] == fitted_as), None)
    if len(of["folds"]) > 1 or refit is None:
        return ""
    return (
        f"It was fitted on all folds but fold {of['folds'][0]}, by which it was chosen and calibrated. {refit} is "
        "fitted in the same way on the whole pool: the model to use, which has no photo left to be chosen by."
    )


def _compared(candidate: Mapping[str, Any]) -> str:
    return "yes" if candidate["comparable"] else WHY_NOT[candidate["why_not"]]


def _percent(share: float) -> str:
    return "< 1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def _candidates(split: str, choice: Choice) -> Table:
    titles = ("Model", "Family", "Seeds", "Out of fold: balanced accuracy", "Out of fold: chosen in", "Compared")
    shown = Table(f"candidates-{split}", f"Who could have been chosen in {split}")
    shown.columns = [replace(each, hint=HINTS.get(each.short, "")) for each in columns(*titles, text=TEXT)]
    ordered = sorted(choice["candidates"], key=lambda each: (-each["comparable"], -each["balanced_accuracy"]))
    for each in ordered:
        name, share = each["model"], each["chosen_share"]
        shown.add(
            Cell(name, link=f"model-{name}", badge=CHOSEN if name == choice["chosen"] else None),
            each["family"],
            count(len(each["repeats"])),
            number(each["balanced_accuracy"]),
            Cell(ABSENT) if share is None else Cell(_percent(share), share),
            _compared(each),
            tags=CHOSEN if name == choice["chosen"] else "",
        )
    return shown


def _families(split: str, choice: Choice, scores: Scores) -> Table:
    titles = (
        "Family",
        "Its best model",
        "Out of fold: photos",
        "Out of fold: balanced accuracy",
        "Test: accuracy [95\u00a0%]",
        "Compared",
        "To be quoted",
    )
    shown = Table(f"families-{split}", f"The best of each family in {split}")
    shown.columns = columns(*titles, text=("Family", "Its best model", "Compared", "To be quoted"))
    known = {candidate["model"]: candidate for candidate in choice["candidates"]}
    for family, name in choice["families"].items():
        shown.add(
            family,
            Cell(name, link=f"model-{name}"),
            count(known[name]["n"]),
            number(known[name]["balanced_accuracy"]),
            scores.accuracy(f"{name}/calibrated", "test"),
            _compared(known[name]),
            "yes" if name == choice["chosen"] else "no",
            tags=CHOSEN if name == choice["chosen"] else "",
        )
    return shown
