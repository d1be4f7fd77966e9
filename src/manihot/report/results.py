"""What the report reads: a study's result files by their paths; one that is not there reads as None."""

import base64
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from manihot.core import files
from manihot.core.tables import read_photos
from manihot.figures import fitting, plots, svg

TEXT = ("dataset", "image_id", "label", "name", "model", "kind", "part", "family", "based_on", "stage")


class Results:
    """A study's results folder; `figures` collects the charts of the page that are also files, by their paths."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.figures: dict[str, str] = {}

    def table(self, path: str) -> pd.DataFrame | None:
        """A CSV table; ids, labels and names stay text."""
        whole = self.folder / path
        if not whole.is_file():
            return None
        return pd.read_csv(
            whole, dtype=dict.fromkeys(TEXT, "str"), na_filter=True, keep_default_na=False, na_values=[""]
        )

    def photos(self, path: str) -> pd.DataFrame | None:
        """A table of photos (catalog, split, predictions)."""
        whole = self.folder / path
        return read_photos(whole) if whole.is_file() else None

    def json(self, path: str) -> Any:
        """The content of a JSON file."""
        whole = self.folder / path
        return files.read_json(whole) if whole.is_file() else None

    def picture(self, path: str) -> str | None:
        """A JPEG file as a data URI."""
        whole = self.folder / path
        if not whole.is_file():
            return None
        return f"data:image/jpeg;base64,{base64.b64encode(whole.read_bytes()).decode()}"

    def figure(self, path: str, text: str) -> dict[str, Any]:
        """The SVG `text` as a chart of the page, which is also a file of this path below `figures/`."""
        self.figures[path] = text
        return chart(text)

    def curves(self, model: Mapping[str, Any]) -> dict[str, Any] | None:
        """A model's learning curves, or the losses by which its penalty was chosen.

        None where no fold has been fitted, or it has the fits of another model.
        """
        if model["kind"] == "tta":
            return None
        paths = {fold: f"models/{model['name']}/fold{fold}/history.csv" for fold in model["folds"]}
        histories = {fold: table for fold, path in paths.items() if (table := self.table(path)) is not None}
        if not histories:
            return None
        tuned = all("C" in history for history in histories.values())
        draw = fitting.penalties if tuned else fitting.curves
        return self.figure(f"curves/{model['name']}.svg", draw(histories, model["name"]))

    def confusion(self, model: str) -> dict[str, Any] | None:
        """A model's confusion matrices on the test and out of fold; None where it has not been scored on both."""
        scores = {part: self.json(f"scores/{model}/{part}.json") for part in ("test", "validation")}
        if None in scores.values():
            return None
        return self.figure(f"confusion/{model}.svg", plots.confusion(scores, model))

    def split_record(self, split: str) -> dict[str, Any] | None:
        """Classes, counts and conflicts of a split."""
        return self.json(f"splits/{split}.json")

    def score(self, model: str, part: str) -> dict[str, Any] | None:
        """The scores of a model on a part; None also where the part holds no photo."""
        score = self.json(f"scores/{model}/{part}.json")
        return score if score and score["n"] else None

    def predictions(self, model: str, part: str) -> pd.DataFrame | None:
        """The ensemble's table of a part."""
        return self.photos(f"predictions/{model}/{part}.csv")

    @cached_property
    def costs(self) -> pd.DataFrame:
        """The row of costs of every job that the study has, in the order of their file names."""
        rows = [row for path in sorted(self.folder.glob("costs/**/*.csv")) for row in files.read_rows(path)]
        # A job that the study no longer has keeps its costs, but not its settings.
        rows = [row for row in rows if (self.folder / "settings" / row["stage"] / f"{row['name']}.json").exists()]
        numbers = ["seconds", "photos", "photos_per_second", "peak_memory_mb", "threads", "reused"]
        table = pd.DataFrame(rows, columns=["stage", "name", *numbers, "device", "precision", "host"])
        table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce")
        return table


def chart(text: str) -> dict[str, Any]:
    """An SVG text as the template shows it. It was escaped when it was plotted."""
    title, finding = svg.text_alternative(text)
    width = float(text.split('width="', 1)[1].split("pt", 1)[0])
    return {"svg": Markup(svg.bare(svg.themed(text))), "title": title, "finding": finding, "width": width}
