"""The photos of a table of predictions that tell most: what a model is sure of, rightly and wrongly, and what not."""

from collections.abc import Sequence

import pandas as pd

from manihot.core.tables import probabilities


def ranked(predictions: pd.DataFrame, labels: Sequence[str], number: int) -> dict[str, pd.DataFrame]:
    """The most confident right and wrong and the least confident photos of a predictions table.

    Each has the columns `dataset, image_id, label, fold, predicted, confidence`; ties go by the photo's name.
    """
    given = probabilities(predictions, len(labels))
    table = predictions[["dataset", "image_id", "label", "fold"]].assign(
        predicted=[labels[index] for index in given.argmax(axis=1)],
        confidence=given.max(axis=1),
    )
    table = table.sort_values(["confidence", "dataset", "image_id"], ascending=[False, True, True])
    right = table["predicted"] == table["label"]
    return {
        "right": table[right].head(number),
        "wrong": table[~right].head(number),
        "least": table[::-1].head(number),
    }
