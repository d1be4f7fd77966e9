"""Other people's photos, on which the models of a study are tried: which of them, and as which class of the study."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from manihot.core.classes import class_order, map_labels
from manihot.core.errors import StudyError

COLUMNS = ["dataset", "image_id", "label", "given"]


def external_photos(
    catalog: pd.DataFrame,
    classes: Mapping[str, str | None] | None,
    known: Sequence[Sequence[Mapping[str, str]]],
    copies: Mapping[str, pd.DataFrame],
    place: str,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The photos that models are tried on, and what is known of them as a whole.

    Args:
        catalog: of the external data set.
        classes: the study's class of each label (None leaves it out), as in `map_labels`; None where labels are it.
        known: the classes of each split whose models are tried.
        copies: for each data set of the study the pairs of a photo of it and one (`image_id_b`) of the catalog that
            show the same picture. Such photos are left out, and what is a copy of them.
        place: begins a message.

    Returns:
        dataset, image_id, label (the class) and given (the own label) of each photo in the catalog's order; and the
        record: listed, set_aside (not usable), left_out (for each label that is left out its photos), copies (for each
        data set of the study the photos left out), copied (all of these), photos (of each class), classes (of each
        label).

    Raises:
        StudyError: see `map_labels`; or no photo is left.
    """
    usable = catalog[catalog["status"] == "ok"]
    everywhere = set.intersection(*({entry["label"] for entry in split} for split in known))
    target = map_labels(classes, set(catalog["label"]), everywhere, place)
    wanted = usable["label"].map({label: name is not None for label, name in target.items()}).astype(bool)
    copied = {name: _copied(usable, pairs) & wanted for name, pairs in copies.items()}
    left = wanted & ~pd.DataFrame(copied, usable.index, dtype=bool).any(axis=1)
    if not left.any():
        raise StudyError(f"{place}: no photo is left: all that have a class are copies of the study's own")
    chosen = usable[left]
    table = chosen[["dataset", "image_id"]].assign(label=chosen["label"].map(target), given=chosen["label"])
    counts = table["label"].value_counts()
    return table[COLUMNS].reset_index(drop=True), {
        "dataset": catalog["dataset"].iloc[0],
        "listed": len(catalog),
        "set_aside": len(catalog) - len(usable),
        "left_out": {name: int((usable["label"] == name).sum()) for name, to in target.items() if to is None},
        "copies": {name: int(found.sum()) for name, found in copied.items()},
        "copied": int(wanted.sum() - left.sum()),
        "photos": {label: int(counts[label]) for label in class_order(counts.index)},
        "classes": target,
    }


def _copied(usable: pd.DataFrame, pairs: pd.DataFrame) -> pd.Series:
    """Which photos are copies of a data set's: those of the pairs, and what shows the same picture as one of these."""
    found = usable.loc[usable["image_id"].isin(pairs["image_id_b"]), "copies"]
    return usable["copies"].isin(found)
