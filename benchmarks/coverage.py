"""How often the 95 % intervals of `scores/shares.py` hold the true share: simulated photos, with and without groups.

    python benchmarks/coverage.py [--draws 4000] [--only PART]

Writes benchmarks/results/coverage.json and the tables of docs/statistics.md. About twenty minutes on one core. With
--only one part is simulated again, the others are those of the file.
"""

import argparse
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from measuring import ROOT
from numpy.typing import NDArray
from scipy import stats

from manihot.core import files
from manihot.scores import choice, comparisons
from manihot.scores.shares import shares

PHOTOS = (15, 30, 50, 75, 150, 300, 1000)
TRUE = (0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 0.9, 0.95, 0.98)
# Recalls of the classes of a test, by name.
RECALLS = {
    "all 0.5": (0.5,) * 5,
    "all 0.95": (0.95,) * 5,
    "always one class": (1.0, 0.0, 0.0, 0.0, 0.0),
    "from 0.02 to 0.99": (0.99, 0.9, 0.6, 0.3, 0.02),
    "0.98 and 0.4": (0.98, 0.4),
}
A_CLASS = (15, 30, 60, 200)
# Two settings, and how far the seeds of one lie apart, as log odds of a photo being right.
SKILLS = (1.0, 0.8)
SEED_SPREAD = 0.15
# Models to choose among: their true accuracies, and how alike they answer (correlation of what decides a photo).
ACCURACIES = {"equal": (0.8, 0.8), "0.75 to 0.80": (0.75, 0.8)}
ALIKE = 0.5
CLASSES, TESTED = 5, 15
# A small learner: two classes this far from 0 in one direction of so many features, with this added to variances.
SHIFT, FEATURES, RIDGE = 0.5, 20, 0.1
# Photos and folds of what it predicts out of fold.
OUT_OF_FOLD = ((100, 5), (300, 3), (300, 5), (300, 10), (1000, 5))


@dataclass(frozen=True)
class Groups:
    """Photos in groups: their mean size (at least 1, the rest Poisson), and how alike the photos of one are (ICC)."""

    name: str
    size: float = 1.0
    alike: float = 0.0

    def draw(self, generator: np.random.Generator, photos: int, true: float) -> tuple[NDArray[Any], NDArray[Any]]:
        """About so many photos: which are right, bool [n], and their groups, int [n]."""
        count = max(2, round(photos / self.size))
        sizes = 1 + generator.poisson(self.size - 1, count)
        own = np.full(count, true)
        if 0 < true < 1 and self.alike == 1:
            own = (generator.random(count) < true).astype(float)
        elif 0 < true < 1 and self.alike:
            spread = (1 - self.alike) / self.alike
            own = generator.beta(true * spread, (1 - true) * spread, count)
        groups = np.repeat(np.arange(count), sizes)
        return generator.random(len(groups)) < own[groups], groups


KINDS = (
    Groups("single photos"),
    Groups("pairs of copies, always answered alike", 2, 1.0),
    Groups("plants of 3, a little alike", 3, 0.1),
    Groups("plants of 3, alike", 3, 0.3),
    Groups("plots of 10, a little alike", 10, 0.1),
    Groups("plots of 10, alike", 10, 0.3),
    Groups("plots of 10, very alike", 10, 0.6),
)


def covered(kind: Groups, photos: int, true: float, draws: int) -> dict[str, Any]:
    """The share of intervals that hold `true`, and their mean width; each drawn set of photos is a stratum."""
    generator = np.random.default_rng([photos, round(1000 * true), KINDS.index(kind)])
    drawn = [kind.draw(generator, photos, true) for _ in range(draws)]
    strata = np.repeat(np.arange(draws), [len(groups) for _, groups in drawn])
    hits, groups = (np.concatenate(column) for column in zip(*drawn, strict=True))
    low, high = shares(hits, groups, strata, draws).intervals()
    return {
        **asdict(kind), "photos": photos, "true": true, "covered": float(np.mean((low <= true) & (true <= high))),
        "width": float(np.mean(high - low)),
    }  # fmt: skip


def covered_by_percentiles(photos: int, true: float) -> float:
    """The coverage of the percentile bootstrap of single photos, exactly: its resamples are binomial."""
    right = np.arange(photos + 1)
    low, high = (stats.binom.ppf(level, photos, right / photos) / photos for level in (0.025, 0.975))
    return float(stats.binom.pmf(right, photos, true)[(low <= true) & (true <= high)].sum())


def covered_means(kind: Groups, photos: int, name: str, draws: int) -> dict[str, Any]:
    """The same of the balanced accuracy of classes with `photos` each."""
    generator = np.random.default_rng([photos, list(RECALLS).index(name), KINDS.index(kind), 1])
    recalls = RECALLS[name]
    true, inside, widths = float(np.mean(recalls)), 0, 0.0
    for _ in range(draws):
        drawn = [kind.draw(generator, photos, recall) for recall in recalls]
        strata = np.repeat(np.arange(len(recalls)), [len(groups) for _, groups in drawn])
        groups = np.concatenate([groups + 10_000 * stratum for stratum, (_, groups) in enumerate(drawn)])
        found = shares(np.concatenate([hits for hits, _ in drawn]), groups, strata, len(recalls))
        _, low, high = found.mean()
        inside += low <= true + 1e-12 and true - 1e-12 <= high
        widths += high - low
    return {
        **asdict(kind), "photos": photos, "recalls": name, "covered": inside / draws, "width": widths / draws,
    }  # fmt: skip


def covered_seeds(photos: int, seeds: int, draws: int) -> dict[str, Any]:
    """How often the interval of a difference of two settings holds it: their models differ from seed to seed, too.

    Photos are right by a logistic of the setting's skill, the seed's, and the photo's own ease, which all models share.
    """
    generator = np.random.default_rng([photos, seeds, 2])
    truth = expected(SKILLS[0]) - expected(SKILLS[1])
    keys = pd.DataFrame({"dataset": "d", "image_id": [str(n) for n in range(photos)], "label": "a"})
    catalog = keys[["dataset", "image_id"]].assign(group=np.arange(photos))
    classes = [{"label": "a", "name": "a"}, {"label": "b", "name": "b"}]
    inside, widths = 0, 0.0
    for draw in range(draws):
        ease = generator.normal(size=photos)
        sides = []
        for skill in SKILLS:
            own = skill + SEED_SPREAD * generator.normal(size=seeds)
            right = generator.random((seeds, photos)) < 1 / (1 + np.exp(-(own[:, None] + ease)))
            sides.append([keys.assign(p0=np.where(row, 0.7, 0.3), p1=np.where(row, 0.3, 0.7)) for row in right])
        found = comparisons.compare(*sides, catalog, classes, seed=draw, resamples=200, permutations=1)
        accuracy = found["metrics"]["accuracy"]
        inside += accuracy["low"] <= truth <= accuracy["high"]
        widths += accuracy["high"] - accuracy["low"]
    return {"photos": photos, "seeds": seeds, "covered": inside / draws, "width": widths / draws}


def choosing(models: int, accuracies: str, photos: int, draws: int) -> dict[str, Any]:
    """What a choice makes of scores: means over `draws` of score minus true accuracy of the model that it is of.

    The models, each a family of its own, answer `photos` photos a class out of fold, by which one is chosen, and
    TESTED a class in a test. `own` is the chosen model's score out of fold, `corrected` the same after the correction
    (`covered`: how often its interval holds the truth), `test` its test score, and `best_test` the best test score of
    all families. Each has its standard error.
    """
    generator = np.random.default_rng([models, photos, list(ACCURACIES).index(accuracies), 3])
    truth = np.linspace(*ACCURACIES[accuracies], models)
    true = np.repeat(np.arange(CLASSES), photos)
    inside, found = 0, []
    for draw in range(draws):
        pool, test = (_answers(generator, truth, CLASSES * each) for each in (photos, TESTED))
        groups = np.arange(len(true))
        answered = choice.OutOfFold(pool, np.where(pool > 0, 0.3, 1.5), true, groups, true, CLASSES)
        score, best_test = pool.mean(axis=0), int(test.mean(axis=0).argmax())
        chosen = int(choice.best(score, answered.loss.mean(axis=0)))
        again = choice.corrected(answered, chosen, seed=draw, resamples=200)[1]["corrected"]["balanced_accuracy"]
        inside += bool(again["low"] <= truth[chosen] <= again["high"])
        apart = score[chosen], again["value"], test.mean(axis=0)[chosen]
        found.append([*(np.array(apart) - truth[chosen]), test.mean(axis=0)[best_test] - truth[best_test]])
    names = ("own", "corrected", "test", "best_test")
    means, errors = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(draws)
    told = {name: {"mean": float(m), "error": float(e)} for name, m, e in zip(names, means, errors, strict=True)}
    return {"models": models, "accuracies": accuracies, "photos": photos, **told, "covered": inside / draws}


def _answers(generator: np.random.Generator, truth: NDArray[Any], photos: int) -> NDArray[Any]:
    """Which photos models of these true accuracies have right, float [photos, models]; a hard photo is so for all."""
    ease = generator.normal(size=(photos, 1))
    own = generator.normal(size=(photos, len(truth)))
    drawn = np.sqrt(ALIKE) * ease + np.sqrt(1 - ALIKE) * own
    return (drawn < stats.norm.ppf(truth)).astype(float)


def covered_folds(photos: int, folds: int, draws: int) -> dict[str, Any]:
    """How often the intervals of an out-of-fold difference hold it: that of the photos, and that of the folds.

    The two settings see different features of the photos, which are alike in all: so the difference is 0. Each fold's
    model is fitted on the photos of the other folds, new ones in each draw.
    """
    generator = np.random.default_rng([photos, folds, 3])
    true, fold = np.arange(photos) % 2, np.arange(photos) // 2 % folds + 1
    keys = pd.DataFrame(
        {"dataset": "d", "image_id": [str(n) for n in range(photos)], "label": np.array(["a", "b"])[true]}
    )
    catalog = keys[["dataset", "image_id"]].assign(group=np.arange(photos))
    classes = [{"label": "a", "name": "a"}, {"label": "b", "name": "b"}]
    found = {way: {"covered": 0, "width": 0.0} for way in ("photos", "folds")}
    for draw in range(draws):
        seen = generator.normal(size=(2, photos, FEATURES))
        seen[..., 0] += np.where(true, SHIFT, -SHIFT)
        sides = [keys.assign(p0=1.0 - answers, p1=answers) for answers in (_out_of_fold(x, true, fold) for x in seen)]
        for way, known in (("photos", {}), ("folds", {"fold": fold})):
            a, b = ([side.assign(**known)] for side in sides)
            compared = comparisons.compare(a, b, catalog, classes, seed=draw, resamples=200, permutations=1)
            accuracy = compared["metrics"]["accuracy"]
            found[way]["covered"] += (accuracy["low"] <= 0 <= accuracy["high"]) / draws
            found[way]["width"] += (accuracy["high"] - accuracy["low"]) / draws
    flat = {f"{key}_by_{way}": round(value, 6) for way, entry in found.items() for key, value in entry.items()}
    return {"photos": photos, "folds": folds, **flat}


def _out_of_fold(seen: NDArray[Any], true: NDArray[Any], fold: NDArray[Any]) -> NDArray[Any]:
    """Which photos get the second class, float [n], by linear discriminant analysis on the other folds."""
    answers = np.empty(len(true))
    for number in np.unique(fold):
        held_out = fold == number
        x, y = seen[~held_out], true[~held_out]
        middles = np.stack([x[y == 0].mean(axis=0), x[y == 1].mean(axis=0)])
        spread = np.cov((x - middles[y]).T) + RIDGE * np.eye(x.shape[1])
        direction = np.linalg.solve(spread, middles[1] - middles[0])
        answers[held_out] = (seen[held_out] - middles.mean(axis=0)) @ direction > 0
    return answers


def expected(skill: float) -> float:
    """The share right of a setting, over seeds and photos."""
    spread = np.sqrt(1 + SEED_SPREAD**2)
    points, weights = np.polynomial.hermite_e.hermegauss(60)
    return float((weights / (1 + np.exp(-(skill + spread * points)))).sum() / weights.sum())


def table(rows: list[dict[str, Any]], first: str) -> list[str]:
    """A row a kind of groups: mean coverage, the lowest, and where it is."""
    lines = [f"| photos are | mean coverage | lowest | at {first} | mean width |", "|---|---|---|---|---|"]
    for kind in dict.fromkeys(row["name"] for row in rows):
        mine = [row for row in rows if row["name"] == kind]
        low = min(mine, key=lambda row: row["covered"])
        mean, width = (np.mean([row[key] for row in mine]) for key in ("covered", "width"))
        where = f"{low['photos']}, {low['true'] if 'true' in low else low['recalls']}"
        lines.append(f"| {kind} | {mean:.3f} | {low['covered']:.3f} | {where} | {width:.2f} |")
    return lines


def choices_table(rows: list[dict[str, Any]]) -> list[str]:
    """A row a case of `choosing`, in points."""
    titles = ("models", "true accuracies", "photos out of fold", "own score out of fold")
    titles += ("corrected", "its interval holds", "test", "best test")
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for row in rows:
        own, after, test, best = (
            f"{100 * row[k]['mean']:+.1f}".replace("-", "−") for k in ("own", "corrected", "test", "best_test")
        )
        photos = f"{CLASSES * row['photos']:,}"
        cells = (row["models"], row["accuracies"], photos, own, after, f"{row['covered']:.3f}", test, best)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def simulate(name: str, draws: int) -> list[dict[str, Any]]:
    """One part of the results."""
    if name == "shares":
        return [covered(kind, n, p, draws) for kind, n, p in product(KINDS, PHOTOS, TRUE)]
    if name == "balanced_accuracy":
        return [covered_means(kind, n, name, draws // 4) for kind, n, name in product(KINDS, A_CLASS, RECALLS)]
    if name == "percentile_bootstrap":
        return [{"photos": n, "true": p, "percentiles": covered_by_percentiles(n, p)} for n, p in product(PHOTOS, TRUE)]
    if name == "differences_over_seeds":
        return [covered_seeds(n, count, draws // 16) for n, count in product((300, 1200), (2, 3, 5, 10))]
    if name == "differences_out_of_fold":
        return [covered_folds(n, folds, draws // 8) for n, folds in OUT_OF_FOLD]
    return [choosing(*case, draws // 4) for case in product((4, 16), ACCURACIES, (15, 60))]


PARTS = (
    "shares", "balanced_accuracy", "percentile_bootstrap", "differences_over_seeds", "differences_out_of_fold",
    "choice_of_a_model",
)  # fmt: skip


def main() -> None:
    """Simulate, write the results and the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=4000, help="drawn sets of photos for each number")
    parser.add_argument("--only", choices=PARTS, help="the one part to simulate again")
    asked = parser.parse_args()
    path = ROOT / "benchmarks/results/coverage.json"
    found = files.read_json(path) if asked.only else {"draws": asked.draws}
    draws = found["draws"]
    found |= {name: simulate(name, draws) for name in ([asked.only] if asked.only else PARTS)}
    files.write_json(path, {key: found[key] for key in ("draws", *PARTS)})
    before = found["percentile_bootstrap"]
    worst = min(before, key=lambda row: row["percentiles"])
    mean = np.mean([row["percentiles"] for row in before])
    text = [
        "Shares (accuracy, recall, precision), of 15 to 1,000 photos, true shares of 0.02 to 0.98:", "",
        *table(found["shares"], "photos, true share"), "",
        f"The percentile bootstrap, on single photos: {mean:.3f} in the mean, and {worst['percentiles']:.3f} at "
        f"{worst['photos']} photos and a true share of {worst['true']}.", "",
        f"Balanced accuracy, of 15 to 200 photos a class, {draws // 4:,} draws each:", "",
        *table(found["balanced_accuracy"], "photos a class, recalls"), "",
        f"Differences of two settings with several seeds each, {draws // 16:,} draws each:", "",
        "| photos | seeds | coverage | mean width |", "|---|---|---|---|",
        *(
            f"| {row['photos']:,} | {row['seeds']} | {row['covered']:.3f} | {row['width']:.3f} |"
            for row in found["differences_over_seeds"]
        ), "",
        "The choice of a model: mean points by which a score is above the true accuracy of its model, "
        f"{draws // 4:,} draws each, {CLASSES * TESTED} photos in the test:", "",
        *choices_table(found["choice_of_a_model"]), "",
        "Out-of-fold differences of two settings that are equally good (a linear learner, new photos in each draw), "
        f"{draws // 8:,} draws each:", "",
        "| photos | folds | coverage by photos | by folds | mean width by photos | by folds |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row['photos']:,} | {row['folds']} | {row['covered_by_photos']:.3f} | {row['covered_by_folds']:.3f} "
            f"| {row['width_by_photos']:.3f} | {row['width_by_folds']:.3f} |"
            for row in found["differences_out_of_fold"]
        ),
    ]  # fmt: skip
    page = ROOT / "docs/statistics.md"
    start, end = "<!-- coverage: benchmarks/coverage.py writes this -->\n", "<!-- end of coverage -->"
    before_it, _, rest = page.read_text().partition(start)
    files.write_text(page, before_it + start + "\n" + "\n".join(text) + "\n\n" + end + rest.partition(end)[2])


if __name__ == "__main__":
    main()
