"""Heads on fewer photos: nested parts of whole groups, fitted with the C of the whole, and the study's own head last."""

import numpy as np
import pandas as pd
import pytest
from photo_tables import BACKBONE

from manihot.features import heads, logistic
from manihot.features import table as feature_table
from manihot.networks import bundle
from manihot.predictions.fewer_photos import SHARES, out_of_fold, places
from manihot.splits.folds import Fold

LABELS = ["a", "b", "c"]
CLASSES = [{"label": label, "name": label} for label in LABELS]
TUNED = logistic.Recipe(["identity"], "none", seed=7)
ADAM = heads.Adam(["identity"], epochs=4, batch_size=16, learning_rate=5e-2, weight_decay=0.0, seed=7)
RECORD = {"classes": CLASSES, "shares": dict.fromkeys(LABELS, 1 / 3), "asked": {}, "counts": {"test": {}}}


def photos(n, groups_of=1):
    """Half of them of class a, the rest of b and c; in two folds, group by group."""
    index = np.arange(n) // groups_of
    table = pd.DataFrame({"dataset": "leaves", "image_id": [f"{i:04}.jpg" for i in range(n)]})
    table["label"], table["group"] = np.array(["a", "b", "a", "c"])[index % 4], index
    table["fold"] = pd.array(index // 4 % 2 + 1, "Int64")
    return table


def test_parts_are_nested_whole_groups_with_the_shares_of_the_classes():
    fold = Fold(1, photos(800, groups_of=2), CLASSES)
    training, place = fold.training, places(fold, 7)
    assert len(place) == len(training) == 400 and (place >= 0).all() and (place < 1).all()
    assert (training.assign(place=place).groupby("group")["place"].nunique() == 1).all()
    for share in SHARES:
        part = training[place < share]
        counts = part["label"].value_counts()
        assert abs(len(part) - 400 * share) <= 3, "nested, for one threshold is below the other"
        assert abs(counts["a"] - 200 * share) <= 2 and abs(counts["b"] - 100 * share) <= 2


def test_parts_are_drawn_at_random_and_anew_in_each_fold():
    table = photos(400)
    table["fold"] = 3
    one, other, seeded = (places(Fold(number, table, CLASSES), seed) for number, seed in ((1, 7), (2, 7), (1, 8)))
    for drawn in (other, seeded):
        assert abs(np.corrcoef(one, drawn)[0, 1]) < 0.2
    assert abs(np.corrcoef(one, np.arange(400))[0, 1]) < 0.2
    shuffled = table.sample(frac=1, random_state=0)
    again = pd.Series(places(Fold(1, shuffled, CLASSES), 7), shuffled.index)[table.index]
    np.testing.assert_array_equal(again, one)


def test_every_class_has_a_group_in_the_smallest_part():
    table = photos(12, groups_of=2)
    table["fold"] = 2
    smallest = table[places(Fold(1, table, CLASSES), 7) < SHARES[0]]
    assert set(smallest["label"]) == set(LABELS) and len(smallest) == 6


@pytest.fixture
def stored(tmp_path):
    """Features that tell the class a little, of 240 photos in pairs, and the table of their split: 40 are tested."""
    table = photos(240, groups_of=2)
    classes = np.array([LABELS.index(label) for label in table["label"]])
    values = np.random.default_rng(0).normal(size=(240, 6)) + 1.5 * np.eye(6)[classes]
    about = {"dataset": "leaves", "view": "identity", "backbone": BACKBONE}
    path = tmp_path / "identity.npy"
    feature_table.write(path, table["image_id"], [(np.arange(240), values.astype(np.float32))], about)
    return [path], table.assign(role=np.where(np.arange(240) < 200, "pool", "test"))


def fits(stored, recipe, folder):
    """The study's own head: its folds, and what it was fitted to in each."""
    arrays, split = stored
    folds = [Fold(number, split[split["role"] == "pool"], CLASSES) for number in (1, 2)]
    made = []
    for fold in folds:
        (folder / f"{fold.number}").mkdir()
        heads.fit(folder / f"{fold.number}", arrays, fold, recipe, 1)
        made.append(bundle.read(folder / f"{fold.number}" / "model.json"))
    return folds, made


def test_the_whole_is_the_study_s_own_head_and_the_parts_have_its_c(stored, tmp_path):
    arrays, split = stored
    folds, fitted = fits(stored, TUNED, tmp_path)
    tables = out_of_fold(arrays, folds, fitted, split, RECORD, TUNED, 1)
    raw = tables["raw"]
    assert list(raw) == ["share", "photos", "dataset", "image_id", "label", "fold", "p0", "p1", "p2"]
    assert sorted(raw["share"].unique()) == pytest.approx([*SHARES, 1])
    for _, part in raw.groupby("share"):
        assert sorted(part["image_id"]) == sorted(split["image_id"][:200]), "no tested photo"
    for fold, own in zip(folds, fitted, strict=True):
        held = split[(split["fold"] == fold.number) & (split["role"] == "pool")]
        rows = raw[raw["fold"] == fold.number].set_index("image_id")
        whole = rows[rows["share"] == 1].loc[held["image_id"]]
        np.testing.assert_array_equal(
            whole[["p0", "p1", "p2"]].to_numpy(np.float32), heads.predict(own, arrays, held, 1)
        )
        assert set(whole["photos"]) == {len(fold.training)}
        # By hand, the part of a third: its photos, and the C of the whole.
        share = SHARES[2]
        part = Fold(fold.number, fold.training[places(fold, 7) < share], CLASSES)
        folder = tmp_path / f"part{fold.number}"
        folder.mkdir()
        heads.fit(folder, arrays, part, logistic.Recipe(["identity"], "none", 7, own.record["tuned"]["C"]), 1)
        by_hand = heads.predict(bundle.read(folder / "model.json"), arrays, held, 1)
        fewer = rows[rows["share"].eq(share)].loc[held["image_id"]]
        np.testing.assert_array_equal(fewer[["p0", "p1", "p2"]].to_numpy(np.float32), by_hand)
        assert set(fewer["photos"]) == {len(part.sample)}


def test_calibrated_answers_allow_for_the_class_shares(stored, tmp_path):
    """Half the photos are of class a: the answers for equal shares name it less often."""
    arrays, split = stored
    tables = out_of_fold(arrays, *fits(stored, TUNED, tmp_path), split, RECORD, TUNED, 1)
    said = {kind: table[["p0", "p1", "p2"]].to_numpy().argmax(axis=1) for kind, table in tables.items()}
    assert (said["calibrated"] == 0).sum() < (said["raw"] == 0).sum()
    keys = ["share", "photos", "dataset", "image_id", "label", "fold"]
    pd.testing.assert_frame_equal(tables["raw"][keys], tables["calibrated"][keys])


def test_by_adam_a_part_is_given_as_many_steps(stored, tmp_path, monkeypatch):
    arrays, split = stored
    folds, fitted = fits(stored, ADAM, tmp_path)
    steps, fit = [], heads.fit

    def counting(folder, features, fold, recipe, threads):
        epoch = -(-len(fold.training) // recipe.batch_size)
        steps.append((recipe.epochs * epoch, epoch))
        return fit(folder, features, fold, recipe, threads)

    monkeypatch.setattr(heads, "fit", counting)
    out_of_fold(arrays, folds, fitted, split, RECORD, ADAM, 1)
    whole = np.repeat([4 * -(-len(fold.training) // 16) for fold in folds], 4)
    assert len(steps) == 8
    assert all(abs(taken - all_of) <= epoch / 2 for (taken, epoch), all_of in zip(steps, whole, strict=True))
