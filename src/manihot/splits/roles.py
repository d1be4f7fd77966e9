"""The role of each photo: who is tested, who is in the pool to train on, and who is left out.

Plain label tables in, tables out: no photo is opened here.

The study's protocol gives the roles. `Corrected` is here: both of its tests are sampled before anything else. The test
as found has the classes in the catalog's own shares (largest remainders), so that what it measures is the field's
mixture and does not depend on a lucky sample; the balanced test has equal counts. A group with conflicting labels
stays in the pool whole: that is known from the labels and the pixels before any model exists, and no prediction ever
removes a photo from a test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from manihot.core.classes import class_order
from manihot.core.errors import StudyError
from manihot.splits.folding import Folding, fold_photos
from manihot.splits.sampling import grouping, seeded_order

ROLES = ("pool", "test", "test_as_found", "unused")
COLUMNS = ["dataset", "image_id", "label", "group", "role", "fold"]


@dataclass(frozen=True)
class Counts:
    """How many photos are tested, balanced and as found, and how many each class keeps to train on.

    `per_class` caps the classes before the published protocol's test is sampled; under the corrected one the
    cap belongs to each experiment's sample.
    """

    test: int
    test_as_found: int
    per_class: int | None
    keep_for_training: int


class Strategy(Protocol):
    """A protocol's way of giving photos their roles and folds."""

    @property
    def folding(self) -> Folding:
        """How the photos are folded."""

    def roles(self, photos: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
        """The rows of `photos`, all of one data set, in the split's order with a column `role` (one of ROLES).

        `labels` are the classes in the order of their index.

        Raises:
            StudyError: the labels cannot give the counts that are asked for.
        """

    def new_class_roles(self, photos: pd.DataFrame, new_class: Mapping[str, Any]) -> pd.DataFrame:
        """The rows of the new class's label with a column `role`: test, pool, and unused for those not asked for.

        `photos` are all of the new class's data set; of `new_class`, label, photos (in all) and test count here.

        Raises:
            StudyError: too few of the photos are no duplicates of tested ones.
        """

    def with_folds(self, rows: pd.DataFrame) -> pd.DataFrame:
        """`rows`, which have roles, with a column `fold` (Int64, 1..folds; empty where there is none).

        Raises:
            StudyError: a class has fewer photos than there are folds.
        """


def split_photos(
    photos: pd.DataFrame,
    dataset: str,
    strategy: Strategy,
    new_class: Mapping[str, Any] | None = None,
    parent: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The role of each photo and the fold of each photo of the pool, and the record of the split.

    `photos` has dataset, image_id, label, group (numbered within a data set) and, where known, name; whether
    its row order matters is the strategy's. `new_class` has dataset, label, photos, test and in_every_fold.
    `parent` is the table of the split that this one is like: its roles are kept, and its folds come out again
    unless the strategy folds otherwise.

    Returns the table (columns COLUMNS; fold is Int64, 1..folds, empty where there is none, 0 for "in every
    fold's training part") with the rows of `dataset` first, and the record: classes in the order of their
    index, new_class, counts by role and label, conflicts (groups with conflicting labels), folds.

    Raises:
        StudyError: the labels cannot give the counts that are asked for.
    """
    photos = photos.reset_index(drop=True)
    own = photos[photos["dataset"] == dataset]
    classes = class_order(own["label"].unique())
    if parent is not None:
        own = parent[parent["dataset"] == dataset].drop(columns="fold").reset_index(drop=True)
    else:
        own = strategy.roles(own, classes)
    table = strategy.with_folds(own)
    if new_class is not None:
        if new_class["label"] in classes:
            raise StudyError(
                f"new_class.label: {new_class['label']} is already a class of {dataset}; name another class, "
                "or rename it in its labels file"
            )
        classes = [*classes, new_class["label"]]
        table = pd.concat([table, _new_class(photos, new_class, strategy)])
    table = table[COLUMNS].reset_index(drop=True)
    return table, _record(table, photos, dataset, classes, strategy.folding.folds)


def _new_class(photos: pd.DataFrame, new_class: Mapping[str, Any], strategy: Strategy) -> pd.DataFrame:
    """The new class's photos with their roles and folds."""
    other = photos[photos["dataset"] == new_class["dataset"]]
    has = int((other["label"] == new_class["label"]).sum())
    if has < new_class["photos"]:
        raise _too_few_new(new_class, has)
    added = strategy.new_class_roles(other, new_class)
    if not new_class["in_every_fold"]:
        return strategy.with_folds(added)
    return added.assign(fold=pd.Series(0, index=added.index, dtype="Int64").where(added["role"] == "pool"))


@dataclass(frozen=True)
class Corrected:
    """The corrected protocol: seeded tests of one photo a group, the folds of the pool alone.

    The row order of the photos does not matter.
    """

    counts: Counts
    folding: Folding

    def roles(self, photos: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
        """The photos in the order of their image_id with a column `role`.

        Raises:
            StudyError: a class has too few photos for the tests and the training, or a test too few for the classes.
        """
        photos = photos.sort_values("image_id")
        groups = grouping(photos, self.folding.grouped)
        candidates = _test_candidates(photos, groups, self.folding.seed)
        counts = photos["label"].value_counts().reindex(labels)
        as_found = _shares(self.counts.test_as_found, counts)
        balanced = self.counts.test // len(labels)
        if balanced == 0:
            raise StudyError(
                f"test: {self.counts.test} is less than a photo of each of the {len(labels)} classes; raise test"
            )
        # Of each class, the first candidates are tested as found, the next ones balanced.
        rank = candidates.groupby("label").cumcount()
        as_found_ends = candidates["label"].map(as_found)
        tested = candidates.index[rank < as_found_ends + balanced]
        role = pd.Series("pool", index=photos.index)
        role[groups.isin(groups[tested])] = "unused"
        role[tested] = "test"
        role[candidates.index[rank < as_found_ends]] = "test_as_found"

        distinct = candidates["label"].value_counts().reindex(labels, fill_value=0)
        left = photos["label"][role == "pool"].value_counts().reindex(labels, fill_value=0)
        floor = max(self.counts.keep_for_training, self.folding.folds)
        for label in labels:
            if distinct[label] < as_found[label] + balanced or left[label] < floor:
                raise StudyError(
                    f"class {label} has {counts[label]} photos ({distinct[label]} that may be tested), but needs "
                    f"{as_found[label] + balanced + floor}: {balanced} for the test, {as_found[label]} for the "
                    f"test as found, {floor} to train on; lower test, test_as_found, keep_for_training or folds"
                )
        return photos.assign(role=role)

    def new_class_roles(self, photos: pd.DataFrame, new_class: Mapping[str, Any]) -> pd.DataFrame:
        """The new class's photos in the order of their image_id with a column `role`.

        Raises:
            StudyError: too few of them are no duplicates of tested ones.
        """
        photos = photos.sort_values("image_id")
        groups = grouping(photos, self.folding.grouped)
        candidates = _test_candidates(photos, groups, self.folding.seed)
        count, test = new_class["photos"], new_class["test"]
        held_out = candidates[candidates["label"] == new_class["label"]].head(test)
        rows = photos[photos["label"] == new_class["label"]]
        free = rows[~groups.loc[rows.index].isin(groups[held_out.index])]
        pool = free.loc[seeded_order(free, self.folding.seed, "new class").sort_values().index].head(count - test)
        if len(held_out) + len(pool) < count:
            raise _too_few_new(new_class, len(held_out) + len(pool))
        role = pd.Series("unused", index=rows.index)
        role[held_out.index], role[pool.index] = "test", "pool"
        return rows.assign(role=role)

    def with_folds(self, rows: pd.DataFrame) -> pd.DataFrame:
        """`rows` with a column `fold`, which the pool alone has.

        Raises:
            StudyError: a class of the pool has fewer photos than there are folds.
        """
        return rows.assign(fold=fold_photos(rows[rows["role"] == "pool"], self.folding))


def _test_candidates(photos: pd.DataFrame, groups: pd.Series, seed: int) -> pd.DataFrame:
    """Photos that may be tested, shuffled: one of each group whose labels agree."""
    agrees = photos["label"].groupby(groups).transform("nunique") == 1
    shuffled = photos.loc[seeded_order(photos, seed, "test").sort_values().index]
    shuffled = shuffled[agrees.loc[shuffled.index]]
    return shuffled[~groups.loc[shuffled.index].duplicated()]


def _shares(total: int, counts: pd.Series) -> pd.Series:
    """`total` dealt out in proportion to `counts`, in whole photos (largest remainders)."""
    exact = total * counts / counts.sum()
    whole = np.floor(exact).astype(int)
    largest = (whole - exact).sort_values(kind="stable").index[: total - whole.sum()]
    whole[largest] += 1
    return whole


def _too_few_new(new_class: Mapping[str, Any], has: int) -> StudyError:
    return StudyError(
        f"new_class.photos: {new_class['label']} of {new_class['dataset']} has {has} photos that are no "
        f"duplicates of tested ones, but needs {new_class['photos']}; lower photos and test"
    )


def _record(table: pd.DataFrame, photos: pd.DataFrame, dataset: str, classes: list[str], folds: int) -> dict[str, Any]:
    own = photos["dataset"] == dataset
    # The split's own names come last, so they win where the other data set uses a label too.
    named = pd.concat([photos[~own], photos[own]])
    names = dict(zip(named["label"], named["name" if "name" in named else "label"], strict=True))
    counts = pd.crosstab(table["role"], table["label"]).reindex(index=ROLES, columns=classes, fill_value=0)
    new = table["label"][table["dataset"] != dataset]
    return {
        "classes": [{"label": label, "name": names[label]} for label in classes],
        "new_class": None if new.empty else new.iloc[0],
        "counts": counts.to_dict("index"),
        "conflicts": int((photos[own].groupby("group")["label"].nunique() > 1).sum()),
        "folds": folds,
    }
