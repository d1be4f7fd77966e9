"""The settings of the job that measures this machine's speeds, as in `jobs.py`; no result depends on it."""

import math
from dataclasses import replace

from manihot.study.amounts import amounts
from manihot.study.plan import Jobs, Plan
from manihot.study.rates import asked
from manihot.study.tasks import MOST_SECONDS, SECONDS_A_PHOTO

# As many photos of each of so many classes are taken for the settings, which must not depend on the photos.
CLASSES, EACH = 5, 1000


def measure_speeds(plan: Plan) -> Jobs:
    """One job: what the study asks of a machine, whatever its photos and however long it trains."""
    counts = {name: {str(label): EACH for label in range(CLASSES)} for name in plan.datasets}
    rounded = [
        replace(job, work=tuple((replace(task, rows=_rounded(task.rows)), 1.0) for task, _ in job.work))
        for job in amounts(plan, counts)
    ]
    question = asked(plan, rounded, [])
    question["tasks"] = [{"task": task, "units": 1.0} for task in _distinct(question["tasks"])]
    yield (
        "all",
        {
            "asked": question,
            "roots": [plan.photo_folder(name) for name in plan.datasets],
            "seconds_a_photo": SECONDS_A_PHOTO,
            "most_seconds": MOST_SECONDS,
        },
    )


def _rounded(rows: int) -> int:
    """A power of two: a few photos more are no reason to measure again."""
    return 2 ** round(math.log2(rows)) if rows else 0


def _distinct(tasks: list[dict[str, object]]) -> list[object]:
    return [entry["task"] for entry in sorted(tasks, key=lambda entry: str(entry["task"]))]


RULES = (measure_speeds,)
