"""Fits on stored features: the tuned head against scikit-learn's own search, trees as they are now against plain ones.

The features are drawn: as many numbers as EfficientNet-Lite0 gives, of which some tell the classes apart, and some
labels are wrong. As on the sample's cassava photos, early stopping then ends after some 100 rounds.
Heads are held to be as good. The trees are other trees, so their held-out log loss is printed beside the row.
"""

import sys
import tempfile
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import theirs
import torch
from measuring import Row, Way, row, seconds, sides

from manihot.core.gpus import Compute
from manihot.core.state import State
from manihot.features import boosting, heads, logistic
from manihot.features import table as feature_table
from manihot.features.inner import inner_folds
from manihot.networks import bundle
from manihot.splits.folds import Fold

PHOTOS, WIDTH, K, SEED = 1500, 1280, 5, 0
# Features that tell the classes apart, by how many standard deviations, and the share of labels that are drawn anew.
TELLING, SIGNAL, WRONG = 100, 0.25, 0.3
CLASSES = [{"label": str(label), "name": str(label)} for label in range(K)]
HEAD = logistic.Recipe(["identity"], "none", SEED)
# The defaults of `boosting` in a study of the corrected protocol, and the study's own way: a plain 100 rounds.
TREES = boosting.Recipe(1000, 4, 0.1, SEED, early_stopping=20, subsample=0.7, colsample_bynode=0.02)
PLAIN = (100, 4, 0.1)
BACKBONE = {
    "network": "drawn", "input": {"size": 224, "mean": [0] * 3, "std": [1] * 3}, "parameters": 0,
    "precision": "float32", "weights": {"path": "drawn", "sha256": ""},
}  # fmt: skip
Found = tuple[np.ndarray, dict]


@cache
def drawn() -> tuple[np.ndarray, Fold]:
    """Features float32 [n, width] and the fold to fit on: the photos of fold 2 are held out, a fifth."""
    random, index = np.random.default_rng(SEED), np.arange(PHOTOS)
    target = index % K
    rows = random.normal(size=(PHOTOS, WIDTH))
    rows[:, :TELLING] += SIGNAL * random.normal(size=(K, TELLING))[target]
    target = np.where(random.random(PHOTOS) < WRONG, random.integers(0, K, PHOTOS), target)
    table = pd.DataFrame({"dataset": "drawn", "image_id": [f"{number:05}.jpg" for number in index]})
    table["label"], table["group"] = target.astype(str), index
    table["fold"] = np.where(index // K % 5 == 4, 2, 1)
    return rows.astype(np.float32), Fold(2, table, CLASSES)


def stored(folder: Path) -> Path:
    """The features as the stage stores them."""
    rows, fold = drawn()
    about = {"dataset": "drawn", "view": "identity", "backbone": BACKBONE}
    feature_table.write(folder / "identity.npy", fold.sample["image_id"], [(np.arange(len(rows)), rows)], about)
    return folder / "identity.npy"


def our_head(path: Path) -> Found:
    """Probabilities of the held-out photos, and what was tuned."""
    _, fold = drawn()
    with tempfile.TemporaryDirectory() as folder:
        heads.fit(Path(folder), [path], fold, HEAD, torch.get_num_threads())
        fitted = bundle.read(Path(folder) / "model.json")
        return heads.predict(fitted, [path], fold.validation, torch.get_num_threads()), fitted.record["tuned"]


def their_head(path: Path) -> Found:
    """The same with scikit-learn alone: its search over the same values of C, on the same inner folds."""
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, (_, fold) = np.load(path), drawn()
    known, held = fold.training.index, fold.validation.index
    inner = inner_folds(fold, logistic.INNER_FOLDS, SEED)
    numbers = np.unique(inner)
    cv = [(np.flatnonzero(inner != number), np.flatnonzero(inner == number)) for number in numbers]
    search = LogisticRegressionCV(
        Cs=list(logistic.GRID), cv=cv, scoring="neg_log_loss", max_iter=logistic.MOST_ITERATIONS, l1_ratios=(0.0,),
        use_legacy_attributes=False,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_pipeline(StandardScaler(), search).fit(rows[known], fold.targets(fold.training))
    return model.predict_proba(rows[held]), {"C": float(search.C_)}


def our_trees(path: Path, device: str = "cpu") -> Found:
    """Probabilities of the held-out photos, and what was tuned."""
    _, fold = drawn()
    with tempfile.TemporaryDirectory() as folder, State(folder, "fit_booster", {}, "", "") as state:
        compute = Compute(device, threads=torch.get_num_threads())
        boosting.fit(state, [path], Fold(0, fold.training, CLASSES), TREES, compute, lambda *_: None)
        fitted = bundle.read(state.folder / "model.json")
        return boosting.predict(fitted, [path], fold.validation, torch.get_num_threads()), fitted.record["tuned"]


def their_trees(path: Path, device: str = "cpu") -> Found:
    """The same by a plain 100 rounds, each of whose nodes looks at all features."""
    rows, (_, fold) = np.load(path), drawn()
    model = theirs.boosted(rows[fold.training.index], fold.targets(fold.training), *PLAIN, device)
    return model.predict_proba(rows[fold.validation.index]), {}


WAYS = {("tuned_head", "ours"): our_head, ("tuned_head", "theirs"): their_head,
        ("trees", "ours"): our_trees, ("trees", "theirs"): their_trees}  # fmt: skip


def check(folder: Path) -> None:
    """Both heads are as good: their log losses on held-out photos are equal to 0.02. Those of both kinds of trees."""
    path, (_, fold) = stored(folder), drawn()
    target = fold.targets(fold.validation)

    def loss(answers: np.ndarray) -> float:
        return float(-np.log(answers[np.arange(len(target)), target]).mean())

    (ours, tuned), (plain, found) = our_head(path), their_head(path)
    said = f"log loss {loss(ours):.4f} at C {tuned['C']:g}, of scikit-learn's {loss(plain):.4f} at C {found['C']:g}"
    if abs(loss(ours) - loss(plain)) > 0.02:
        sys.exit(f"heads: {said}: nothing is measured")
    print(f"heads: {said}", flush=True)
    grown = [loss(way(path)[0]) for way in (our_trees, their_trees)]
    print(f"trees: log loss {grown[0]:.4f}, of plain ones {grown[1]:.4f}", flush=True)


def way(side: str, key: str) -> Way:
    """Seconds of a fit and its predictions, from the stored features."""
    kept = tempfile.TemporaryDirectory()
    way.folders = [*getattr(way, "folders", []), kept]  # as long as the process
    path = stored(Path(kept.name))
    return lambda: seconds(lambda: WAYS[key, side](path))


def rows(pairs: int) -> Iterator[Row]:
    """The rows of this stage."""
    with tempfile.TemporaryDirectory() as folder:
        check(Path(folder))
    with sides("fitting") as measure:
        for key in ("tuned_head", "trees"):
            yield row(key, "s", *measure(key, pairs))
