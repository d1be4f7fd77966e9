"""Heads and trees with what is tuned within their training photos, beside those that are not: out of fold, over splits.

    snakemake --cores 2 --configfile benchmarks/tuning.yaml --directory FOLDER --until extract_features
    python benchmarks/tuning.py FOLDER [--ways heads trees] [--sets ...] [--seeds 3]

Every way fits the same five folds, whole groups, on the same photos, one thread each. Answers that were fitted on
photos as found are also given for equal classes, by dividing by what each class counted in the fit. Adds to
benchmarks/results/tuning.json.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import ROOT
from run import machine
from scipy import stats

from manihot.core import files
from manihot.core.gpus import Compute
from manihot.core.state import State
from manihot.core.tables import read_photos
from manihot.features import boosting, heads, logistic
from manihot.networks import bundle
from manihot.splits.folding import Folding, fold_photos
from manihot.splits.folds import Fold

FOLDS = 5
METRICS = ("balanced_accuracy", "accuracy_of_equal_classes", "log_loss")
PAGE = ROOT / "docs/accuracy.md"
BOTH = ["identity", "hflip"]
GROWN = {"max_depth": 4, "learning_rate": 0.1, "seed": 42}
SAMPLED = {"n_estimators": 1000, "early_stopping": 20, "subsample": 0.7}
Recipe = heads.Recipe | boosting.Recipe
# The first of each is what stood there before.
WAYS: dict[str, dict[str, Recipe]] = {
    "heads": {
        "adam, 10 epochs": heads.Adam(["identity"], 10, 256, 1e-3, 0.0, 42),
        "adam, 20 epochs, flips": heads.Adam(BOTH, 20, 256, 1e-3, 0.0, 42),
        "logistic": logistic.Recipe(["identity"], "none", 42),
        "logistic, flips": logistic.Recipe(BOTH, "none", 42),
        "logistic, flips, balanced": logistic.Recipe(BOTH, "balanced", 42),
    },
    "trees": {
        "100 rounds": boosting.Recipe(n_estimators=100, **GROWN),
        "features 0.02": boosting.Recipe(**GROWN, **SAMPLED, colsample_bynode=0.02),
        "features 0.02, depth 3": boosting.Recipe(**{**GROWN, "max_depth": 3}, **SAMPLED, colsample_bynode=0.02),
        "features 0.05": boosting.Recipe(**GROWN, **SAMPLED, colsample_bynode=0.05),
    },
}


@dataclass(frozen=True)
class Sample:
    """Photos to fold, with their classes and the stored features of their data set."""

    photos: pd.DataFrame
    classes: list[dict[str, str]]
    features: list[Path]

    @classmethod
    def of(cls, folder: Path, name: str, seed: int) -> "Sample":
        """`cassava` or `corn`, whole, or of cassava so many photos: a class (`60 a class`) or as found (`300`)."""
        dataset = "corn" if name == "corn" else "cassava"
        catalog = read_photos(folder / f"results/catalog/{dataset}.csv")
        photos = catalog[catalog["status"] == "ok"].sample(frac=1, random_state=seed)
        number = int(name.split()[1]) if " " in name else None
        photos = photos.groupby("label").head(number) if "a class" in name else photos.head(number or len(photos))
        labels = sorted(photos["label"].unique())
        stored = sorted((folder / f"results/features/mob_{dataset}/{dataset}/224px").glob("*.npy"))
        return cls(
            photos.sort_index().reset_index(drop=True), [{"label": each, "name": each} for each in labels], stored
        )

    def folds(self, seed: int) -> list[Fold]:
        """The folds of the photos, whole groups and stratified."""
        fold = fold_photos(self.photos, Folding(FOLDS, "stratified", grouped=True, seed=seed))
        kept = self.photos[["dataset", "image_id", "label", "group"]].assign(fold=fold)
        return [Fold(number, kept, self.classes) for number in range(1, FOLDS + 1)]


def answers(sample: Sample, fold: Fold, recipe: Recipe) -> tuple[np.ndarray, np.ndarray, float]:
    """Probabilities of the fold's held-out photos, those that the fit gave for equal classes, and its seconds."""
    with tempfile.TemporaryDirectory() as folder, State(folder, "tuning", {}, "", "") as state:
        start = time.perf_counter()
        if isinstance(recipe, boosting.Recipe):
            boosting.fit(state, sample.features, fold, recipe, Compute("cpu", threads=1), lambda *_: None)
        else:
            heads.fit(state.folder, sample.features, fold, recipe, threads=1)
        seconds, fitted = time.perf_counter() - start, bundle.read(state.folder / "model.json")
        predict = boosting.predict if isinstance(recipe, boosting.Recipe) else heads.predict
        said = predict(fitted, sample.features, fold.validation, 1).astype(np.float64)
        prior = np.multiply(fitted.record["class_shares"], fitted.record["class_weights"])
        return said, said / prior, seconds


def measure(sample: Sample, fold: Fold, recipe: Recipe) -> dict[str, float]:
    """What one fit is worth on its held-out photos."""
    said, equal, seconds = answers(sample, fold, recipe)
    true = fold.targets(fold.validation)
    found = {"seconds": seconds, "log_loss": float(-np.log(np.maximum(said[np.arange(len(true)), true], 1e-12)).mean())}
    for name, given in {"accuracy_of_equal_classes": equal, "balanced_accuracy": said}.items():
        right = given.argmax(axis=1) == true
        found[name] = float(np.mean([right[true == index].mean() for index in np.unique(true)]))
    return found


def paired(differences: np.ndarray) -> dict[str, float]:
    """The mean difference of folds over seeds with its 95 % interval, corrected for training photos that overlap.

    Source: Nadeau and Bengio 2003: the variance of k differences is (1 / k + held out / trained on) of theirs.
    """
    count = len(differences)
    error = np.sqrt((1 / count + 1 / (FOLDS - 1)) * differences.var(ddof=1))
    half = float(stats.t.ppf(0.975, count - 1) * error)
    mean = float(differences.mean())
    return {"difference": mean, "low": mean - half, "high": mean + half}


def compared(rows: list[dict[str, Any]], family: str) -> list[dict[str, Any]]:
    """Each way of a family on a set: its means, and its paired differences from the first."""
    table = pd.DataFrame(rows).set_index(["seed", "fold"])
    first, found = next(iter(WAYS[family])), []
    for way, own in table.groupby("way", sort=False):
        base = table[table["way"] == first]
        told: dict[str, Any] = {"way": way, "fits": len(own), "seconds": float(own["seconds"].median())}
        for metric in METRICS:
            told[metric] = {"mean": float(own[metric].mean())}
            if way != first and len(base):
                told[metric] |= paired((own[metric] - base[metric]).dropna().to_numpy())
        found.append(told)
    return found


def page(record: dict[str, Any]) -> str:
    """The tables of docs/accuracy.md."""
    lines = []
    for name, families in record["sets"].items():
        for family, told in families.items():
            lines += [
                f"{family.capitalize()}, {name} ({told['photos']:,} photos, {told['seeds']} draws of {FOLDS} folds):",
                "",
                "| way | balanced accuracy | accuracy of equal classes | log loss | seconds a fit |",
                "|---|---|---|---|---|",
            ]
            for way in told["ways"]:
                cells = [way["way"], *(cell(way[metric]) for metric in METRICS), f"{way['seconds']:.1f}"]
                lines.append(f"| {' | '.join(cells)} |")
            lines.append("")
    return "\n".join(lines)


def cell(measured: dict[str, float]) -> str:
    """A mean, and its difference from the first way's with its interval."""
    if "low" not in measured:
        return f"{measured['mean']:.3f}"
    low, difference, high = (measured[key] for key in ("low", "difference", "high"))
    text = f"{measured['mean']:.3f} ({difference:+.3f}, {low:+.3f} to {high:+.3f})"
    return f"**{text}**" if low > 0 or high < 0 else text


def put(mark: str, content: str) -> None:
    """Put tables between the marks of docs/accuracy.md: `<!-- MARK … -->` and `<!-- end of MARK -->`."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(f"<!-- {mark}: ", 1)
    said, rest = rest.split("-->", 1)
    after = rest.split(f"<!-- end of {mark} -->", 1)[1]
    files.write_bytes(PAGE, f"{before}<!-- {mark}: {said}-->\n\n{content}\n<!-- end of {mark} -->{after}".encode())


def main() -> None:
    """Fit, compare and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the features were extracted")
    parser.add_argument("--families", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--sets", nargs="+", default=["cassava 60 a class", "cassava 300", "corn", "cassava"])
    parser.add_argument("--ways", nargs="+", help="only these (default: all)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/tuning.json")
    given = parser.parse_args()
    record = files.read_json(given.out) if given.out.exists() else {"sets": {}}
    for name in given.sets:
        for family in given.families:
            rows = []
            for seed in range(given.seeds):
                sample = Sample.of(given.folder, name, seed)
                for fold in sample.folds(seed):
                    for way, recipe in WAYS[family].items():
                        if not given.ways or way in given.ways:
                            rows.append(
                                {"way": way, "seed": seed, "fold": fold.number, **measure(sample, fold, recipe)}
                            )
                told = {"photos": len(sample.photos), "seeds": seed + 1, "ways": compared(rows, family)}
                record["sets"].setdefault(name, {})[family] = told
                files.write_json(given.out, {"machine": machine(), **record})
                put("tuning", page(record))
                print(name, family, *(f"\n  {entry}" for entry in told["ways"]), flush=True)


if __name__ == "__main__":
    main()
