"""A machine's speeds, as `speeds.py` measured them, and what a job's amounts cost by them; no torch, no pandas."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from manihot.study.plan import Plan
from manihot.study.tasks import Amount, Task


@dataclass(frozen=True)
class Speeds:
    """What a machine takes, in seconds on a job's threads.

    `starts` has the seconds until a job begins, by what it imports; `seconds` those of a unit of a task, `bytes` what a
    unit leaves on the disk. `about` says what was measured on: cores, threads, device, precision.
    """

    starts: Mapping[str, float]
    tasks: Mapping[Task, float]
    disk: Mapping[Task, float]
    about: Mapping[str, Any]

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "Speeds":
        """The speeds in the plain content of a JSON file; without any where what measures them failed."""
        tasks = {Task(**entry["task"]): entry["seconds"] for entry in content.get("seconds", [])}
        disk = {Task(**entry["task"]): entry["bytes"] for entry in content.get("bytes", [])}
        return cls(content.get("starts", {}), tasks, disk, content.get("about", {}))

    def seconds(self, job: Amount) -> float:
        """The seconds of a job by itself; what was not measured counts nothing."""
        worked = sum(units * self.unit(task) for task, units in job.work)
        return self.starts.get(job.start, 0.0) + worked

    def bytes(self, job: Amount) -> int:
        """The bytes that a job leaves on the disk."""
        return round(job.bytes + sum(units * (_nearest(self.disk, task) or 0.0) for task, units in job.disk))

    def unit(self, task: Task) -> float:
        """The seconds of a unit of a task: measured, or from the most alike one that was."""
        return _nearest(self.tasks, task) or 0.0

    def missing(self, work: Iterable[Amount]) -> list[str]:
        """The kinds of tasks that jobs have and nothing is known of."""
        kinds = {task.kind for job in work for task, units in job.work if units and _nearest(self.tasks, task) is None}
        return sorted(kinds)


def _nearest(known: Mapping[Task, float], task: Task) -> float | None:
    """What is known of a task, or of the one most like it, scaled by what each has to do."""
    if task in known:
        return known[task]
    alike = [other for other in known if other.kind == task.kind]
    if not alike:
        return None

    def unlike(other: Task) -> tuple[float, ...]:
        return (
            other.network != task.network, other.train_from != task.train_from, other.frozen != task.frozen,
            abs(other.size - task.size), abs(other.rows - task.rows), abs(other.batch_size - task.batch_size),
        )  # fmt: skip

    other = min(alike, key=unlike)
    return known[other] * load(task) / load(other)


def load(task: Task) -> float:
    """What a unit of a task has to do, beside others of its kind."""
    if task.kind == "trees":
        # As measured on drawn features: a root of the rows, a doubling for two levels.
        return task.classes * task.rows**0.5 * 2 ** (task.depth / 2)
    if task.kind == "logistic":
        return float(task.classes * task.rows)
    return float(max(1, task.size) ** 2) if task.network and task.kind not in {"weights", "width", "build"} else 1.0


def asked(plan: Plan, work: Iterable[Amount], photos: Iterable[str]) -> dict[str, Any]:
    """What `speeds.py` is asked to measure for these jobs of a plan, or of several that compute alike: plain content.

    `photos` are paths of some of the study's own, as many as there are up to a few dozen; without any, decoding is
    measured on a rendered photo.
    """
    work = list(work)
    units: dict[Task, float] = {}
    for job in work:
        for task, count in (*job.work, *job.disk):
            units[task] = units.get(task, 0.0) + count
    compute = {key: getattr(plan.study, key) for key in ("device", "precision", "threads", "gpu_slots")}
    return {
        "compute": compute,
        "decode": plan.study.photos.decode,
        "max_pixels": plan.study.photos.max_pixels,
        "photos": list(photos),
        "starts": sorted({job.start for job in work}),
        "tasks": [{"task": asdict(task), "units": count} for task, count in units.items()],
    }
