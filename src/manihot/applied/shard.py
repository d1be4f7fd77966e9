"""The answers of a model to the photos of a shard."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch

from manihot.applied.load import load_model
from manihot.applied.model import Model, Shares


def ready(folder: str, threads: int) -> Model:
    """The model in a folder, which computes in so many threads."""
    torch.set_num_threads(threads)
    return load_model(folder, workers=threads)


def answer(
    model: Model,
    listing: Sequence[Mapping[str, str]],
    root: Path,
    shares: Shares,
    coverage: float,
    progress: Callable[[int, int, str], None],
) -> pd.DataFrame:
    """What `Model.predict` says of the photos in `root` that a listing names, a row a photo in its order.

    `image_id` is the listing's. A photo that is listed with a problem is not opened.
    """
    problems = [row["problem"] for row in listing]
    usable = [row for row, problem in enumerate(problems) if not problem]
    tables = [model.predict([])]
    done = 0
    for table in model.predict_batches((root / listing[row]["image_id"] for row in usable), shares, coverage):
        tables.append(table)
        done += len(table)
        progress(done, len(usable), "photos")
    answers = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    answers.index = pd.Index(usable)
    whole = answers.reindex(range(len(listing)))
    whole["image_id"] = pd.Series([row["image_id"] for row in listing], dtype="str")
    whole["problem"] = whole["problem"].fillna(pd.Series(problems, dtype="str"))
    return whole
