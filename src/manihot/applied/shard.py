"""What the members of a model say of the photos of a shard."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from manihot.applied.load import load_model
from manihot.applied.model import Model


def ready(folder: str, threads: int) -> Model:
    """The model in a folder, which computes in so many threads."""
    torch.set_num_threads(threads)
    return load_model(folder, workers=threads)


def look(
    model: Model, listing: Sequence[Mapping[str, str]], root: Path, progress: Callable[[int, int, str], None]
) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """What `Model.own_batches` says of the photos in `root` that a listing names, of all of them.

    `image_id` is the listing's. A photo that is listed with a problem is not opened.

    Returns:
        The table, a row a photo in the order of the listing, and what the members say of those without a problem,
        float32 [members, usable, K].
    """
    problems = [row["problem"] for row in listing]
    usable = [row for row, problem in enumerate(problems) if not problem]
    tables, said = [], [np.empty((len(model.members), 0, len(model.labels)), np.float32)]
    done = 0
    for table, own in model.own_batches(root / listing[row]["image_id"] for row in usable):
        tables.append(table)
        said.append(own.astype(np.float32))
        done += len(table)
        progress(done, len(usable), "photos")
    whole = pd.DataFrame({"image_id": [row["image_id"] for row in listing], "problem": problems}, dtype="str")
    if model.reference is not None:
        whole["unlike"] = np.nan
    if tables:
        found = pd.concat(tables, ignore_index=True).drop(columns="image_id").set_axis(usable)
        for column in found:
            whole.loc[usable, column] = found[column]
    return whole, np.concatenate(said, axis=1)
