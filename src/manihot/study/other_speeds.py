"""Measures how fast this machine looks at photos, decodes and renders them, fits trees and heads, resamples and plots.

A library that is not installed leaves its tasks out.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from manihot.core import files
from manihot.study.tasks import Task

Clock = Callable[[], float]
# Photos at a time: some milliseconds of work.
TOGETHER = 4
# Photos in a batch of a head where none is said.
BATCH = 256


def repeated(step: Callable[[], float], clock: Clock, seconds: float) -> float:
    """Seconds of a unit; a step says how many it did, and there are as many steps as `seconds` hold, one at least."""
    begin, units = clock(), 0.0
    while not units or clock() < begin + seconds:
        units += step()
    return (clock() - begin) / units


def photo_speeds(tasks: Sequence[Task], asked: Mapping[str, Any], clock: Clock, seconds: float) -> dict[Task, float]:
    """Seconds to look at a photo for the catalog, and to decode it to each size: of the study's own photos in turn, or
    of a rendered one where there are none."""
    from manihot.catalog import inspect
    from manihot.catalog.fingerprints import Describer
    from manihot.pixels.cache import square

    with TemporaryDirectory() as folder:
        paths = [Path(path).absolute() for path in asked["photos"]]
        if not paths:
            paths = [Path(folder) / "photo.jpg"]
            paths[0].write_bytes(rendered("leaves"))
        listing, taken = Path(folder) / "listing.csv", cycle(paths)
        known: dict[str, dict[str, str]] = {}

        def look() -> float:
            names = [str(next(taken).relative_to("/")) for _ in range(TOGETHER)]
            files.write_rows(listing, ["image_id"], [{"image_id": name} for name in names])
            rows, _ = inspect.catalog_shard(listing, "/", asked["max_pixels"], lambda *_: None, Describer())
            known.update({row["image_id"]: row for row in rows if row["status"] == "ok"})
            return len(rows)

        each = seconds / max(1, len(tasks))
        look()
        found = {Task("look"): repeated(look, clock, each)}
        shown = cycle(list(known.values()))
        for task in tasks:
            if task.kind == "decode" and known:

                def decode(size: int = task.size) -> float:
                    square(next(shown), Path("/"), size, asked["decode"])
                    return 1.0

                decode()
                found[task] = repeated(decode, clock, each)
    return found


def rendered(kind: str) -> bytes:
    """A synthetic photo of a kind, as a JPEG file."""
    from manihot.photos.demo import KINDS

    content = io.BytesIO()
    KINDS[kind][0].render(np.random.default_rng(0)).save(content, "JPEG", quality=90)
    return content.getvalue()


def render_speed(kind: str, clock: Clock, seconds: float) -> tuple[float, float]:
    """Seconds to render a synthetic photo of a kind, and its bytes."""
    return repeated(lambda: float(len(rendered(kind)) > 0), clock, seconds), float(len(rendered(kind)))


def tree_speed(task: Task, width: int, threads: int, clock: Clock, seconds: float) -> tuple[float, float]:
    """Seconds and bytes of a round of boosting: a tree a class on `width` features of as many photos as the task has.

    The features are drawn: trees on them are grown to their full depth.
    """
    import xgboost

    from manihot.features.boosting import Recipe, parameters

    rng, rounds = np.random.default_rng(0), 2
    target = rng.integers(0, task.classes, task.rows)
    rows = xgboost.QuantileDMatrix(_features(rng, target, width), label=target, nthread=threads)
    recipe = Recipe(1, task.depth, 0.1, 0, None, task.subsample, task.colsample)
    settings = parameters(task.classes, recipe, "cpu", threads)
    grown = xgboost.train(settings, rows, 1, evals=[(rows, "train")], verbose_eval=False)

    def grow() -> float:
        xgboost.train(settings, rows, rounds, evals=[(rows, "train")], verbose_eval=False)
        return rounds

    return repeated(grow, clock, seconds), float(len(grown.save_raw("ubj")))


def adam_speed(task: Task, width: int, clock: Clock, seconds: float) -> float:
    """Seconds of a step of Adam on a linear layer."""
    import torch
    from torch.nn import functional

    layer = torch.nn.Linear(width, task.classes)
    optimizer = torch.optim.Adam(layer.parameters())
    photos = task.batch_size or BATCH
    shown, target = torch.rand(photos, width), torch.zeros(photos, dtype=torch.long)

    def step() -> float:
        optimizer.zero_grad()
        functional.cross_entropy(layer(shown), target).backward()
        optimizer.step()
        return 1.0

    step()
    return repeated(step, clock, seconds)


def logistic_speed(task: Task, width: int, clock: Clock, most: int) -> float:
    """Seconds of a logistic regression with its tuning, on at most `most` photos; the rest in proportion."""
    from manihot.features import logistic

    rng, rows = np.random.default_rng(0), min(task.rows, most)
    target = rng.integers(0, task.classes, rows)
    shown = _features(rng, target, width)
    known = logistic.Rows([shown], shown, target, np.ones(rows))
    begin = clock()
    logistic.fit(known, np.arange(rows) % logistic.INNER_FOLDS, task.classes)
    return (clock() - begin) * task.rows / rows


def _features(rng: np.random.Generator, target: np.ndarray, width: int) -> np.ndarray:
    """Features float32 [n, width] of classes that overlap."""
    means = rng.normal(size=(target.max() + 1, width)) * 2 / np.sqrt(width)
    return (means[target] + rng.normal(size=(len(target), width))).astype(np.float32)


def resample_speed(clock: Clock, seconds: float) -> float:
    """Seconds of a photo in a resample of a model's scores."""
    from scipy import sparse

    from manihot.scores.intervals import bootstrap

    photos, resamples = 2000, 50
    sums = sparse.csr_array(np.random.default_rng(0).random((photos, 12)))

    def draw() -> float:
        bootstrap(sums, seed=0, resamples=resamples)
        return float(photos * resamples)

    return repeated(draw, clock, seconds)


def chart_speed(clock: Clock, seconds: float) -> float:
    """Seconds to plot a chart of the report."""
    import pandas as pd

    from manihot.core.tables import history_columns
    from manihot.figures.fitting import curves

    history = pd.DataFrame([[epoch, 1.0, 0.5, 1.0, 0.5, 1e-3] for epoch in range(10)], columns=history_columns("epoch"))

    def plot() -> float:
        curves({1: history, 2: history}, "model")
        return 1.0

    plot()
    return repeated(plot, clock, seconds)
