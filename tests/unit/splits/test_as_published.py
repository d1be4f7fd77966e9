"""`protocol: published` gives the study's own tables, to the photo."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from label_tables import strategy
from sklearn.model_selection import train_test_split

from manihot.photos.facts import FACTS
from manihot.splits import as_published, roles, sampling

STUDY = Path(__file__).parents[3].parent / "shared" / "study"
OPTIONS = {
    "dataset": "cassava", "seed": 3, "folds": 5, "fold_kind": "plain",
    "group_duplicates": False, "test": 1000, "test_as_found": 0, "per_class": 1400, "keep_for_training": 10,
}  # fmt: skip
NEW = {"dataset": "species", "label": "pinus_flexilis", "photos": 100, "test": 30, "in_every_fold": True}


def labels_of(name, dataset):
    path = STUDY / name
    if not path.exists():
        pytest.skip(f"the study's label file {name} is not beside the project")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows = np.arange(len(table))
    return table.assign(dataset=dataset, group=rows, copies=rows, **dict.fromkeys(FACTS, ""))


@pytest.fixture(scope="module")
def cassava():
    return labels_of("cassava_train.csv", "cassava")


@pytest.fixture(scope="module")
def species():
    return labels_of("species_train.csv", "species")


def split_photos(photos, new_class=None, **changed):
    protocol = strategy({**OPTIONS, **changed}, as_published.AsPublished)
    return roles.split_photos(photos, OPTIONS["dataset"], protocol, new_class=new_class)


@pytest.fixture(scope="module")
def split(cassava, species):
    return split_photos(pd.concat([cassava, species]), NEW)


def digest(table):
    rows = "\n".join(f"{row.image_id},{row.label}" for row in table.itertuples())
    return hashlib.sha256(rows.encode()).hexdigest()[:16]


def test_the_steps_give_the_six_tables(cassava, species):
    balanced = as_published.balance(cassava, list("01234"), 1400)
    pool, test = as_published.hold_out(balanced, 1000, stratify=True)
    new = as_published.sample_class(species[species["label"] == "pinus_flexilis"], 100).assign(label="5")
    new_train, new_test = as_published.hold_out(new, 30, stratify=False)
    tables = (balanced, pool, test, new, new_train, new_test)
    assert [len(table) for table in tables] == [6687, 5687, 1000, 100, 70, 30]
    assert [digest(table) for table in tables] == [
        "02439054fee6f063", "4825354e67f509ec", "42b109a17b17cd94",
        "8b21548a493b05a1", "19a522870cb068d7", "a21de3a16dfe40f2",
    ]  # fmt: skip


def test_the_split_has_them_in_the_studys_order(split):
    table, record = split
    index = {entry["label"]: str(place) for place, entry in enumerate(record["classes"])}
    numbered = table.assign(label=table["label"].map(index))
    roles = numbered.groupby(["dataset", "role"])
    assert digest(roles.get_group(("cassava", "pool"))) == "4825354e67f509ec"
    assert digest(roles.get_group(("cassava", "test"))) == "42b109a17b17cd94"
    assert digest(roles.get_group(("species", "pool"))) == "19a522870cb068d7"
    assert digest(roles.get_group(("species", "test"))) == "a21de3a16dfe40f2"


def test_the_counts_of_the_classes(split):
    table, record = split
    assert list(record["counts"]["test"].values()) == [163, 209, 209, 210, 209, 30]
    assert list(record["counts"]["pool"].values()) == [924, 1191, 1191, 1190, 1191, 70]
    assert record["new_class"] == "pinus_flexilis" and sum(record["counts"]["test_as_found"].values()) == 0
    assert len(table[table["dataset"] == "cassava"]) == 21_397


def test_every_photo_has_a_plain_fold(split):
    own = split[0][split[0]["dataset"] == "cassava"]
    pool = own[own["role"] == "pool"]["fold"].value_counts()
    assert own["fold"].notna().all() and sorted(pool.index) == [1, 2, 3, 4, 5]
    assert pool.max() - pool.min() <= 1
    added = split[0][(split[0]["dataset"] == "species") & (split[0]["role"] == "pool")]
    assert (added["fold"] == 0).all()


def test_the_first_fold_is_the_validation_part_of_its_boosters(split):
    pool = split[0][(split[0]["dataset"] == "cassava") & (split[0]["role"] == "pool")]
    train, validation = train_test_split(pool["image_id"], test_size=0.2, random_state=42)
    assert len(validation) == 1138 and set(pool[pool["fold"] == 1]["image_id"]) == set(validation)
    assert set(pool[pool["fold"] != 1]["image_id"]) == set(train)


def test_other_folds_follow_the_seed_and_two_folds_are_enough(cassava):
    first, other = (split_photos(cassava, seed=seed)[0]["fold"] for seed in (3, 4))
    in_pool = slice(0, 5687)
    assert ((first[in_pool] == 1) == (other[in_pool] == 1)).all() and (first != other).any()
    halves = split_photos(cassava, folds=2)[0]["fold"][in_pool]
    assert halves.value_counts().to_dict() == {1: 2844, 2: 2843}


def test_imbalanced_training_samples_all_photos(split):
    options = {"seed": 3, "draw": "as_found", "per_class": 1400, "photos": 1000, "leak": True}
    sample = sampling.sample_photos(split[0][split[0]["dataset"] == "cassava"], **options)
    role = split[0].set_index("image_id")["role"][sample["image_id"]].value_counts()
    assert role["unused"] > 600 and 25 < role["test"] < 75


def test_groups_can_be_kept_out_of_the_tests_way(cassava):
    joined = cassava.assign(group=lambda t: t["group"].where(t.index % 2 == 0, t["group"] - 1))
    table, _ = split_photos(joined, group_duplicates=True, fold_kind="stratified")
    tested = table[table["role"] == "test"]["group"]
    assert len(tested) == 1000 and not table[table["role"] == "pool"]["group"].isin(tested).any()
    assert (table.groupby("group")["fold"].nunique() == 1).all()
