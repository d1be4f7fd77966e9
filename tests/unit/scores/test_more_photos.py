"""A power law through scores on fewer photos: known ones are found again, and noise tells nothing."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import lsq_linear

from manihot.scores.more_photos import EXPONENTS, Law, fit_law, resampled, weigh
from manihot.scores.outcomes import outcomes

CLASSES = [{"label": label, "name": label} for label in "abc"]
SHARES = 8 ** (np.arange(5) / 4 - 1)
ALL = {"margin": 2.0, "resamples": 150}


def simulated(errors, photos, folds=5, alike=0.7, seed=0, groups_of=1):
    """Predictions of `photos` photos by heads of these true errors: a share `alike` of what makes a photo hard is the
    same at all sizes, the rest is drawn for each."""
    generator = np.random.default_rng(seed)
    true, fold = np.arange(photos) % 3, np.arange(photos) // 3 % folds + 1
    hard = np.repeat(generator.normal(size=-(-photos // groups_of)), groups_of)[:photos]
    stacked = []
    for share, error in zip(SHARES, errors, strict=True):
        drawn = np.sqrt(alike) * hard + np.sqrt(1 - alike) * generator.normal(size=photos)
        # By rank among many: the share of normal values below the quantile is the error.
        wrong = drawn < np.quantile(np.random.default_rng(1).normal(size=100_000), error)
        said = np.where(wrong, (true + 1) % 3, true)
        table = pd.DataFrame({"share": share, "photos": np.round(1000 * share), "dataset": "leaves"}, range(photos))
        table["image_id"] = [f"{index:05}" for index in range(photos)]
        table["label"], table["fold"] = [CLASSES[c]["label"] for c in true], fold
        stacked.append(table.join(pd.DataFrame(0.1 + 0.7 * np.eye(3)[said], columns=["p0", "p1", "p2"])))
    table = pd.concat(stacked, ignore_index=True)
    catalog = table.drop_duplicates("image_id")[["dataset", "image_id"]].assign(group=np.arange(photos) // groups_of)
    return {"raw": table, "calibrated": table}, catalog


def weighed(errors, photos, seed=0, **about):
    return weigh(*simulated(errors, photos, seed=seed, **about), CLASSES, seed=seed, **ALL)


def test_laws_are_found_again_where_nothing_is_noise():
    laws = Law(np.array([0.0, 0.1, 0.3]), np.array([0.2, 0.15, 0.0]), np.array([0.5, 0.3, 0.05]))
    found = fit_law(SHARES, laws.errors(SHARES))
    np.testing.assert_allclose(found.errors(np.array([2.0, 4.0])), laws.errors(np.array([2.0, 4.0])), atol=1e-3)
    np.testing.assert_allclose(found.a[:2], laws.a[:2], atol=0.01)
    np.testing.assert_allclose(found.c[:2], laws.c[:2], atol=0.026)


def test_a_law_is_the_best_of_its_kind():
    """Beside a general solver of bounded least squares, an exponent at a time."""
    errors = np.random.default_rng(0).uniform(0.1, 0.5, (12, 5))
    errors[0] = [0.5, 0.3, 0.18, 0.11, 0.05]  # steeper than any law without a negative floor
    found = fit_law(SHARES, errors)
    squares = np.square(found.errors(SHARES) - errors).sum(axis=1)
    columns = [np.column_stack([np.ones(5), SHARES**-c]) for c in EXPONENTS]
    floor = ([0, -np.inf], np.inf)
    best = [2 * min(lsq_linear(column, row, floor, tol=1e-14).cost for column in columns) for row in errors]
    np.testing.assert_allclose(squares, best, rtol=1e-6)
    assert (found.a >= 0).all() and found.a[0] == 0 and (found.b < 0).any()


@pytest.fixture(scope="module")
def falling():
    """40 draws of a law that falls: from 0.53 to 0.30 in the points, then to 0.25 and 0.21."""
    law = Law(np.array([0.1]), np.array([0.2]), np.array([0.4]))
    true = 100 * (law.errors(np.ones(1)) - law.errors(np.array([2.0, 4.0])))[0]
    return true, [weighed(law.errors(SHARES)[0], 300, seed=seed) for seed in range(40)]


def test_a_known_law_lies_in_its_interval(falling):
    true, draws = falling
    for place in range(2):
        gains = [draw["laws"]["balanced_accuracy"]["more"][place]["gain"] for draw in draws]
        held = [100 * gain["low"] <= true[place] <= 100 * gain["high"] for gain in gains]
        assert np.mean(held) >= 0.9
        # The interval says something: it is not so wide that it could not miss.
        assert np.median([100 * (gain["high"] - gain["low"]) for gain in gains]) < 2.5 * true[place]
        assert np.mean([100 * gain["value"] for gain in gains]) == pytest.approx(true[place], abs=0.25 * true[place])


def test_a_curve_that_rises_clearly_is_said_to(falling):
    verdicts = [draw["laws"]["balanced_accuracy"]["verdict"] for draw in falling[1]]
    assert np.mean([verdict == "gain" for verdict in verdicts]) > 0.9


def test_noise_alone_cannot_tell():
    verdicts = [weighed([0.4] * 5, 120, seed=seed)["laws"]["balanced_accuracy"]["verdict"] for seed in range(40)]
    assert np.mean([verdict == "cannot tell" for verdict in verdicts]) > 0.9
    assert "little" not in verdicts


def test_a_flat_curve_of_many_photos_gives_little():
    found = weighed([0.2] * 5, 6000, alike=0.95)["laws"]["balanced_accuracy"]
    assert found["verdict"] == "little" and found["more"][1]["gain"]["high"] < 0.02


def test_what_is_said_of_more_follows_from_the_law():
    found = weighed([0.5, 0.42, 0.36, 0.31, 0.28], 600)
    assert [point["photos"] for point in found["points"]] == [125, 210, 354, 595, 1000]
    law = found["laws"]["balanced_accuracy"]
    for entry in law["more"]:
        error = law["a"] + law["b"] * entry["times"] ** -law["c"]
        assert entry["value"] == pytest.approx(1 - error) and entry["photos"] == 1000 * entry["times"]
        assert entry["gain"]["value"] == pytest.approx(law["a"] + law["b"] - error)
        assert entry["low"] <= entry["value"] <= entry["high"]
    assert (law["curve"][0]["photos"], law["curve"][-1]["photos"]) == pytest.approx((125, 4000))
    for metric in ("balanced_accuracy", "accuracy"):
        assert all(point[metric]["low"] < point[metric]["value"] < point[metric]["high"] for point in found["points"])


def test_folds_that_differ_widen_the_interval_and_one_fold_has_none():
    tables, catalog = simulated([0.4] * 5, 300)
    whole = tables["raw"]
    # In one fold the errors rise with the photos, which they do not in the others.
    rising = whole["fold"].eq(1) & whole["share"].gt(0.5)
    whole.loc[rising, ["p0", "p1", "p2"]] = whole.loc[rising, ["p1", "p2", "p0"]].to_numpy()
    scored = [outcomes(part, catalog, CLASSES) for _, part in whole.groupby("share")]
    fold = whole["fold"].to_numpy()[:300]
    spread = {
        name: np.std(np.diff(resampled("accuracy", scored, numbers, 0, 400)[1][:, [0, -1]], axis=1))
        for name, numbers in (("five", fold), ("one", np.ones_like(fold)))
    }
    assert spread["five"] > 1.5 * spread["one"]


def test_photos_of_a_group_count_as_one():
    widths = []
    for members in (1, 5):
        found = weighed([0.45, 0.4, 0.36, 0.33, 0.3], 300, alike=0.999, groups_of=members, folds=1)
        last = found["points"][-1]["accuracy"]
        widths.append(last["high"] - last["low"])
    assert widths[1] > 1.5 * widths[0]


def test_too_few_fits_or_sizes_have_no_law():
    tables, catalog = simulated([0.4, 0.3, 0.3, 0.3, 0.3], 60, folds=1)
    assert weigh(tables, catalog, CLASSES, seed=0, **ALL)["laws"]
    few = {kind: table[table["share"] > 0.2] for kind, table in tables.items()}
    found = weigh(few, catalog, CLASSES, seed=0, **ALL)
    assert found["laws"] == {} and len(found["points"]) == 4  # four sizes of one fold
    same = {kind: table.assign(photos=3) for kind, table in tables.items()}
    assert weigh(same, catalog, CLASSES, seed=0, **ALL)["laws"] == {}


def test_the_same_seed_gives_the_same_numbers():
    assert weighed([0.4, 0.35, 0.3, 0.28, 0.27], 90) == weighed([0.4, 0.35, 0.3, 0.28, 0.27], 90)
