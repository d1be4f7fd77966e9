"""The answers to all new photos: which of them a person should look at first, and one answer a plant."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from manihot.core.errors import StudyError
from manihot.core.tables import probabilities, probability_columns
from manihot.core.text import shorten

NONE_OF_THESE = "none of these"
TEXT = ("image_id", "answer", "set", "problem", "review", "copy_of", "group")
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Joined:
    """`predictions`, a row an answered photo; `problems`, a row a photo that cannot be used; `groups`, a row a plant
    (None where no plants are known). The tables are sorted by name."""

    predictions: pd.DataFrame
    problems: pd.DataFrame
    groups: pd.DataFrame | None


def read_answers(path: str | PathLike[str]) -> pd.DataFrame:
    """A table of answers to new photos: ids, labels and reasons are text, empty where there is none."""
    table = pd.read_csv(path, dtype=dict.fromkeys(TEXT, "str"), keep_default_na=False, na_values={"probability": [""]})
    for column in table.columns.difference(TEXT):
        table[column] = pd.to_numeric(table[column])
    return table


def read_copies(path: str | PathLike[str]) -> pd.DataFrame:
    """A table of new photos that are copies of photos of the study: all of it is text."""
    return pd.read_csv(path, dtype="str", keep_default_na=False)


def join(
    shards: Sequence[pd.DataFrame],
    labels: Sequence[str],
    none_above: float,
    group_pattern: str | None = None,
    copies: pd.DataFrame | None = None,
) -> Joined:
    """The answers of all shards, with what is to be said of each photo.

    Args:
        shards: the answers of each shard.
        labels: of the classes in the order of p0..pK.
        none_above: a photo that is more unlike the study's than so many percent of these is none of the classes.
        group_pattern: a regular expression whose one group takes a photo's plant from its path.
        copies: the new photos (`image_id`) that are copies of photos of the study (`copy_of`).

    Returns:
        The tables. `predictions` has image_id, answer, probability; set and unlike where the model has them; `review`,
        why a person should look at it first (reasons joined by `; `, empty where there is none); `copy_of` and `group`
        where they are known; p0..pK. `groups`: see `by_group`.

    Raises:
        StudyError: the pattern finds a plant in no path.
    """
    table = pd.concat(shards, ignore_index=True).sort_values("image_id", kind="stable", ignore_index=True)
    problems = table.loc[table["problem"] != "", ["image_id", "problem"]].reset_index(drop=True)
    answered = table[table["problem"] == ""].drop(columns="problem").reset_index(drop=True)
    told = [column for column in ("answer", "probability", "set", "unlike") if column in answered]
    if copies is not None:
        known = copies.drop_duplicates("image_id").set_index("image_id")["copy_of"]
        answered["copy_of"] = answered["image_id"].map(known).fillna("").astype("str")
    answered["review"] = review(answered, none_above)
    extra = ["review"] + ["copy_of"] * (copies is not None)
    if group_pattern is not None:
        answered["group"] = groups_of(answered["image_id"], group_pattern)
        extra.append("group")
    columns = ["image_id", *told, *extra, *probability_columns(len(labels))]
    grouped = by_group(answered, labels) if group_pattern is not None else None
    return Joined(answered[columns], problems, grouped)


def review(answers: pd.DataFrame, none_above: float) -> pd.Series:
    """Why a person should look at each photo first, text: it is unlike all photos of the study, several classes may be
    right, or it is a photo of the study. Empty where nothing speaks for it, or the model cannot tell."""
    said: list[list[str]] = [[] for _ in range(len(answers))]
    if "unlike" in answers:
        for row in np.flatnonzero(answers["unlike"] > none_above):
            said[row].append(NONE_OF_THESE)
    if "set" in answers:
        sizes = answers["set"].str.count(";") + 1
        for row in np.flatnonzero(sizes > 1):
            said[row].append(f"{sizes.iloc[row]} classes possible")
    if "copy_of" in answers:
        for row in np.flatnonzero(answers["copy_of"] != ""):
            said[row].append("copy of a photo of the study")
    return pd.Series(["; ".join(reasons) for reasons in said], answers.index, dtype="str")


def groups_of(image_ids: pd.Series, pattern: str) -> pd.Series:
    """The plant of each photo, what the pattern's one group matches in its path; empty where it matches nothing.

    Raises:
        StudyError: it matches nothing in any path.
    """
    matches = [re.search(pattern, image_id) for image_id in image_ids]
    found = pd.Series([(match[1] or "") if match else "" for match in matches], image_ids.index, dtype="str")
    if len(found) and not (found != "").any():
        raise StudyError(
            f"GROUP_PATTERN={pattern}: finds no plant in any path; the first is {shorten(image_ids.iloc[0])}: mend it"
        )
    return found


def by_group(answers: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """One answer a plant, of the mean of its photos' probabilities: group, photos, answer, probability, `agree` (how
    many of its photos have this answer by themselves), review (how many of them are to be looked at), p0..pK."""
    columns = probability_columns(len(labels))
    known = answers[answers["group"] != ""]
    means = known.groupby("group", sort=True)[columns].mean()
    best = means.to_numpy().argmax(axis=1) if len(means) else np.empty(0, int)
    said = pd.Series([labels[index] for index in best], means.index, dtype="str")
    of_photo = known.groupby("group", sort=True)
    agree = (known["answer"] == known["group"].map(said)).groupby(known["group"], sort=True).sum()
    looked = (known["review"] != "").groupby(known["group"], sort=True).sum()
    table = pd.DataFrame(
        {
            "photos": of_photo.size(),
            "answer": said,
            "probability": means.max(axis=1) if len(means) else pd.Series(dtype="float64"),
            "agree": agree.astype(int),
            "review": looked.astype(int),
        }
    )
    return table.join(means).reset_index(names="group")


def record(
    joined: Joined, model: Mapping[str, Any], asked: Mapping[str, Any], others: Mapping[str, int]
) -> dict[str, Any]:
    """What is known of the answers as a whole, plain content for JSON.

    schema_version; `model` (name, kind, classes); `asked` (shares, and as `target` those of each class that answers are
    for; coverage, none_above, group_pattern, and the SHA-256 of the model's files); `photos` (listed, answered, not
    usable, to look at first, and how many files of other endings lie beside them); `classes`, for each label the photos
    with this answer and those of them to look at first.
    """
    table = joined.predictions
    looked = table["review"] != ""
    counts = {
        entry["label"]: [int((mine := table["answer"] == entry["label"]).sum()), int((mine & looked).sum())]
        for entry in model["classes"]
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "model": {key: model[key] for key in ("name", "kind", "classes")},
        "asked": dict(asked),
        "photos": {
            "listed": len(table) + len(joined.problems),
            "answered": len(table),
            "not_usable": len(joined.problems),
            "review": int(looked.sum()),
            "mean_probability": float(probabilities(table, len(counts)).max(axis=1).mean()) if len(table) else None,
            "other_files": dict(others),
        },
        "classes": counts,
    }
