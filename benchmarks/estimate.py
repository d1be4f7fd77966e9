"""How long the published study (config/cassava.yaml) takes on a machine, stage by stage, from that machine's rates.

    python benchmarks/estimate.py benchmarks/results/MACHINE.json [MORE.json]

Later files go before earlier ones: a GPU's rates after those of a processor. A network or size that was not measured
is taken at the FLOP/s of the one that was; boosting at the histogram updates a second of the `boosting` row, whose few
photos make it slow: at most. The small study of the row `study` is reckoned in the same way, beside what it took.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import limits
from measuring import ROOT

sys.path.insert(0, str(ROOT / "src"))

from manihot.core import files
from manihot.core.text import duration
from manihot.networks import build
from manihot.study.jobs import all_jobs
from manihot.study.load import load
from manihot.study.plan import Plan
from manihot.study.schema import Learning, Sampling, Study

PUBLISHED, SMALL = ROOT / "config/cassava.yaml", ROOT / "benchmarks/study.yaml"
# Photos of a study's data sets; of the published one's second the one class that is taken.
PHOTOS = {PUBLISHED: {"cassava": 21_397, "species": 120}, SMALL: {"cassava": 1500}}
CLASSES, WIDTHS = 5, {"efficientnet_b0": 1280, "mobilenet_v2": 1280}
NEEDS = {
    "job_start", "pixels_exact", "step_224", "boosting",
    "backbone_forward/efficientnet_b0", "backbone_forward/resnet18",
}  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """Jobs of a rule: how many, and the seconds that all take, one after another, on the whole machine."""

    rule: str
    jobs: int
    seconds: float


class Rates:
    """What a machine does a second, from its measured rows."""

    def __init__(self, rows: Mapping[str, Mapping[str, Any]]):
        self.rows = rows

    def value(self, *keys: str) -> float:
        """The first of the rows that was measured."""
        return next(float(row.get("ours", row.get("value"))) for key in keys if (row := self.rows.get(key)))

    def training(self) -> float:
        """FLOP a second in training small_cnn at 224 px."""
        return self.value("train/small_cnn/batch_96", "step_224") * flops("small_cnn", 224, True)

    def forward(self, network: str) -> float:
        """FLOP a second forward: of this network, or of the slower of two where it was not measured."""
        measured = {
            name: self.value(f"features/{name}", f"backbone_forward/{name}") * flops(name, 224, False)
            for name in ("efficientnet_b0", "resnet18")
        }
        return measured.get(network, min(measured.values()))


@cache
def flops(network: str, size: int, training: bool) -> int:
    """FLOP of a photo."""
    return limits.flops(build.assemble(network, CLASSES, size, 0.3, None), size, training)


def stages(rates: Rates, cores: int, path: Path = PUBLISHED) -> Iterator[Stage]:
    """Every rule of a study that works on photos; the others are a start each."""
    study, photos = load(path), PHOTOS[path]
    plan = Plan(study, ROOT)
    counted = {"cache_pixels", "train_fold", "check_overfit", "predict_fold", "extract_features", "fit_booster"}
    sizes = {dataset: plan.sizes(dataset) for dataset in plan.datasets}
    cached = sum(photos[dataset] * len(of) for dataset, of in sizes.items())
    shards = study.photos.shards * sum(map(len, sizes.values()))
    yield Stage("cache_pixels", shards, cached / (rates.value("pixels_exact") * cores))
    folds = {name: model.folds for name, model in plan.models.items()}
    work, predicted = 0.0, 0.0
    for name, entry in study.experiments.items():
        trained, held_out = shown(study, entry, photos)
        each = entry.epochs * (trained * flops(entry.network, entry.size, True) + held_out * forward(entry))
        work += len(folds[name]) * each / rates.training()
        split = study.splits[entry.split]
        asked = (held_out + (split.test or 0) + split.test_as_found) * (1 + len(entry.tta))
        predicted += len(folds[name]) * asked * forward(entry) / rates.training()
    jobs = sum(len(folds[name]) for name in study.experiments)
    yield Stage("train_fold", jobs, work)
    yield Stage("predict_fold", jobs + sum(len(folds[n]) for n, m in plan.models.items() if m.kind == "tta"), predicted)
    checks = study.overfit.values()
    learned = sum(check.epochs * check.photos * flops(check.network, check.size, True) for check in checks)
    yield Stage("check_overfit", len(checks), learned / rates.training())
    looked, files_of_features = 0.0, 0
    for backbone in plan.frozen.values():
        views = len(backbone.head.views) if backbone.head else 1
        for dataset in plan.datasets_of(backbone.split):
            files_of_features += views
            passes = photos[dataset] * views
            looked += passes * flops(backbone.network, backbone.size, False) / rates.forward(backbone.network)
    yield Stage("extract_features", files_of_features, looked)
    yield Stage("fit_booster", sum(len(folds[name]) for name in study.boosting), boosting(plan, folds, rates, photos))
    yield Stage(
        "all others", sum(jobs_of(rule, name, plan) for rule, name, _ in all_jobs(plan) if rule not in counted), 0
    )


def jobs_of(rule: str, name: str, plan: Plan) -> int:
    """How many jobs share a settings file."""
    if rule == "catalog_shard":
        return plan.study.photos.shards
    return len(plan.models[name].folds) if rule in {"fit_head", "predict_head", "predict_booster"} else 1


def forward(entry: Learning) -> int:
    """FLOP of one photo of an experiment, forward."""
    return flops(entry.network, entry.size, False)


def shown(study: Study, entry: Sampling, photos: Mapping[str, int]) -> tuple[float, float]:
    """How many photos a fold trains on and validates."""
    split = study.splits[entry.split]
    pool = photos[split.dataset] - (split.test or 0) - split.test_as_found
    drawn = min(pool, (entry.per_class or split.per_class or pool) * CLASSES)
    count = entry.train_photos or (drawn if entry.draw == "balanced" else pool)
    return count * (1 - 1 / split.folds), count / split.folds


def boosting(plan: Plan, folds: Mapping[str, tuple[int, ...]], rates: Rates, photos: Mapping[str, int]) -> float:
    """Seconds of the boosters: a tree and class goes over every photo's features once a level."""
    asked, study = 0.0, plan.study
    for name, booster in study.boosting.items():
        trained, _ = shown(study, study.backbones[booster.backbone], photos)
        width = sum(WIDTHS[backbone.network] for backbone in plan.joined(booster.backbone).values())
        levels = booster.n_estimators * booster.max_depth
        asked += len(folds[name]) * levels * trained * width
    # The row: the nine published settings with a fifth of their trees, 480 photos' features of resnet18.
    settings = files.read_rows(ROOT / "config/published/xgboost.csv")
    measured = 0.2 * sum(int(row["n_estimators"]) * int(row["max_depth"]) for row in settings) * 480 * 512
    return asked / measured * rates.value("boosting")


def estimated(rows: Mapping[str, Mapping[str, Any]], cores: int, path: Path = PUBLISHED) -> list[Stage]:
    """The stages with what starting their jobs takes."""
    rates = Rates(rows)
    start, together = rates.value("job_start"), max(1, cores // load(path).threads)
    # As many jobs that compute start at once as the cores have room for; of the small ones one on each.
    return [
        Stage(stage.rule, stage.jobs, stage.seconds + stage.jobs * start / (together if stage.seconds else cores))
        for stage in stages(rates, cores, path)
    ]


def beside_a_run(rows: Mapping[str, Mapping[str, Any]], cores: int) -> str:
    """A sentence on the small study: what this reckoning gives, and what it took."""
    reckoned = sum(stage.seconds for stage in estimated(rows, cores, SMALL))
    return f"`benchmarks/study.yaml`, reckoned so: {reckoned:.0f} s. It took {rows['study']['ours']:.0f}."


def table(found: list[Stage]) -> str:
    """The stages as a table; the one that takes longest is in bold."""
    whole, longest = sum(stage.seconds for stage in found), max(found, key=lambda stage: stage.seconds)
    lines = ["| stage | jobs | time | share |", "|---|---|---|---|"]
    for stage in found:
        name = f"**`{stage.rule}`**" if stage is longest else stage.rule if " " in stage.rule else f"`{stage.rule}`"
        lines.append(f"| {name} | {stage.jobs} | {duration(stage.seconds)} | {stage.seconds / whole:.0%} |")
    return "\n".join([*lines, f"| the whole | {sum(stage.jobs for stage in found)} | {duration(whole)} | |"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--cores", type=int, default=2)
    given = parser.parse_args()
    rows = {row["key"]: row for path in given.results for row in files.read_json(path)["rows"]}
    print(table(estimated(rows, given.cores)))
    if "study" in rows:
        print(beside_a_run(rows, given.cores))


if __name__ == "__main__":
    main()
