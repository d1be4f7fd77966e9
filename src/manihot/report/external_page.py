"""The page of an evaluation: one model on labelled photos outside of its study."""

from pathlib import Path

from manihot.core import files
from manihot.report import external_section
from manihot.report.render import render
from manihot.report.results import chart


def build(evaluation: Path, output: Path, name: str) -> None:
    """Write the page of an evaluation (evaluation.json) of the photos that are called `name`."""
    found = files.read_json(evaluation)
    model = found["model"]
    entry = external_section.section(name, found["photos"], {model: found}, {}, lambda _, text: chart(text))
    shown = {"entry": entry, "model": model, "kind": found["kind"], "folder": name, "body": external_section.BODY}
    files.write_text(output, render("evaluation.html", None, shown))
