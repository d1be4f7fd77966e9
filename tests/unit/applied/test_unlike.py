"""How unlike a photo is: strange ones are told from those of the study, and the study's own have any value alike."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest
from sklearn.metrics import roc_auc_score

from manihot.applied import unlike
from manihot.core.errors import StudyError

BACKBONE = {"network": "net", "precision": "float32"}


def features(random, n, centre=0.0):
    """Features of photos of one of four kinds, as pooled ones are: positive, in 32 directions."""
    kinds = np.random.default_rng(0).normal(size=(4, 32))
    return np.maximum(kinds[random.integers(0, 4, n)] + centre + 0.5 * random.normal(size=(n, 32)), 0)


def photos(labels, groups=None):
    names = [f"{index}.jpg" for index in range(len(labels))]
    numbers = np.arange(len(labels)) if groups is None else groups
    return pd.DataFrame({"dataset": "d", "image_id": names, "label": list(labels), "group": numbers})


def test_strange_photos_are_told_from_new_ones_of_the_study():
    random = np.random.default_rng(1)
    reference = unlike.Reference.of(features(random, 800), np.arange(800))
    new = features(random, 500)
    shift = np.random.default_rng(9).normal(size=32)
    found = [reference.unlike(some) for some in (new, features(random, 500, shift))]
    truth = np.repeat([0, 1], 500)
    assert roc_auc_score(truth, np.concatenate(found)) > 0.9
    assert np.median(found[1]) > 95 and found[0].min() >= 0 and found[1].max() <= 100
    # Brightness of the features, which is their length, is no news.
    assert reference.unlike(3 * new) == pytest.approx(found[0], abs=0.2)


def test_photos_of_the_study_have_any_value_alike():
    random = np.random.default_rng(2)
    reference = unlike.Reference.of(features(random, 1000), np.arange(1000))
    values = reference.unlike(features(random, 1000)) / 100
    assert kstest(values, "uniform").statistic < 0.06


def test_photos_of_one_group_are_no_neighbours():
    """Five copies of each photo: without its group, a photo would lie among its copies, and new ones would all be strange."""
    random = np.random.default_rng(3)
    copied = np.repeat(features(random, 200), 6, axis=0) + 1e-3 * random.normal(size=(1200, 32))
    new = features(random, 400)
    apart = unlike.Reference.of(copied, np.repeat(np.arange(200), 6)).unlike(new)
    alone = unlike.Reference.of(copied, np.arange(1200)).unlike(new)
    assert kstest(apart / 100, "uniform").statistic < 0.12 and (alone > 99).mean() > 0.9


def test_a_distance_by_hand():
    rows = unlike.normalised(np.array([[2.0, 0], [0, 3], [-1, 0], [0, 0]]))
    assert rows.tolist() == [[1, 0], [0, 1], [-1, 0], [0, 0]] and rows.dtype == np.float32
    found = unlike.distances(rows[:1], rows[:3], 2)
    assert found == pytest.approx([np.sqrt(2)])
    apart = unlike.distances(rows[:3], rows[:3], 1, np.array([0, 0, 1]))
    assert apart == pytest.approx([2, np.sqrt(2), np.sqrt(2)])


def test_many_rows_are_as_few(monkeypatch):
    random = np.random.default_rng(4)
    rows, groups = unlike.normalised(features(random, 50)), np.arange(50) // 2
    whole = unlike.distances(rows, rows, 3, groups)
    monkeypatch.setattr(unlike, "BLOCK", 7)
    assert unlike.distances(rows, rows, 3, groups) == pytest.approx(whole, abs=1e-6)


def test_classes_have_equally_many_reference_photos_as_far_as_there_are():
    table = photos("a" * 60 + "b" * 30 + "c" * 4)
    drawn = unlike.draw(table, 1, most=30)
    assert table["label"].iloc[drawn].value_counts().to_dict() == {"a": 13, "b": 13, "c": 4}
    assert (np.diff(drawn) > 0).all() and len(unlike.draw(table, 1)) == 94
    shuffled = table.sample(frac=1, random_state=1)
    again = unlike.draw(shuffled.reset_index(drop=True), 1, most=30)
    assert set(shuffled["image_id"].iloc[again]) == set(table["image_id"].iloc[drawn])
    assert set(unlike.draw(table, 2, most=30)) != set(drawn)


def test_one_photo_of_a_group_and_class_is_drawn():
    table = photos("aab" * 10, np.arange(30) // 6)
    drawn = table.iloc[unlike.draw(table, 1)]
    assert len(drawn) == 10 and not drawn.duplicated(["group", "label"]).any()


def test_a_reference_is_kept_with_what_it_takes(tmp_path):
    random = np.random.default_rng(5)
    reference = unlike.Reference.of(features(random, 40), np.arange(40))
    path = tmp_path / unlike.FILE
    reference.write(path, photos("ab" * 20), BACKBONE, 7)
    read, backbone = unlike.read(path)
    assert backbone == BACKBONE and read.k == unlike.NEIGHBOUR
    np.testing.assert_array_equal(read.rows, reference.rows)
    new = features(random, 9)
    np.testing.assert_array_equal(read.unlike(new), reference.unlike(new))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(StudyError, match="unlike.npy is damaged at photo 39.jpg"):
        unlike.read(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(StudyError, match="unlike.json is missing or damaged"):
        unlike.read(path)


def test_few_photos_have_the_farthest_of_them_and_one_group_has_none():
    rows = np.eye(4)
    assert unlike.Reference.of(rows, np.array([0, 0, 1, 2])).k == 2
    with pytest.raises(StudyError, match="all reference photos are of one group"):
        unlike.Reference.of(rows, np.zeros(4))
