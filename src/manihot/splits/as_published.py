"""The paper's own splits (`protocol: published`), exact to the photo.

The steps that the paper seeded are repeated with its seed, 42, its library calls and its row order, so the
tables come out as it printed them. They ignore duplicates, and the one test is balanced.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from manihot.core.errors import StudyError
from manihot.splits.folding import Folding, check_folds, fold_photos
from manihot.splits.roles import Counts

SEED = 42


@dataclass(frozen=True)
class AsPublished:
    """The published protocol: photos are given in file order, and all have a fold, since experiments sample them all.

    Of the counts, `test_as_found` and `keep_for_training` play no part.
    """

    counts: Counts
    folding: Folding

    @property
    def asked(self) -> dict[str, int]:
        """The photos asked for in the one test."""
        return {"test": self.counts.test}

    def roles(self, photos: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
        """The pool and the test in scikit-learn's order, then the rest (unused), with a column `role`.

        Raises:
            StudyError: the test or the pool would lack a class.
        """
        balanced = balance(photos, labels, self.counts.per_class or len(photos))
        test = self.counts.test
        if not len(labels) <= test <= len(balanced) - len(labels) or balanced["label"].value_counts().min() < 2:
            raise StudyError(
                f"test: {test} asked for of {len(balanced)} photos (after per_class) of {len(labels)} classes: "
                "the test and the pool both need photos of each; change test"
            )
        pool, held_out = hold_out(balanced, test, stratify=True)
        if self.folding.grouped:
            pool = pool[~pool["group"].isin(held_out["group"])]
        return with_roles(photos, pool, held_out)

    def new_class_roles(self, photos: pd.DataFrame, new_class: Mapping[str, Any]) -> pd.DataFrame:
        """The new class's pool, test and unused photos, in this order, with a column `role`."""
        rows = photos[photos["label"] == new_class["label"]]
        pool, held_out = hold_out(sample_class(rows, new_class["photos"]), new_class["test"], stratify=False)
        return with_roles(rows, pool, held_out)

    def with_folds(self, rows: pd.DataFrame) -> pd.DataFrame:
        """`rows` with a column `fold`: the paper's own where duplicates and classes are ignored.

        Raises:
            StudyError: a class has fewer photos than there are folds.
        """
        if self.folding.kind == "plain" and not self.folding.grouped:
            return rows.assign(fold=fold_plainly(rows, self.folding.folds, self.folding.seed))
        return rows.assign(fold=fold_photos(rows, self.folding))


def balance(photos: pd.DataFrame, labels: Sequence[str], per_class: int) -> pd.DataFrame:
    """At most `per_class` photos of each label: the classes one after the other in the order of `labels`.

    A larger class is cut by pandas' `sample`; a smaller one keeps its file order. Rows of `photos` are in
    file order.
    """
    classes = [photos[photos["label"] == label] for label in labels]
    return pd.concat([c.sample(per_class, random_state=SEED) if len(c) > per_class else c for c in classes])


def hold_out(photos: pd.DataFrame, test: int, *, stratify: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(training pool, test of `test` photos), each in the order in which scikit-learn gives it."""
    pool, held_out = train_test_split(
        photos, test_size=test, random_state=SEED, stratify=photos["label"] if stratify else None
    )
    return pool, held_out


def sample_class(photos: pd.DataFrame, count: int) -> pd.DataFrame:
    """`count` of the new class's photos, which are given in file order."""
    return photos.sample(n=count, random_state=SEED)


def with_roles(photos: pd.DataFrame, pool: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """The pool, the test and the rest of `photos` (unused), in this order, with a column `role`."""
    rest = photos.drop(index=pool.index.union(test.index))
    return pd.concat([pool.assign(role="pool"), test.assign(role="test"), rest.assign(role="unused")])


def fold_plainly(photos: pd.DataFrame, folds: int, seed: int) -> pd.Series:
    """The fold (1..folds) of each photo, indexed as `photos`, which have a column `role`: shuffled, classes ignored.

    Of five folds the pool's first is the validation part of the paper's 80/20 split, which its XGBoost runs
    used: a fifth of the pool, in the order of `hold_out`. The paper did not seed its others; `seed` deals them out.

    Raises:
        StudyError: a class has fewer photos than there are folds.
    """
    check_folds(photos, folds)
    generator = np.random.default_rng(seed)
    fold = pd.Series(generator.permutation(len(photos)) % folds + 1, index=photos.index, dtype="Int64")
    others, first = train_test_split(photos.index[photos["role"] == "pool"], test_size=1 / folds, random_state=SEED)
    fold[first] = 1
    fold[others] = generator.permutation(len(others)) % (folds - 1) + 2
    return fold
