"""What helps accuracy on the sample's photos, step by step: out of fold, over folds that each seed draws anew.

    snakemake --cores 2 --configfile benchmarks/accuracy.yaml --directory FOLDER --until extract_features store_activations
    python benchmarks/accuracy.py FOLDER [TABLE ...]

A row is a model of benchmarks/accuracy.yaml, fitted by the package's own functions in one process, on one thread. What is
fitted is kept in FOLDER, so that a run that was killed goes on where it was; for other code take another folder.
Writes benchmarks/results/accuracy.json and docs/accuracy.md from all rows that are done.
"""  # noqa: E501

import argparse
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import ROOT
from run import machine
from tuning import cell, put

from manihot.core import files
from manihot.core.names import WEIGHTS
from manihot.core.state import State
from manihot.core.tables import probability_columns, read_catalogs, read_photos
from manihot.features import activations, heads
from manihot.networks import build, bundle, cut, device
from manihot.networks.activations import ActivationBatches, Activations
from manihot.networks.batches import Batches, Photos
from manihot.pixels import store
from manihot.predictions import calibration, network
from manihot.scores.outcomes import metrics, outcomes
from manihot.scores.resampled import corrected_mean
from manihot.splits.folding import Folding, fold_photos
from manihot.splits.folds import Fold
from manihot.splits.sampling import seeded_order
from manihot.study import model_jobs
from manihot.study.load import load
from manihot.study.paths import Paths
from manihot.study.plan import Plan
from manihot.training.fold import train_fold
from manihot.training.recipe import Recipe

STUDY = ROOT / "benchmarks/accuracy.yaml"
RESULTS = ROOT / "benchmarks/results/accuracy.json"
SEEDS = (1, 2, 3)
METRICS = ("balanced_accuracy", "log_loss")


@dataclass(frozen=True)
class Row:
    """A model of the study, how its row is called, the row that it is compared with, and how often it is fitted.

    `share` is that of the fold's training photos that it is fitted on.
    """

    name: str
    model: str
    against: str | None = None
    seeds: Sequence[int] = SEEDS
    share: float = 1.0


TABLES: dict[str, list[Row]] = {
    "corn": [
        Row("MobileNetV2, head by Adam", "corn_mobilenet_adam_head"),
        Row("tuned head", "corn_mobilenet_head", "MobileNetV2, head by Adam"),
        Row("EfficientNet-Lite0", "corn_lite0_head", "tuned head"),
        Row("four views", "corn_lite0_views_head", "EfficientNet-Lite0"),
        Row("from a cut", "corn_cut", "four views"),
        Row("answers averaged over the views", "corn_cut_tta", "from a cut"),
        Row("the same, against its own head", "corn_cut_tta", "four views"),
        Row("the same, against the best head", "corn_cut_tta", "tuned head"),
        Row("epochs: 15", "corn_cut_15_epochs_tta", "answers averaged over the views"),
        Row("15 epochs, against the best head", "corn_cut_15_epochs_tta", "tuned head"),
    ],
    "cassava": [
        Row("MobileNetV2, head by Adam", "mobilenet_adam_head"),
        Row("tuned head", "mobilenet_head", "MobileNetV2, head by Adam"),
        Row("EfficientNet-Lite0", "lite0_head", "tuned head"),
        Row("two views", "lite0_views_head", "EfficientNet-Lite0"),
        Row("joined with MobileNetV2's features", "joined_head", "EfficientNet-Lite0"),
        Row("EfficientNet-Lite2", "lite2_views_head", "two views"),
        Row("from a cut", "cut", "two views"),
        Row("answers averaged over the views", "cut_tta", "from a cut"),
        Row("the same, against its own head", "cut_tta", "two views"),
        Row("the same, against the best head", "cut_tta", "EfficientNet-Lite2"),
        Row("loss: logit_adjusted", "cut_logit_adjusted", "from a cut"),
        Row("mixup: 0.2", "cut_mixup", "from a cut"),
    ],
    **{f"more photos, {name}": [
        Row(f"{photos} photos", model, before and f"{before} photos", SEEDS, photos / 1500)
        for before, photos in ((None, 300), (300, 600), (600, 1050), (1050, 1500))
    ] for name, model in (("head", "lite0_views_head"), ("from a cut", "cut"))},
    **{f"recipe, {name}": [
        Row("finetune, 8 epochs", model),
        *(Row(said, f"{model}_{key}", "finetune, 8 epochs") for said, key in (
            ("learning_rate: 3e-4", "rate_3e-4"), ("learning_rate: 3e-3", "rate_3e-3"),
            ("layer_decay: 1", "no_layer_decay"), ("epochs: 15", "15_epochs"),
        )),
    ] for name, model in (("corn", "corn_cut"), ("cassava", "cut"))},
    "whole networks": [
        Row("EfficientNet-Lite0, tuned head", "lite0_views_96px_head", seeds=(1,)),
        Row("small_cnn", "small_cnn", "EfficientNet-Lite0, tuned head", seeds=(1,)),
        Row("EfficientNet-Lite0, fine-tuned", "finetuned", "EfficientNet-Lite0, tuned head", seeds=(1,)),
        Row("the same, from the tuned head", "finetuned_from_head", "EfficientNet-Lite0, fine-tuned", seeds=(1,)),
    ],
}  # fmt: skip


class Study:
    """The study of a seed: its plan, and what its models are fitted with and read."""

    def __init__(self, seed: int):
        self.seed, self.plan = seed, Plan(load(STUDY, {"seed": seed}), ROOT)
        self.paths = Paths(self.plan)
        rules = (model_jobs.fit_head, model_jobs.train_fold)
        self.settings = {name: settings for rule in rules for name, settings in rule(self.plan)}

    def folds(self, split: str) -> list[Fold]:
        """All photos of a split's data set in folds of its number: whole groups, stratified."""
        asked = self.plan.study.splits[split]
        catalog = read_photos(f"results/catalog/{asked.dataset}.csv")
        photos = catalog[catalog["status"] == "ok"].reset_index(drop=True)
        fold = fold_photos(photos, Folding(asked.folds, "stratified", grouped=True, seed=self.seed))
        sample = photos[["dataset", "image_id", "label", "group"]].assign(fold=fold)
        classes = [{"label": label, "name": label} for label in sorted(photos["label"].unique())]
        return [Fold(number, sample, classes) for number in range(1, asked.folds + 1)]

    def fit(self, model: str, fold: Fold) -> tuple[Path, float]:
        """The folder of a model that is fitted on a fold, with its answers on what the fold holds out, and the
        processor seconds of that."""
        entry = self.plan.models[model]
        name = entry.fitted_as
        settings = {**self.settings[name], "fold": fold.number}
        photos = [list(rows["image_id"]) for rows in (fold.training, fold.validation)]
        head = self.plan.experiment(name).head_from if entry.experiment else None
        start_from = bundle.read(self.fit(head, fold)[0] / "model.json") if head else None
        with State("accuracy", name, settings, str(bundle.SCHEMA_VERSION), files.content_key(photos), name) as state:
            if not state.finished():
                start = time.process_time()
                if entry.kind == "head":
                    self._head(name, fold, state)
                else:
                    self._network(name, fold, state, start_from)
                tables = [path.name for path in state.folder.glob("answers-*.csv")]
                kind = "network" if entry.kind == "tta" else entry.kind
                spent = time.process_time() - start
                state.finish("model.json", WEIGHTS[kind], *tables, cost={"seconds": spent})
            return state.folder, state.emit({})["seconds"]

    def _head(self, name: str, fold: Fold, state: State) -> None:
        settings, stored = self.settings[name], self.paths.features(name, self.plan.head_views(name))["features"]
        heads.fit(state.folder, stored, fold, heads.recipe(settings["recipe"]), threads=1)
        said = heads.predict(bundle.read(state.folder / "model.json"), stored, fold.validation, threads=1)
        _keep(state, name, fold, said)

    def _network(self, name: str, fold: Fold, state: State, head: bundle.Bundle | None) -> None:
        entry, recipe = self.plan.experiment(name), Recipe.read(self.settings[name]["recipe"])
        shown = self.paths.trained_on(name)
        catalogs = read_catalogs(shown["catalogs"])

        def gather(rows: pd.DataFrame, size: int) -> Photos | Activations:
            if entry.train_from:
                return activations.gather(rows, shown["arrays"], entry.views)
            return store.gather(rows, catalogs, shown["manifests"], size)

        weights = next(map(Path, self.paths.initial_weights(entry)), None)
        train_fold(recipe, name, fold, gather, weights, state, lambda *_: None, head)
        fitted = bundle.read(state.folder / "model.json")
        net, seen = build.load_network(fitted), gather(fold.validation, entry.size)
        with device.choose(recipe.compute) as chosen:
            dtype = device.precision(recipe.compute.precision, chosen)
            for model in (name, *([f"{name}_tta"] if entry.tta else [])):
                views = self.plan.views(model)
                if entry.train_from:
                    upper = cut.split(net, entry.train_from, entry.size)[1]
                    batches = ActivationBatches(seen, chosen)
                    said = network.predict_stored(upper, batches, views, entry.batch_size, dtype)
                else:
                    pixels = Batches(seen, chosen, fitted.normalisation)
                    said = network.predict(net, pixels, views, entry.batch_size, dtype)
                _keep(state, model, fold, said)


def _keep(state: State, model: str, fold: Fold, said: np.ndarray) -> None:
    """Write a model's answers on what the fold holds out."""
    table = fold.validation[["dataset", "image_id", "label", "fold"]].reset_index(drop=True)
    columns = probability_columns(len(fold.classes))
    files.write_table(state.folder / f"answers-{model}.csv", table.join(pd.DataFrame(said, columns=columns)))


study = cache(Study)


def fewer(fold: Fold, share: float, seed: int) -> Fold:
    """The fold with this share of its training photos; a smaller share is part of a larger one."""
    order = seeded_order(fold.training, seed, "fewer").sort_values().index
    kept = order[: round(share * len(order))].union(fold.validation.index)
    return replace(fold, sample=fold.sample.loc[kept])


def measure(row: Row) -> pd.DataFrame:
    """METRICS of calibrated answers for equally frequent classes, and `seconds`, by seed and fold."""
    rows = []
    for seed in row.seeds:
        split = study(seed).plan.models[row.model].split
        folds = [fewer(fold, row.share, seed) for fold in study(seed).folds(split)]
        done = [study(seed).fit(row.model, fold) for fold in folds]
        told = [read_photos(folder / f"answers-{row.model}.csv") for folder, _ in done]
        priors = [bundle.read(folder / "model.json").record["prior"] for folder, _ in done]
        calibrated = answer(folds[0], told, priors)
        for fold, (_, seconds) in zip(folds, done, strict=True):
            own = calibrated[calibrated["fold"] == fold.number]
            scored = outcomes(own, fold.sample, fold.classes).for_shares([1 / len(fold.classes)] * len(fold.classes))
            found = metrics(scored.sums().sum(axis=0))
            values = {metric: float(found[metric]) for metric in METRICS}
            rows.append({"seed": seed, "fold": fold.number, **values, "seconds": seconds, "photos": len(fold.training)})
    return pd.DataFrame(rows).set_index(["seed", "fold"])


def answer(fold: Fold, told: Sequence[pd.DataFrame], priors: Sequence[Sequence[float]]) -> pd.DataFrame:
    """The calibrated answers out of fold, as a study has them."""
    shares = fold.sample["label"].value_counts(normalize=True).to_dict()
    record = {"classes": fold.classes, "shares": shares, "asked": {}}
    empty = [table[:0] for table in told]
    folds = {"validation": told, "test": empty, "test_as_found": empty}
    return calibration.answer(folds, priors, record)[0]["calibrated"]["validation"]


def compared(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Each row's means, and its paired differences from the row that it is compared with."""
    measured = {}
    for row in rows:
        own = measured[row.name] = measure(row)
        told: dict[str, Any] = {"name": row.name, "model": row.model, "against": row.against, "fits": len(own)}
        told |= {"photos": round(own["photos"].mean()), "seconds": float(own["seconds"].median())}
        for metric in METRICS:
            told[metric] = {"mean": float(own[metric].mean())}
            if row.against:
                apart = (own[metric] - measured[row.against][metric]).dropna().to_numpy()
                share = 1 / (own.index.get_level_values("fold").max() - 1)
                value, low, high, _ = corrected_mean(apart, share)
                told[metric] |= {"difference": value, "low": low, "high": high}
        yield told


def page(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The tables of docs/accuracy.md that there are."""
    lines = []
    for name in (name for name in TABLES if name in tables):
        lines += [
            f"{name[0].upper()}{name[1:]}:",
            "",
            "| row | compared with | balanced accuracy | log loss | photos | fits | seconds a fit |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in tables[name]:
            cells = [row["name"], row["against"] or "", *(cell(row[metric]) for metric in METRICS)]
            cells += [f"{row['photos']:,}", str(row["fits"]), f"{row['seconds']:.1f}"]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Fit, compare and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where features and activations were stored")
    parser.add_argument("tables", nargs="*", help=f"only these of {', '.join(TABLES)}")
    given = parser.parse_args()
    os.chdir(given.folder)
    for name in given.tables or TABLES:
        rows: list[dict[str, Any]] = []
        for told in compared(TABLES[name]):
            rows.append(told)
            print(name, told, flush=True)
            known: dict[str, Any] = files.read_json(RESULTS)["tables"] if RESULTS.exists() else {}
            known[name] = rows
            files.write_json(RESULTS, {"machine": machine(), "tables": known})
            put("accuracy", page(known))


if __name__ == "__main__":
    main()
