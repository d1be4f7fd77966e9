"""Who is tested on what, the folds of everybody else, and the photos that an experiment trains on.

Plain label tables in, tables out: no photo is opened here.

Under `protocol: corrected` both tests are drawn before anything else. The test as found has the classes in
the catalog's own shares (largest remainders), so that what it measures is the field's mixture and does not
depend on a lucky draw; the balanced test has equal counts. A group with conflicting labels stays in the pool
whole: that is known from the labels and the pixels before any model exists, and no prediction ever removes a
photo from a test.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from manihot import published
from manihot.classes import class_order
from manihot.errors import StudyError

ROLES = ("pool", "test", "test_as_found", "unused")
COLUMNS = ["dataset", "image_id", "label", "group", "role", "fold"]
Protocol = Literal["corrected", "published"]
FoldKind = Literal["stratified", "plain"]


def split_photos(
    photos: pd.DataFrame,
    *,
    dataset: str,
    seed: int,
    protocol: Protocol,
    folds: int,
    fold_kind: FoldKind,
    group_duplicates: bool,
    test: int,
    test_as_found: int,
    per_class: int | None,
    keep_for_training: int,
    new_class: Mapping[str, Any] | None = None,
    parent: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The role of each photo and the fold of each photo of the pool, and the facts of the split.

    `photos` has dataset, image_id, label, group (numbered within a data set) and, where known, name. Under
    `corrected` its row order does not matter; under `published` it is the file order, and `per_class` caps
    the classes before the test is drawn (otherwise the cap belongs to each experiment's draw). `parent` is
    the table of the split that this one is like: its roles are kept, and its folds come out again unless
    seed, folds, fold_kind or group_duplicates differ.

    Returns the table (columns COLUMNS; fold is Int64, 1..folds, empty where there is none, 0 for "in every
    fold's training part") with the rows of `dataset` first, and the facts: classes in the order of their
    index, new_class, counts by role and label, conflicts (groups with conflicting labels), folds.

    Raises:
        StudyError: the labels cannot give the counts that are asked for.
    """
    photos = photos.reset_index(drop=True)
    own = photos[photos["dataset"] == dataset]
    labels = class_order(own["label"].unique())
    if parent is not None:
        own = parent[parent["dataset"] == dataset].drop(columns="fold").reset_index(drop=True)
    elif protocol == "published":
        own = _published_roles(own, labels, test, per_class, group_duplicates)
    else:
        floor = max(keep_for_training, folds)
        own = _corrected_roles(own, labels, seed, test, test_as_found, floor, group_duplicates)

    def with_folds(rows: pd.DataFrame) -> pd.DataFrame:
        # Published experiments draw from all photos, so all have a fold there.
        folded = rows if protocol == "published" else rows[rows["role"] == "pool"]
        _check_folds(folded, folds)
        if protocol == "published" and fold_kind == "plain" and not group_duplicates:
            fold = published.fold_photos(folded, folds=folds, seed=seed)
        else:
            fold = fold_photos(folded, seed=seed, folds=folds, kind=fold_kind, grouped=group_duplicates)
        return rows.assign(fold=fold)

    table = with_folds(own)
    classes = labels.copy()
    if new_class is not None:
        if new_class["label"] in labels:
            raise StudyError(
                f"new_class.label: {new_class['label']} is already a class of {dataset}; name another class, "
                "or rename it in its labels file"
            )
        classes.append(new_class["label"])
        added = _new_class_roles(photos, new_class, seed, protocol, group_duplicates)
        in_pool = added["role"] == "pool"
        in_every_fold = pd.Series(0, index=added.index, dtype="Int64").where(in_pool)
        added = added.assign(fold=in_every_fold) if new_class["in_every_fold"] else with_folds(added)
        table = pd.concat([table, added])
    table = table[COLUMNS].reset_index(drop=True)
    return table, _facts(table, photos, dataset, classes, folds)


def fold_photos(photos: pd.DataFrame, *, seed: int, folds: int, kind: FoldKind, grouped: bool) -> pd.Series:
    """The fold (1..folds) of each photo, indexed as `photos`; `grouped` keeps near-duplicates in one fold.

    `stratified` gives every fold each label's share, `plain` deals groups out at random.
    """
    groups = pd.factorize(_grouping(photos, grouped))[0]
    splitter = (StratifiedGroupKFold if kind == "stratified" else GroupKFold)(folds, shuffle=True, random_state=seed)
    fold = pd.Series(0, index=photos.index, dtype="Int64")
    for number, (_, held_out) in enumerate(splitter.split(photos, photos["label"], groups), start=1):
        fold.iloc[held_out] = number
    return fold


def _check_folds(photos: pd.DataFrame, folds: int) -> None:
    for label, count in photos["label"].value_counts().items():
        if count < folds:
            raise StudyError(f"class {label} has {count} photos to fold, but needs {folds}; lower folds")


def seeded_order(photos: pd.DataFrame, seed: int, purpose: str) -> pd.Series:
    """A pseudo-random uint64 for each photo, from a hash of the seed, the purpose and the photo's own name.

    Photos in the order of it are a shuffled list into which a new photo slips without moving any other.
    """
    names = zip(photos["dataset"], photos["image_id"], strict=True)
    digests = (hashlib.sha256("\0".join((str(seed), purpose, *name)).encode()).digest() for name in names)
    return pd.Series([int.from_bytes(digest[:8]) for digest in digests], index=photos.index, dtype="uint64")


def draw_photos(
    split: pd.DataFrame,
    *,
    seed: int,
    draw: Literal["balanced", "as_found"],
    per_class: int | None,
    photos: int | None,
    leak: bool,
) -> pd.DataFrame:
    """What an experiment trains on: dataset, image_id, label, fold, in the row order of the split.

    All draws of a split and seed take the first photos of one shuffled list, so smaller ones are part of
    larger ones. `balanced` takes the classes in turn, at most `per_class` photos of each; `as_found` takes
    them as they come. `photos` None takes all there are. The new class's photos come whole, in addition.
    `leak` draws from all photos of the data set, tests included, as the published study did; photos without a
    fold are then given one.

    Raises:
        StudyError: more photos are asked for than there are, or a class gets fewer photos than there are
        folds.
    """
    folds = int(split["fold"].max())
    own = split["dataset"] == split["dataset"].iloc[0]
    in_pool = split["role"] == "pool"
    source = split[own & (in_pool | leak)]
    order = seeded_order(source, seed, "draw")
    shuffled = source.loc[order.sort_values().index]
    if draw == "balanced":
        turn = shuffled.groupby("label").cumcount()
        shuffled = shuffled.loc[turn.sort_values(kind="stable").index]
        if per_class is not None:
            shuffled = shuffled[turn.loc[shuffled.index] < per_class]
    if photos is not None and photos > len(shuffled):
        raise StudyError(
            f"train_photos: {photos} asked for, but the split has {len(shuffled)} photos to draw from"
            + (f" at per_class {per_class}" if draw == "balanced" and per_class else "")
            + "; lower train_photos"
        )
    drawn = split.loc[shuffled.index[:photos].union(split.index[~own & in_pool])]
    counts = drawn["label"].value_counts()
    for label in split["label"][own & in_pool].unique():
        if counts.get(label, 0) < folds:
            raise StudyError(
                f"train_photos: class {label} has {counts.get(label, 0)} of the {len(drawn)} photos drawn, "
                f"but needs {folds}, one a fold; draw more photos, draw them balanced, or lower folds"
            )
    own_fold = (seeded_order(drawn, seed, "leaked fold") % folds + 1).astype("Int64")
    return drawn.assign(fold=drawn["fold"].fillna(own_fold))[["dataset", "image_id", "label", "fold"]]


def _grouping(photos: pd.DataFrame, grouped: bool) -> pd.Series:
    """What must stay together: the near-duplicates' group, or each photo alone."""
    return photos["group"] if grouped else pd.Series(np.arange(len(photos)), index=photos.index)


def _published_roles(
    photos: pd.DataFrame, labels: list[str], test: int, per_class: int | None, group_duplicates: bool
) -> pd.DataFrame:
    balanced = published.balance(photos, labels, per_class or len(photos))
    if not len(labels) <= test <= len(balanced) - len(labels) or balanced["label"].value_counts().min() < 2:
        raise StudyError(
            f"test: {test} asked for of {len(balanced)} photos (after per_class) of {len(labels)} classes: "
            "the test and the pool both need photos of each; change test"
        )
    pool, held_out = published.hold_out(balanced, test, stratify=True)
    if group_duplicates:
        pool = pool[~pool["group"].isin(held_out["group"])]
    return published.with_roles(photos, pool, held_out)


def _corrected_roles(
    photos: pd.DataFrame,
    labels: list[str],
    seed: int,
    test: int,
    test_as_found: int,
    floor: int,
    group_duplicates: bool,
) -> pd.DataFrame:
    photos = photos.sort_values("image_id")
    grouping = _grouping(photos, group_duplicates)
    candidates = _test_candidates(photos, grouping, seed)
    counts = photos["label"].value_counts().reindex(labels)
    as_found = _shares(test_as_found, counts)
    balanced = test // len(labels)
    if balanced == 0:
        raise StudyError(f"test: {test} is less than a photo of each of the {len(labels)} classes; raise test")
    # Of each class, the first candidates are tested as found, the next ones balanced.
    rank = candidates.groupby("label").cumcount()
    as_found_ends = candidates["label"].map(as_found)
    tested = candidates.index[rank < as_found_ends + balanced]
    role = pd.Series("pool", index=photos.index)
    role[grouping.isin(grouping[tested])] = "unused"
    role[tested] = "test"
    role[candidates.index[rank < as_found_ends]] = "test_as_found"

    distinct = candidates["label"].value_counts().reindex(labels, fill_value=0)
    left = photos["label"][role == "pool"].value_counts().reindex(labels, fill_value=0)
    for label in labels:
        if distinct[label] < as_found[label] + balanced or left[label] < floor:
            raise StudyError(
                f"class {label} has {counts[label]} photos ({distinct[label]} that may be tested), but needs "
                f"{as_found[label] + balanced + floor}: {balanced} for the test, {as_found[label]} for the "
                f"test as found, {floor} to train on; lower test, test_as_found, keep_for_training or folds"
            )
    return photos.assign(role=role)


def _test_candidates(photos: pd.DataFrame, grouping: pd.Series, seed: int) -> pd.DataFrame:
    """Photos that may be tested, shuffled: one of each group whose labels agree."""
    agrees = photos["label"].groupby(grouping).transform("nunique") == 1
    shuffled = photos.loc[seeded_order(photos, seed, "test").sort_values().index]
    shuffled = shuffled[agrees.loc[shuffled.index]]
    return shuffled[~grouping.loc[shuffled.index].duplicated()]


def _shares(total: int, counts: pd.Series) -> pd.Series:
    """`total` dealt out in proportion to `counts`, in whole photos (largest remainders)."""
    exact = total * counts / counts.sum()
    whole = np.floor(exact).astype(int)
    largest = (whole - exact).sort_values(kind="stable").index[: total - whole.sum()]
    whole[largest] += 1
    return whole


def _new_class_roles(
    photos: pd.DataFrame, new_class: Mapping[str, Any], seed: int, protocol: Protocol, group_duplicates: bool
) -> pd.DataFrame:
    """The label's photos in the other data set: `test` of them tested, `photos` in all, the rest unused."""
    other = photos[photos["dataset"] == new_class["dataset"]]
    rows = other[other["label"] == new_class["label"]]
    count, test = new_class["photos"], new_class["test"]
    if len(rows) < count:
        raise _too_few_new(new_class, len(rows))
    if protocol == "published":
        pool, held_out = published.hold_out(published.sample_class(rows, count), test, stratify=False)
        return published.with_roles(rows, pool, held_out)
    other = other.sort_values("image_id")
    grouping = _grouping(other, group_duplicates)
    candidates = _test_candidates(other, grouping, seed)
    held_out = candidates[candidates["label"] == new_class["label"]].head(test)
    rows = other[other["label"] == new_class["label"]]
    free = rows[~grouping.loc[rows.index].isin(grouping[held_out.index])]
    pool = free.loc[seeded_order(free, seed, "new class").sort_values().index].head(count - test)
    if len(held_out) + len(pool) < count:
        raise _too_few_new(new_class, len(held_out) + len(pool))
    role = pd.Series("unused", index=rows.index)
    role[held_out.index], role[pool.index] = "test", "pool"
    return rows.assign(role=role)


def _too_few_new(new_class: Mapping[str, Any], has: int) -> StudyError:
    return StudyError(
        f"new_class.photos: {new_class['label']} of {new_class['dataset']} has {has} photos that are no "
        f"duplicates of tested ones, but needs {new_class['photos']}; lower photos and test"
    )


def _facts(table: pd.DataFrame, photos: pd.DataFrame, dataset: str, classes: list[str], folds: int) -> dict[str, Any]:
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
