"""The page of a model's answers to new photos: one HTML file that holds everything it shows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from manihot.applied.joined import NONE_OF_THESE
from manihot.core import files
from manihot.report.render import render
from manihot.report.tables import Cell, Table, columns, count, number
from manihot.report.thumbnails import thumbnail

TEXT = ("image_id", "answer", "set", "review", "copy_of", "group", "problem")
MAX_PIXELS = 100_000_000
# The most that the page shows, so that of any number of photos it is a file of a few MB.
FEWEST_FIRST, MOST_FIRST, MOST_OF_CLASS, MOST_OF_CLASSES = 14, 60, 6, 120
MOST_ROWS, MOST_GROUPS, MOST_PROBLEMS = 5000, 2000, 1000


def build(folder: Path, output: Path, photos: Path, max_pixels: int = MAX_PIXELS) -> None:
    """Write the page of the answers in `folder` (predictions.csv, problems.csv, record.json and, where there is one,
    groups.csv); `photos` is the folder of the photos."""
    tables = {name: _read(folder / f"{name}.csv") for name in ("predictions", "problems", "groups")}
    shown = contents(files.read_json(folder / "record.json"), tables, photos, max_pixels)
    page = render("new_photos.html", "new_photos.js", {**shown, "folder": photos.resolve().name})
    files.write_text(output, page)


def contents(
    record: Mapping[str, Any], tables: Mapping[str, pd.DataFrame | None], photos: Path, max_pixels: int
) -> dict[str, Any]:
    """Everything that the template shows, of the record and the tables of `build`."""
    answers, problems, groups = tables["predictions"], tables["problems"], tables["groups"]
    assert answers is not None and problems is not None, "the tables of the answers are there"
    ranked = by_need(answers)
    names = {entry["label"]: entry["name"] for entry in record["model"]["classes"]}
    first = ranked.head(max(FEWEST_FIRST, min(MOST_FIRST, record["photos"]["review"])))
    each = {label: answers[answers["answer"] == label].nlargest(MOST_OF_CLASS, "probability") for label in names}
    shown_classes = [label for label in names if len(each[label])][: MOST_OF_CLASSES // MOST_OF_CLASS]

    def show(row: Any) -> dict[str, Any]:
        captions = [f"{_title(names, row.answer)}, {row.probability:.2f}", *filter(None, [row.review])]
        source = thumbnail(photos, row.image_id, max_pixels)
        return {"source": source, "name": row.image_id, "captions": captions, "tone": ""}

    return {
        "record": record,
        "told": [column for column in ("set", "unlike", "copy_of") if column in answers],
        "classes": _classes(record, names),
        "first": [show(row) for row in first.itertuples()],
        "each": [
            {"title": _title(names, label), "photos": [show(row) for row in each[label].itertuples()]}
            for label in shown_classes
        ],
        "classes_left": sum(1 for label in names if len(each[label])) - len(shown_classes),
        "answers": _answers(ranked.head(MOST_ROWS), names),
        "rows_left": max(0, len(answers) - MOST_ROWS),
        "labels": [(label, _title(names, label)) for label in names if len(each[label])],
        "groups": None if groups is None else _groups(groups.head(MOST_GROUPS), names),
        "groups_left": 0 if groups is None else max(0, len(groups) - MOST_GROUPS),
        "problems": _problems(problems.head(MOST_PROBLEMS)),
        "problems_left": max(0, len(problems) - MOST_PROBLEMS),
    }


def by_need(answers: pd.DataFrame) -> pd.DataFrame:
    """The answers, those that a person should look at first before the others: of these, the ones that are said to be
    none of the classes, the most unlike the photos of the study first; of all else the less sure first."""
    none = answers["review"].str.contains(NONE_OF_THESE, regex=False)
    unlike = answers["unlike"].where(none, -1.0) if "unlike" in answers else -1.0
    order = answers.assign(need=answers["review"] != "", unlike=unlike).sort_values(
        ["need", "unlike", "probability", "image_id"], ascending=[False, False, True, True], kind="stable"
    )
    return answers.loc[order.index]


def _read(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    table = pd.read_csv(path, dtype=dict.fromkeys(TEXT, "str"), keep_default_na=False)
    return table.astype({"review": "int64"}) if "agree" in table else table


def _title(names: Mapping[str, str], label: str) -> str:
    return label if names[label] == label else f"{label} {names[label]}"


def _classes(record: Mapping[str, Any], names: Mapping[str, str]) -> Table:
    table = Table("classes", "Answers of each class", columns("Class", "Photos", "Share", "Look first", text={"Class"}))
    answered = record["photos"]["answered"]
    for label in names:
        photos, review = record["classes"][label]
        share = photos / answered if answered else 0.0
        table.add(_title(names, label), count(photos), Cell(f"{100 * share:.1f} %", share), count(review))
    return table


def _answers(answers: pd.DataFrame, names: Mapping[str, str]) -> Table:
    heads = {"set": "May be", "unlike": "Unlike", "review": "Look first because", "group": "Plant"}
    told = [column for column in heads if column in answers]
    titles = ["Photo", "Answer", "Probability", *(heads[column] for column in told)]
    table = Table("answers", "Photos", columns(*titles, text=set(titles) - {"Probability", "Unlike"}))
    for row in answers.to_dict("records"):
        shown = {
            "set": Cell(str(row.get("set", "")).replace(";", ", ")),
            "unlike": number(row.get("unlike"), 1),
            "review": Cell(row["review"], note=row.get("copy_of") or None),
            "group": Cell(str(row.get("group", ""))),
        }
        cells = [Cell(row["image_id"]), Cell(_title(names, row["answer"])), number(row["probability"])]
        table.add(*cells, *(shown[column] for column in told), tags="look" if row["review"] else "")
    return table


def _groups(groups: pd.DataFrame, names: Mapping[str, str]) -> Table:
    titles = ("Plant", "Photos", "Answer", "Probability", "Photos that agree", "Look first")
    table = Table("groups", "Plants", columns(*titles, text={"Plant", "Answer"}))
    for row in groups.to_dict("records"):
        answer = _title(names, row["answer"])
        table.add(
            row["group"],
            count(row["photos"]),
            answer,
            number(row["probability"]),
            count(row["agree"]),
            count(row["review"]),
        )
    return table


def _problems(problems: pd.DataFrame) -> Table:
    table = Table("problems", "Photos without an answer", columns("Photo", "Why", text={"Photo", "Why"}))
    for row in problems.to_dict("records"):
        table.add(row["image_id"], row["problem"])
    return table
