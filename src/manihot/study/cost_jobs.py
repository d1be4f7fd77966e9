"""The settings of the job that measures this machine's speeds, as in `jobs.py`; no result depends on it."""

from dataclasses import replace

from manihot.study.amounts import amounts
from manihot.study.plan import Jobs, Plan
from manihot.study.rates import asked
from manihot.study.tasks import MOST_SECONDS, SECONDS_A_PHOTO, Amounts

# As many photos of each of so many classes, and as many rows of features, are taken for the settings: they must not
# depend on the photos, nor on how many of them a batch or a fold has.
CLASSES, EACH, ROWS = 5, 1000, 512


def measure_speeds(plan: Plan) -> Jobs:
    """One job: what the study asks of a machine, whatever its photos and however long it trains on them."""
    # Photos of others that models are tried on are no reason to measure again.
    plan = Plan(plan.study.model_copy(update={"external": {}}), plan.project)
    counts = {name: {str(label): EACH for label in range(CLASSES)} for name in plan.datasets}
    jobs = [replace(job, work=_plain(job.work), disk=_plain(job.disk)) for job in amounts(plan, counts)]
    question = asked(plan, jobs, [])
    tasks = sorted({tuple(entry["task"].items()) for entry in question["tasks"]}, key=str)
    yield (
        "all",
        {
            "asked": {**question, "tasks": [{"task": dict(task), "units": 1.0} for task in tasks]},
            "roots": [plan.photo_folder(name) for name in plan.datasets],
            "seconds_a_photo": SECONDS_A_PHOTO,
            "most_seconds": MOST_SECONDS,
        },
    )


def _plain(work: Amounts) -> Amounts:
    return tuple((replace(task, rows=ROWS if task.rows else 0, batch_size=0), 1.0) for task, _ in work)


RULES = (measure_speeds,)
