"""A small classifier that sees nothing but facts about the files: what it gets right, no plant told it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from manihot.core.tables import KEYS, probability_columns
from manihot.scores.facts import NUMBERS, WORDS
from manihot.splits.folds import targets

TREES, LEAF = 60, 5  # trees of the forest, and the fewest photos of a leaf
RARE, MOST_VALUES = 5, 16  # photos below which a value counts among the rare ones; values that are told apart


def out_of_fold(table: pd.DataFrame, labels: Sequence[str], without: Sequence[str], seed: int) -> pd.DataFrame:
    """Predictions of the facts in `table` (`facts.facts_table`) out of fold: dataset, image_id, label, fold, p0..pK.

    Each photo with a fold from 1 on is predicted by a forest (Breiman 2001) that was fitted on all other folds, fold
    0 among them, the classes weighted to count alike. Words are one column a value; values of fewer than `RARE`
    photos, and all but the `MOST_VALUES` commonest, are one value. The encoding too is fitted on the other folds
    alone. `without` are facts that are left out. Empty where no fact differs among the photos.

    Raises:
        StudyError: a label is not among `labels`.
    """
    words = [key for key in WORDS if key not in without and table[key].nunique() > 1]
    numbers = [key for key in NUMBERS if table[key].nunique() > 1]
    fold, true = table["fold"].to_numpy(np.int64), targets(table, labels)
    if not words and not numbers:
        fold = np.zeros_like(fold)
    given = np.zeros((len(table), len(labels)), np.float64)
    for number in np.unique(fold[fold > 0]):
        training, held_out = fold != number, fold == number
        given[held_out] = _predicted(
            _model(words, numbers, seed), table[training], true[training], table[held_out], len(labels)
        )
    predictions = table[[*KEYS, "label", "fold"]].join(pd.DataFrame(given, columns=probability_columns(len(labels))))
    return predictions[fold > 0].reset_index(drop=True)


def _model(words: Sequence[str], numbers: Sequence[str], seed: int) -> Pipeline:
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=RARE, max_categories=MOST_VALUES, sparse_output=False
    )
    forest = RandomForestClassifier(
        TREES, min_samples_leaf=LEAF, max_features=0.5, class_weight="balanced", random_state=seed, n_jobs=1
    )
    return make_pipeline(ColumnTransformer([("words", encoder, words), ("numbers", "passthrough", numbers)]), forest)


def _predicted(
    model: Pipeline, training: pd.DataFrame, true: NDArray[np.int64], photos: pd.DataFrame, classes: int
) -> NDArray[np.float64]:
    """Probabilities [n, classes]; a class that no training photo has gets nothing."""
    model.fit(training, true)
    given = np.zeros((len(photos), classes))
    given[:, model.classes_] = model.predict_proba(photos)
    return given
