"""The published study's own splits (`protocol: published`), exact to the photo.

The steps that the study seeded are repeated with its seed, 42, its library calls and its row order, so the
tables come out as it printed them. They ignore duplicates, and the one test is balanced.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

SEED = 42


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


def fold_photos(photos: pd.DataFrame, *, folds: int, seed: int) -> pd.Series:
    """The fold (1..folds) of each photo, indexed as `photos`, which have a column `role`: shuffled, classes ignored.

    Of five folds the pool's first is the validation part of the study's 80/20 split, which its XGBoost runs
    used: a fifth of the pool, in the order of `hold_out`. The study did not seed its others; `seed` deals them out.
    """
    generator = np.random.default_rng(seed)
    fold = pd.Series(generator.permutation(len(photos)) % folds + 1, index=photos.index, dtype="Int64")
    others, first = train_test_split(photos.index[photos["role"] == "pool"], test_size=1 / folds, random_state=SEED)
    fold[first] = 1
    fold[others] = generator.permutation(len(others)) % (folds - 1) + 2
    return fold
