"""The user's groups: whole on one side of every split, counts as near as they allow, the same again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_tables import few, label_table, split, written

from manihot.catalog.duplicates import group_of
from manihot.core.errors import StudyError
from manihot.splits.whole_groups import WholeGroups


def plants(sizes, *, mixed=0, twins=0, seed=0):
    """Photos of plants: `sizes` has the sizes of each class's plants; of `mixed` pairs of plants of two classes each is
    one plot; `twins` pairs of photos of two plants are near-duplicates."""
    generator = np.random.default_rng(seed)
    names = [
        (str(label), f"c{label}p{plant}")
        for label, counts in enumerate(sizes)
        for plant, count in enumerate(counts)
        for _ in range(count)
    ]
    labels, groups = map(list, zip(*names, strict=True))
    table = label_table([labels.count(str(label)) for label in range(len(sizes))], seed=seed)
    table["given_group"] = groups
    for plot in range(mixed):
        table.loc[table["given_group"].isin([f"c0p{plot}", f"c1p{plot}"]), "given_group"] = f"plot{plot}"
    one = generator.choice(len(table), twins, replace=False)
    other = generator.choice(len(table), twins, replace=False)
    table["copies"] = group_of(len(table), one, other)
    first = {group: row for row, group in reversed(list(enumerate(table["given_group"])))}
    owner = np.array([first[group] for group in table["given_group"]])
    table["group"] = group_of(len(table), np.r_[one, np.arange(len(table))], np.r_[other, owner])
    return table.sample(frac=1, random_state=seed).reset_index(drop=True)


@st.composite
def tables(draw):
    """Classes of 14 to 25 plants with up to five photos each, some plots of two classes, some twins."""
    count = st.lists(st.integers(1, 5), min_size=14, max_size=25)
    sizes = draw(st.lists(count, min_size=2, max_size=3))
    return plants(sizes, mixed=draw(st.integers(0, 3)), twins=draw(st.integers(0, 3)), seed=draw(st.integers(0, 9)))


@few
@given(photos=tables(), kind=st.sampled_from(["stratified", "plain"]))
def test_no_group_has_two_roles_or_two_folds(photos, kind):
    table, record = split(photos, fold_kind=kind)
    tested = table[table["role"] != "unused"]
    assert (tested.groupby("group")["role"].nunique() == 1).all()
    assert (table[table["role"] == "pool"].groupby("group")["fold"].nunique() == 1).all()
    # What is not used is of a tested group, as a copy or in conflict.
    unused = table.loc[table["role"] == "unused", "group"]
    assert unused.isin(table.loc[table["role"].str.startswith("test"), "group"]).all()
    assert record["given_groups"] == photos["given_group"].nunique()
    assert set(table["image_id"]) == set(photos["image_id"])


@few
@given(photos=tables(), random=st.randoms(use_true_random=False))
def test_the_same_bytes_whatever_the_order_and_the_names(photos, random):
    once = split(photos)
    rows, columns = list(range(len(photos))), list(photos)
    random.shuffle(rows)
    random.shuffle(columns)
    again = photos.iloc[rows][columns].assign(given_group="plant " + photos["given_group"].iloc[rows])
    assert written(split(again)[0]) == written(once[0])
    assert written(split(photos)[0]) == written(once[0])


@few
@given(
    sizes=st.lists(st.lists(st.integers(1, 6), min_size=10, max_size=20), min_size=2, max_size=3),
    target=st.integers(1, 30),
)
def test_a_count_misses_by_at_most_half_a_group(sizes, target):
    photos = plants(sizes)
    labels = [str(label) for label in range(len(sizes))]
    whole = WholeGroups(photos, photos["given_group"], photos, labels=labels, keep_photos=0, keep_groups=0)
    taken = whole.draw([target] * len(labels))
    for label, counts in zip(labels, sizes, strict=True):
        has = photos["given_group"].isin(taken) & (photos["label"] == label)
        assert abs(has.sum() - target) <= max(counts) / 2 or has.sum() == sum(counts) < target


def test_of_two_counts_as_near_the_smaller_one_is_taken():
    photos = plants([[2] * 10, [2] * 10])
    whole = WholeGroups(photos, photos["given_group"], photos, labels=["0", "1"], keep_photos=0, keep_groups=0)
    assert len(whole.draw([3, 5])) == 1 + 2


def test_groups_of_one_photo_are_drawn_as_photos_without_groups_are():
    photos = label_table([40, 60], duplicates=4)
    alone = photos.assign(given_group=photos["group"].astype(str))
    assert written(split(alone)[0]) == written(split(photos)[0])


def test_the_classes_that_remain_keep_their_photos_and_groups():
    photos = plants([[10] * 5, [2] * 30])
    # 40 of each class would take four of the five groups of class 0, and leave one for three folds.
    table, record = split(photos, test=80, test_as_found=0, folds=3)
    assert record["counts"]["test"] == {"0": 20, "1": 40}
    assert table.loc[(table["role"] == "pool") & (table["label"] == "0"), "group"].nunique() == 3


def test_a_class_of_large_groups_is_tested_with_one_of_them():
    photos = plants([[12] * 8, [1] * 60])
    _, record = split(photos, test=8, test_as_found=0)
    assert record["counts"]["test"] == {"0": 12, "1": 4}
    assert record["asked"] == {"test": 8, "test_as_found": 0}


def test_labels_in_conflict_keep_copies_out_of_a_test_but_not_their_plot():
    photos = plants([[4] * 12, [4] * 12], mixed=2)
    assert split(photos, test=40, test_as_found=0)[1]["conflicts"] == 0
    # Two photos of one plot are copies with two labels.
    plot = photos[photos["given_group"] == "plot0"]
    pair = [plot.index[plot["label"] == label][0] for label in ("0", "1")]
    photos.loc[pair, "copies"] = photos.loc[pair, "copies"].min()
    for seed in range(30):
        table, record = split(photos, test=40, test_as_found=0, seed=seed)
        roles = table.set_index("image_id")["role"]
        assert record["conflicts"] == 1
        if "test" in set(roles[plot["image_id"]]):
            assert (roles[photos.loc[pair, "image_id"]] == "unused").all()
            break
    else:
        pytest.fail("no seed tests the plot")


def test_near_duplicates_may_be_split_where_the_study_says_so_but_groups_may_not():
    photos = plants([[3] * 15, [3] * 15], twins=8)
    table, _ = split(photos, group_duplicates=False, test=20, test_as_found=0)
    named = table.merge(photos[["image_id", "given_group", "copies"]], on="image_id")
    assert (named.groupby("given_group")["role"].nunique() == 1).all()
    assert (named.groupby("copies")["role"].nunique() > 1).any()


@pytest.mark.parametrize(
    ("sizes", "changed", "says"),
    [
        ([[5] * 4, [5] * 12], {}, "class 0 is in 4 groups of photos, but needs 5: 3 to fold.*1 are missing"),
        ([[5] * 4, [5] * 12], {"folds": 2, "keep_for_training": 18}, "class 0 has 20 photos in groups that are too"),
        ([[9, 1, 1, 1, 1, 1], [1] * 20], {}, "9 of 34 photos stay together.*all of group c0p0: give finer groups"),
    ],
)
def test_groups_that_cannot_be(sizes, changed, says):
    with pytest.raises(StudyError, match=says):
        split(plants(sizes), **{"test": 4, "test_as_found": 4} | changed)


def test_copies_that_join_groups_to_one_that_is_too_large():
    photos = plants([[4] * 10, [4] * 10])
    photos.loc[photos["given_group"].isin(["c0p0", "c0p1", "c0p2", "c1p5", "c1p6"]), "group"] = 0
    with pytest.raises(StudyError, match="of 5 groups, among them .* which near-duplicates join"):
        split(photos)
    photos["given_group"] = ""
    with pytest.raises(StudyError, match="all near-duplicates of one another"):
        split(photos)


@few
@given(photos=tables())
def test_a_fold_a_site(photos):
    sites = {group: f"field {number % 4}" for number, group in enumerate(sorted(photos["group"].unique()))}
    photos["site"] = photos["group"].map(sites)
    table, record = split(photos, fold_kind="by_site", folds=4, keep_for_training=1)
    pool = table[table["role"] == "pool"].merge(photos[["image_id", "site"]], on="image_id")
    assert record["sites"] == ["field 0", "field 1", "field 2", "field 3"]
    assert (pool["fold"] == pool["site"].map({site: n for n, site in enumerate(record["sites"], start=1)})).all()


def test_a_group_over_two_sites_is_whole_in_that_of_most_of_its_photos():
    photos = plants([[4] * 10, [4] * 10])
    photos["site"] = np.where(photos["given_group"].str[-1].astype(int) % 2, "b", "a")
    strays = photos.index[photos["given_group"] == "c0p0"][:1].union(photos.index[photos["given_group"] == "c1p3"][:1])
    photos.loc[strays, "site"] = photos.loc[strays, "site"].map({"a": "b", "b": "a"})
    table, _ = split(photos, fold_kind="by_site", folds=2, test=8, test_as_found=0)
    pool = table[table["role"] == "pool"].merge(photos[["image_id", "given_group"]], on="image_id")
    assert {"c0p0", "c1p3"} & set(pool["given_group"])
    assert (pool["fold"] == pool["given_group"].str[-1].astype(int) % 2 + 1).all()


def test_a_site_that_is_only_in_groups_of_others_has_no_fold():
    photos = plants([[4] * 10, [4] * 10]).assign(site="a")
    photos.loc[photos.groupby("given_group").head(1).index, "site"] = "b"
    with pytest.raises(StudyError, match="every photo of site b is in one group with photos of other sites"):
        split(photos, fold_kind="by_site", folds=2)
    with pytest.raises(StudyError, match="2 sites have photos to train on, but there are 3 folds: set folds: 2"):
        split(photos, fold_kind="by_site", folds=3)
