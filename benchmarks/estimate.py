"""How long the published study (config/cassava.yaml) takes on a machine, stage by stage, from that machine's rates.

    python benchmarks/estimate.py benchmarks/results/MACHINE.json [MORE.json]

Later files go before earlier ones: a GPU's rates after those of a processor. The package's own estimate
(src/manihot/study/estimate.py) counts what there is to do; here the rows of the benchmarks are its speeds. A network or
size that was not measured is taken at the FLOP/s of the one that was; a photo that is looked at for the catalog at the
time of one that is decoded. The small study of the row `study` is reckoned in the same way, beside what it took.
"""

import argparse
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from measuring import ROOT

sys.path.insert(0, str(ROOT / "src"))

from manihot.core import files
from manihot.core.text import duration
from manihot.study.amounts import amounts
from manihot.study.estimate import Stage, stages, whole
from manihot.study.load import load
from manihot.study.network_speeds import TIMED, Known
from manihot.study.plan import Plan
from manihot.study.rates import Speeds
from manihot.study.rates import load as work_of
from manihot.study.tasks import Amount, Start, Task

PUBLISHED, SMALL = ROOT / "config/cassava.yaml", ROOT / "benchmarks/study.yaml"
# The photos of each class; of the published study's second data set those of the one class that is taken.
CASSAVA = {"0": 1087, "1": 2189, "2": 2386, "3": 13158, "4": 2577}
PHOTOS = {
    PUBLISHED: {"cassava": CASSAVA, "species": {"pinus_flexilis": 120}},
    SMALL: {"cassava": {label: round(count * 1500 / 21_397) for label, count in CASSAVA.items()}},
}
NEEDS = {
    "job_start", "pixels_exact", "step_224", "boosting",
    "backbone_forward/efficientnet_b0", "backbone_forward/resnet18",
}  # fmt: skip
STARTS: tuple[Start, ...] = ("tables", "probes", "torch", "heads", "networks", "boosting", "report")
# The row `boosting`: the nine published settings with a fifth of their trees, 480 photos' features of resnet18.
BOOSTED = {"share": 0.2, "photos": 480, "width": 512, "classes": 5}


class Rates:
    """What a machine does a second, from its measured rows."""

    def __init__(self, rows: Mapping[str, Mapping[str, Any]]):
        self.rows = rows

    def value(self, *keys: str) -> float:
        """The first of the rows that was measured."""
        return next(float(row.get("ours", row.get("value"))) for key in keys if (row := self.rows.get(key)))

    def training(self) -> float:
        """FLOP a second in training small_cnn at 224 px."""
        return self.value("train/small_cnn/batch_96", "step_224") * flops(Task("train", "small_cnn", 224))

    def forward(self, network: str) -> float:
        """FLOP a second forward: of this network, or of the slower of two where it was not measured."""
        measured = {
            name: self.value(f"features/{name}", f"backbone_forward/{name}") * flops(Task("features", name, 224))
            for name in ("efficientnet_b0", "resnet18")
        }
        return measured.get(network, min(measured.values()))

    def round(self, task: Task) -> float:
        """Seconds of a round of trees: in proportion to what the row `boosting` had to do."""
        settings = files.read_rows(ROOT / "config/published/xgboost.csv")
        done = sum(
            BOOSTED["share"] * int(row["n_estimators"]) * BOOSTED["width"]
            * work_of(Task("trees", rows=480, classes=5, depth=int(row["max_depth"])))
            for row in settings
        )  # fmt: skip
        return work_of(task) * known(task.network, task.size).width / done * self.value("boosting")


@cache
def known(network: str, size: int) -> Known:
    """A network at a size."""
    return Known(network, size)


def flops(task: Task) -> int:
    """FLOP of a photo."""
    return known(task.network, task.size).flops(task)


def speeds(rates: Rates, work: list[Amount], share: float) -> Speeds:
    """The speeds of a job that has a share of the machine's cores."""
    timed, disk = {}, {}
    for task in {task for job in work for task, _ in (*job.work, *job.disk)}:
        if task.kind in TIMED:
            per = rates.forward(task.network) if task.kind == "features" else rates.training()
            timed[task] = flops(task) / per / share
        elif task.kind == "trees":
            timed[task] = rates.round(task) / share
        elif task.kind in {"decode", "look"}:
            timed[task] = 1 / rates.value("pixels_exact")
        elif task.kind in {"weights", "width"}:
            disk[task] = known(task.network, task.size).bytes(task)
    return Speeds(dict.fromkeys(STARTS, rates.value("job_start")), timed, disk, {})


def estimated(rows: Mapping[str, Mapping[str, Any]], cores: int, path: Path = PUBLISHED) -> list[Stage]:
    """The stages of a study; those with less than a hundredth of the time are one, `all others`."""
    plan = Plan(load(path), ROOT)
    work = list(amounts(plan, PHOTOS[path]))
    found = stages(work, speeds(Rates(rows), work, min(1.0, plan.study.threads / cores)), cores)
    least = whole(found).wall_seconds / 100
    small = [stage for stage in found if stage.wall_seconds < least]
    sums = whole(small)
    others = Stage("all others", sums.jobs, sums.core_seconds, sums.wall_seconds, sums.bytes)
    return [*(stage for stage in found if stage not in small), others]


def beside_a_run(rows: Mapping[str, Mapping[str, Any]], cores: int) -> str:
    """A sentence on the small study: what this reckoning gives, and what it took."""
    reckoned = whole(estimated(rows, cores, SMALL)).wall_seconds
    return f"`benchmarks/study.yaml`, reckoned so: {reckoned:.0f} s. It took {rows['study']['ours']:.0f}."


def table(found: list[Stage]) -> str:
    """The stages as a table; the one that takes longest is in bold."""
    sums, longest = whole(found), max(found, key=lambda stage: stage.wall_seconds)
    lines = ["| stage | jobs | time | share | disk |", "|---|---|---|---|---|"]
    for stage in found:
        name = f"**`{stage.rule}`**" if stage is longest else stage.rule if " " in stage.rule else f"`{stage.rule}`"
        share = stage.wall_seconds / sums.wall_seconds
        told = f"{duration(stage.wall_seconds)} | {share:.0%} | {stage.bytes / 1e9:.1f} GB"
        lines.append(f"| {name} | {stage.jobs} | {told} |")
    return "\n".join(
        [*lines, f"| the whole | {sums.jobs} | {duration(sums.wall_seconds)} | | {sums.bytes / 1e9:.1f} GB |"]
    )


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
