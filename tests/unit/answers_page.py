"""A page of answers to new photos that are made up, from the tables that `make predict` writes."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from manihot.applied import joined
from manihot.core import files
from manihot.photos.leaves import BLIGHT, leaves_in_field
from manihot.report import new_photos

CLASSES = [{"label": "9", "name": "Rust"}, {"label": "10", "name": "Healthy"}]
ASKED = {"shares": "equal", "coverage": 0.9, "none_above": 99.0, "group_pattern": None, "files": {"record": "ab" * 32}}


def build(
    folder: Path,
    answers: pd.DataFrame,
    problems: pd.DataFrame,
    pattern: str | None = None,
    copies: pd.DataFrame | None = None,
) -> Path:
    """The page `folder/page.html` of answers to the photos in `folder/photos`."""
    found = joined.join([answers.assign(problem=""), problems], ["9", "10"], 99.0, pattern, copies)
    model = {"name": "net", "kind": "network", "classes": CLASSES}
    for name in ("predictions", "problems", "groups"):
        if getattr(found, name) is not None:
            files.write_table(folder / f"{name}.csv", getattr(found, name))
    files.write_json(folder / "record.json", joined.record(found, model, ASKED, {".txt": 1}))
    new_photos.build(folder, folder / "page.html", folder / "photos")
    return folder / "page.html"


def with_leaves(folder: Path, count: int = 60) -> Path:
    """The page of `count` photos of leaves, some of them of one plant, unlike the study's, unsure, copies or damaged."""
    rng = np.random.default_rng(1)
    names = [f"field_north_2026/plant{n // 4:02}_side{n % 4}.jpg" for n in range(count)]
    (folder / "photos" / "field_north_2026").mkdir(parents=True)
    for number, name in enumerate(names):
        leaves_in_field(rng, BLIGHT if number % 3 else None).save(folder / "photos" / name, quality=80)
    first = np.where(np.arange(count) % 3 > 0, 0.97, 0.06) + rng.normal(0, 0.01, count)
    first[::10] = np.linspace(0.35, 0.65, len(first[::10]))
    unlike = rng.uniform(0, 98, count).round(2)
    unlike[5:8] = 100.0
    table: dict[str, Any] = {
        "image_id": names,
        "answer": np.where(first > 0.5, "9", "10"),
        "probability": np.maximum(first, 1 - first),
        "set": np.where(np.abs(first - 0.5) < 0.2, "9;10", np.where(first > 0.5, "9", "10")),
        "unlike": unlike,
        "p0": first,
        "p1": 1 - first,
    }
    problems = pd.DataFrame({"image_id": ["field_north_2026/empty.jpg"], "problem": ["empty file"]})
    copies = pd.DataFrame({"image_id": [names[9]], "copy_of": ["leaves/field_photo_of_the_study_000123.jpg"]})
    return build(folder, pd.DataFrame(table), problems, r"(plant\d+)_", copies)
