"""Could a model cheat? What facts that are no plant tell of the label, and what photos without their middle tell.

Both are hints and no verdicts: a site may truly have more of one disease, and the border of a photo shows leaf too.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from manihot.core.classes import full_title
from manihot.pixels.middle import area
from manihot.scores import comparisons, fact_model, facts, information, intervals
from manihot.scores.outcomes import Classes
from manihot.scores.score import Marked, score
from manihot.splits.folds import targets

# A fact whose p is above the first, or that tells less than the second of the label, has no sentence.
BY_CHANCE, LITTLE = 0.01, 0.05
# A folder or a name that tells more of the label than this may be the label in other words.
THE_LABEL = 0.95
MAY_SPELL = ("folder", "name")


def probe_facts(
    split: pd.DataFrame,
    catalogs: pd.DataFrame,
    classes: Classes,
    *,
    majority: str,
    seed: int,
    resamples: int,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """What facts tell of the labels in the pool of `split`, and the predictions of a classifier on them out of fold.

    The record has photos, groups, `facts` (for each that differs among the photos, the most telling first: key,
    title, values, share, by_chance, p of `information.told`, and its sentence or None), `alike` (titles of facts
    that are the same for all photos), `without` (keys that the classifier was not given: they may be the label in
    other words) and `score` (that of `scores.score`; None where no fact differs). No test photo is looked at.

    Raises:
        StudyError: a photo is in no catalog, or a label not among the classes.
    """
    pool = split[(split["role"] == "pool") & split["fold"].notna()]
    table = facts.facts_table(pool[["dataset", "image_id", "label", "fold"]], catalogs, classes)
    labels = [entry["label"] for entry in classes]
    differ, alike = facts.varying(table)
    groups = intervals.group_codes(table, catalogs)
    measured = information.told(table[differ], targets(table, labels), groups, seed=seed)
    told = [
        {
            "key": key,
            "title": facts.FACTS[key].title,
            **entry,
            "sentence": sentence(table, key, entry, classes),
        }
        for key, entry in sorted(measured.items(), key=lambda item: -item[1]["share"])
    ]
    without = [key for key in MAY_SPELL if key in measured and measured[key]["share"] >= THE_LABEL]
    predictions = fact_model.out_of_fold(table, labels, without, seed)
    scored = None
    if len(predictions):
        scored = score(predictions, catalogs, classes, seed=seed, resamples=resamples, marked=Marked(majority=majority))
    record = {
        "photos": len(table),
        "groups": int(groups.max()) + 1,
        "facts": told,
        "alike": [facts.FACTS[key].title for key in facts.known(table, alike)],
        "unknown": [facts.FACTS[key].title for key in alike if key not in facts.known(table, alike)],
        "without": without,
        "score": scored,
    }
    return record, predictions


def sentence(table: pd.DataFrame, key: str, entry: Mapping[str, float], classes: Classes) -> str | None:
    """What a fact tells of the label in plain words, with its clearest example; None where that is little or chance."""
    if entry["p"] > BY_CHANCE or entry["share"] < LITTLE:
        return None
    best = information.example(pd.crosstab(table[key], table["label"]))
    names = {e["label"]: full_title(e["label"], e["name"]) for e in classes}
    name, says = names[best["label"]], facts.in_words(key, best["value"])
    others = best["photos"] - best["with_label"]
    if best["both"] >= 0.5 * best["with_label"] and others:
        elsewhere = percent(best["with_value"] - best["both"], others)
        shown = f"{_part(best['both'], best['with_label'])} of “{name}” {says}, and {elsewhere} of the others"
    else:
        usual = percent(best["with_label"], best["photos"])
        shown = f"{_part(best['both'], best['with_value'])} that {says} are of “{name}”, and {usual} of all photos"
    return f"The {facts.FACTS[key].title} tells {percent(entry['share'], 1)} of the label: {shown}."


def percent(part: float, whole: float) -> str:
    """A share in whole percent; "none", "all" and what would be rounded to them are kept apart."""
    if part <= 0:
        return "none"
    if part >= whole:
        return "all"
    rounded = round(100 * part / whole)
    said = f"{rounded or 1}\u00a0%" if rounded < 100 else "99\u00a0%"
    return f"less than {said}" if rounded == 0 else f"more than {said}" if rounded == 100 else said


def _part(part: int, whole: int) -> str:
    said = percent(part, whole)
    return f"all {whole:,} photos" if said == "all" else f"{said} of the {whole:,} photos"


def weigh_masked(
    masked: pd.DataFrame,
    whole: pd.DataFrame,
    catalogs: pd.DataFrame,
    classes: Classes,
    *,
    size: int,
    seed: int,
    resamples: int,
) -> dict[str, Any]:
    """What a head makes of photos without their middle, beside the same head on whole photos, both out of fold.

    The record has n, groups, `photos` (as in `scores.score`), `area` (the share of it that is masked in a photo of
    `size` pixels a side), `masked` and `whole` (metrics with intervals) and
    `compared` (masked minus whole, as `comparisons.compare` gives it). `{"n": 0}` where there is no photo.

    Raises:
        StudyError: a photo is in no catalog, or a prediction is not a number.
    """
    resampling: dict[str, Any] = {"seed": seed, "resamples": resamples}
    scored = [score(table, catalogs, classes, **resampling) for table in (masked, whole)]
    if not scored[0]["n"]:
        return {"n": 0}
    return {
        **{key: scored[0][key] for key in ("n", "groups", "photos")},
        "area": area(size),
        "masked": scored[0]["metrics"],
        "whole": scored[1]["metrics"],
        "compared": comparisons.compare([masked], [whole], catalogs, classes, **resampling)["metrics"],
    }
