"""The role of each photo: who is tested, who is in the pool to train on, and who is left out.

Plain label tables in, tables out: no photo is opened here.

The study's protocol gives the roles. `Corrected` is here: both of its tests are sampled before anything else. The test
as found has the classes in the catalog's own shares (largest remainders), so that what it measures is the field's
mixture and does not depend on a lucky sample; the balanced test has equal counts. Of near-duplicates one photo is
tested, and none where their labels are in conflict: that is known from the labels and the pixels before any model
exists, and no prediction ever removes a photo from a test. The user's groups (plants, plots) enter a test whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from manihot.core.classes import class_order
from manihot.core.errors import StudyError
from manihot.core.tables import KEYS
from manihot.splits.folding import Folding, check_spread, fold_photos, site_order
from manihot.splits.leaks import Border, leaks
from manihot.splits.sampling import alone, grouping, seeded_order
from manihot.splits.whole_groups import WholeGroups, check_largest

ROLES = ("pool", "test", "test_as_found", "unused")
COLUMNS = ["dataset", "image_id", "label", "group", "role", "fold"]
OnLeak = Literal["exclude", "report", "stop"]


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

    @property
    def asked(self) -> dict[str, int]:
        """How many photos are asked for in each test that is drawn."""

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
    *,
    new_class: Mapping[str, Any] | None = None,
    parent: pd.DataFrame | None = None,
    copies: pd.DataFrame | None = None,
    on_leak: OnLeak | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The role of each photo and the fold of each photo of the pool, and the record of the split.

    Args:
        photos: the catalogs' usable photos: dataset, image_id, label, name, group and copies (numbered within a data
            set), and the text columns given_group, site, given_role and given_fold, empty where nothing is known.
            Whether their order matters is the strategy's.
        dataset: the data set of the split.
        strategy: the way of giving roles and folds.
        new_class: dataset, label, photos, test and in_every_fold.
        parent: the table of the split that this one is like: its roles are kept, and its folds come out again
            unless the strategy folds otherwise.
        copies: the pairs that show one picture: image_id_a of `dataset`, image_id_b of the new class's data set. These
            photos of the new class's data set are not used.
        on_leak: what is done with photos that share a group with a held-out one across a border that the user gave:
            `exclude`, `report` or `stop`; None where the user gave neither roles nor folds.

    Returns the table (columns COLUMNS; fold is Int64, 1..folds, empty where there is none, 0 for "in every
    fold's training part") with the rows of `dataset` first, and the record: classes in the order of their
    index, new_class, counts by role and label, shares (of the classes among all photos), conflicts (near-duplicates
    with conflicting labels), folds, given_groups (how many the user gives), asked (photos for each test), leaks, copied
    (how many photos `copies` ruled out), and sites in the order of their folds where these are sites.

    Raises:
        StudyError: the labels cannot give the counts that are asked for, or there is a leak that must not be.
    """
    photos = photos.reset_index(drop=True)
    if copies is not None:
        copied = (photos["dataset"] != dataset) & photos["image_id"].isin(copies["image_id_b"])
        photos = photos[~copied].reset_index(drop=True)
    own = photos[photos["dataset"] == dataset]
    classes = class_order(own["label"].unique())
    if parent is not None:
        roles = parent.loc[parent["dataset"] == dataset, [*KEYS, "role"]]
        own = roles.merge(own, on=KEYS, how="left", validate="one_to_one")
    else:
        own = strategy.roles(own, classes)
    found: list[dict[str, Any]] = []
    if on_leak is not None:
        own = _without_leaks(own, "test", strategy, on_leak, found)
    table = strategy.with_folds(own)
    if on_leak is not None:
        border: Border = "validation" if strategy.folding.folds == 1 else "folds"
        table = _without_leaks(table, border, strategy, on_leak, found)
    if found or strategy.folding.kind in {"by_site", "given"}:
        check_spread(table, classes)
    if new_class is not None:
        if new_class["label"] in classes:
            raise StudyError(
                f"new_class.label: {new_class['label']} is already a class of {dataset}; name another class, "
                "or rename it in its labels file"
            )
        classes = [*classes, new_class["label"]]
        table = pd.concat([table, _new_class(photos, new_class, strategy)])
    record = _record(table, photos, dataset, classes, strategy)
    found_copies = 0 if copies is None else copies["image_id_b"].nunique()
    return table[COLUMNS].reset_index(drop=True), record | {"leaks": found, "copied": found_copies}


def _without_leaks(
    table: pd.DataFrame, border: Border, strategy: Strategy, on_leak: OnLeak, found: list[dict[str, Any]]
) -> pd.DataFrame:
    """The table with the leaks across a border dealt with; adds what there were to `found`."""
    grouped = strategy.folding.grouped
    copies = table["copies"] if grouped else alone(table)
    leaking = leaks(table, grouping(table, grouped), copies, border)
    if on_leak == "stop":
        leaking.stop()
    found += [entry | {"excluded": on_leak == "exclude"} for entry in leaking.found]
    if on_leak == "report":
        return table
    kept = table.assign(role=table["role"].mask(leaking.photos, "unused"))
    return kept.assign(fold=kept["fold"].mask(leaking.photos)) if "fold" in kept else kept


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
    """The corrected protocol: seeded tests that share no group with the pool, the folds of the pool alone.

    The row order of the photos does not matter.
    """

    counts: Counts
    folding: Folding

    @property
    def asked(self) -> dict[str, int]:
        """The photos asked for in both tests."""
        return {"test": self.counts.test, "test_as_found": self.counts.test_as_found}

    def roles(self, photos: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
        """The photos in the order of their image_id with a column `role`.

        Raises:
            StudyError: a class has too few photos for the tests and the training, or a test too few for the classes.
        """
        photos = photos.sort_values("image_id")
        groups = grouping(photos, self.folding.grouped)
        check_largest(photos, groups)
        candidates = _test_candidates(photos, self.folding)
        counts = photos["label"].value_counts().reindex(labels)
        as_found = _shares(self.counts.test_as_found, counts)
        balanced = self.counts.test // len(labels)
        if balanced == 0:
            raise StudyError(
                f"test: {self.counts.test} is less than a photo of each of the {len(labels)} classes; raise test"
            )
        given = bool((photos["given_group"] != "").any())
        floor = max(self.counts.keep_for_training, self.folding.folds)
        # Sites and folds that are given are there, however many groups they have of a class.
        a_fold = self.folding.folds if self.folding.kind in {"stratified", "plain"} else 2
        keep_groups = a_fold if given else 0
        whole = WholeGroups(photos, groups, candidates, labels=labels, keep_photos=floor, keep_groups=keep_groups)
        if given:
            _check_group_counts(whole, labels, a_fold, 1 + (self.counts.test_as_found > 0))
        tests = {
            "test_as_found": whole.draw(as_found.tolist()),
            "test": whole.draw([balanced] * len(labels)),
        }
        role = pd.Series("pool", index=photos.index)
        role[groups.isin([group for drawn in tests.values() for group in drawn])] = "unused"
        for name, drawn in tests.items():
            role[candidates.index[groups[candidates.index].isin(drawn)]] = name

        distinct = candidates["label"].value_counts().reindex(labels, fill_value=0)
        left = photos["label"][role == "pool"].value_counts().reindex(labels, fill_value=0)
        got = pd.crosstab(photos["label"], role).reindex(index=labels, columns=ROLES, fill_value=0)
        for label in labels:
            if given:
                short = got.loc[label, "test"] == 0 or (as_found[label] and got.loc[label, "test_as_found"] == 0)
                if short or left[label] < floor:
                    raise StudyError(
                        f"class {label} has {counts[label]} photos in groups that are too large or too mixed to be "
                        f"tested whole and leave {floor} to train on in {self.folding.folds} folds; give finer groups, "
                        "or lower keep_for_training or folds"
                    )
            elif got.loc[label, "test"] < balanced or got.loc[label, "test_as_found"] < as_found[label]:
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
        candidates = _test_candidates(photos, self.folding)
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


def _test_candidates(photos: pd.DataFrame, folding: Folding) -> pd.DataFrame:
    """Photos that may be tested, shuffled: one of each set of near-duplicates whose labels agree."""
    copies = photos["copies"] if folding.grouped else alone(photos)
    agrees = photos["label"].groupby(copies).transform("nunique") == 1
    shuffled = photos.loc[seeded_order(photos, folding.seed, "test").sort_values().index]
    shuffled = shuffled[agrees.loc[shuffled.index]]
    return shuffled[~copies.loc[shuffled.index].duplicated()]


def _check_group_counts(whole: WholeGroups, labels: Sequence[str], folds: int, tests: int) -> None:
    for label in labels:
        has, needs = whole.groups_of(label), folds + tests
        if has < needs:
            raise StudyError(
                f"class {label} is in {has} groups of photos, but needs {needs}: {folds} to fold, and one for each "
                f"test; {needs - has} are missing: lower folds, or give finer groups"
            )


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


def _record(
    table: pd.DataFrame, photos: pd.DataFrame, dataset: str, classes: list[str], strategy: Strategy
) -> dict[str, Any]:
    own = photos["dataset"] == dataset
    # The split's own names come last, so they win where the other data set uses a label too.
    named = pd.concat([photos[~own], photos[own]])
    names = dict(zip(named["label"], named["name" if "name" in named else "label"], strict=True))
    counts = pd.crosstab(table["role"], table["label"]).reindex(index=ROLES, columns=classes, fill_value=0)
    # All photos of the data set, and those of the new class that are used.
    there = table["label"][(table["dataset"] == dataset) | (table["role"] != "unused")]
    shares = there.value_counts(normalize=True).reindex(classes, fill_value=0.0)
    new = table["label"][table["dataset"] != dataset]
    folding, given = strategy.folding, table["given_group"][table["given_group"] != ""]
    return {
        "classes": [{"label": label, "name": names[label]} for label in classes],
        "new_class": None if new.empty else new.iloc[0],
        "counts": counts.to_dict("index"),
        "shares": shares.to_dict(),
        "conflicts": int((photos[own].groupby("copies")["label"].nunique() > 1).sum()),
        "folds": folding.folds,
        "given_groups": given.nunique(),
        "asked": strategy.asked,
        "sites": site_order(table[table["role"] == "pool"]) if folding.kind == "by_site" else [],
    }
