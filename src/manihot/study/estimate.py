"""How long a study takes on a machine and what disk it fills, job by job, from the machine's measured speeds.

`amounts.py` counts what each job has to do, `speeds.py` measures; nothing here imports torch or pandas.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.study.amounts import Counts, amounts
from manihot.study.plan import Plan
from manihot.study.rates import Speeds
from manihot.study.tasks import MOST_SECONDS, Amount

# Large activations are otherwise mapped and unmapped at every training step (read when a Python starts).
ALLOCATOR = (
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0"
    ":glibc.malloc.trim_threshold=34359738368:glibc.malloc.top_pad=268435456"
)
SPEEDS, ESTIMATE = Path("costs/speeds.json"), Path("costs/estimate.json")


@dataclass(frozen=True)
class Stage:
    """The jobs of a rule: how many, the seconds of cores that all take together, the seconds that pass on the machine
    while they run, and the bytes that they leave on the disk."""

    rule: str
    jobs: int
    core_seconds: float
    wall_seconds: float
    bytes: int


def estimate(plan: Plan, counts: Counts, speeds: Speeds, cores: int) -> list[Stage]:
    """The stages of a study in the order of its rules, each with its jobs' time and disk.

    `counts` has the photos of each label of each data set. A stage takes at least as long as its longest job; stages
    that run side by side on a machine with many cores make the sum of `wall_seconds` too high.

    Raises:
        StudyError: the counts of a data set are not given.
    """
    return stages(amounts(plan, counts), speeds, cores)


def stages(work: Iterable[Amount], speeds: Speeds, cores: int) -> list[Stage]:
    """The stages that jobs with these amounts of work make up."""
    found: dict[str, list[Amount]] = {}
    for amount in work:
        found.setdefault(amount.rule, []).append(amount)
    return [_stage(rule, jobs, speeds, cores) for rule, jobs in found.items()]


def _stage(rule: str, jobs: list[Amount], speeds: Speeds, cores: int) -> Stage:
    # The engine gives a job that asks for more cores than there are all that there are.
    taken = [(speeds.seconds(job), min(job.threads, cores)) for job in jobs]
    core_seconds = sum(seconds * threads for seconds, threads in taken)
    wall = max(core_seconds / cores, *(seconds for seconds, _ in taken), 0.0)
    if jobs[0].start == "networks" and "gpu_jobs" in speeds.about:
        wall = max(wall, sum(seconds for seconds, _ in taken) / speeds.about["gpu_jobs"])
    return Stage(rule, len(jobs), core_seconds, wall, sum(speeds.bytes(job) for job in jobs))


def whole(found: Iterable[Stage]) -> Stage:
    """All stages as one."""
    found = list(found)
    return Stage(
        "the whole",
        sum(stage.jobs for stage in found),
        sum(stage.core_seconds for stage in found),
        sum(stage.wall_seconds for stage in found),
        sum(stage.bytes for stage in found),
    )


def counted(plan: Plan, results: Path) -> dict[str, dict[str, int]]:
    """The photos of each label of the data sets that are listed in a study's results."""
    found = {}
    for name in plan.catalogued:
        listed = results / "photos" / name / "labels.csv"
        if listed.is_file():
            found[name] = dict(Counter(row["label"] for row in files.read_rows(listed)))
    return found


def likely(plan: Plan, results: Path = Path("results")) -> dict[str, float]:
    """The seconds that each job may take, by its name in a run; none before the speeds are measured.

    It also writes `costs/estimate.json` for the report: of each rule the jobs, their seconds without what passes before
    a job notes its own, and their bytes.
    """
    try:
        speeds = Speeds.read(files.read_json(results / SPEEDS))
        jobs = list(amounts(plan, counted(plan, results)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StudyError):
        return {}
    if not speeds.starts:
        return {}
    rows: dict[str, dict[str, float]] = {}
    for job in jobs:
        row = rows.setdefault(job.rule, {"jobs": 0, "seconds": 0.0, "bytes": 0})
        row["jobs"] += 1
        row["seconds"] += speeds.seconds(job) - speeds.starts["bare"]
        row["bytes"] += speeds.bytes(job)
    stages = [{"stage": rule, **row} for rule, row in rows.items()]
    files.write_json_if_changed(results / ESTIMATE, {"stages": stages, "about": dict(speeds.about)})
    return {job.label: speeds.seconds(job) for job in jobs}


def measure(asked: Mapping[str, Any], seconds: float = MOST_SECONDS) -> Speeds:
    """This machine's speeds in what `amounts.asked` says, measured in a process of its own.

    Raises:
        StudyError: nothing could be measured; the last line of the process says why.
    """
    source = str(Path(__file__).parents[2])
    environment = {"GLIBC_TUNABLES": ALLOCATOR, **os.environ, "PYTHONPATH": source}
    done = subprocess.run(
        [sys.executable, "-m", "manihot.study.speeds", "--seconds", str(seconds)],
        input=json.dumps(asked), capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it was killed"])[-1]
        raise StudyError(f"this machine's speeds could not be measured: {reason}")
    return Speeds.read(json.loads(done.stdout))
