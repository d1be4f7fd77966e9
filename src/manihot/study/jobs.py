"""The settings of every job: a function a rule, whose jobs are the pairs (name, settings) that it yields.

The keys are the arguments of the stage's function. `settings.py` writes them to `results/settings/{rule}/{name}.json`:
what is not in there a job does not know, and a change of it does not rerun the job. `names` say what each file of an
input is of, in the order in which the rule lists them.
"""

from collections.abc import Callable, Iterator

from manihot.study import cost_jobs, external_jobs, model_jobs, photo_jobs, score_jobs
from manihot.study.plan import Jobs, Plan, Settings

# The function of each rule, in the order of the stages.
RULES: dict[str, Callable[[Plan], Jobs]] = {
    jobs.__name__: jobs
    for jobs in (
        *cost_jobs.RULES,
        *photo_jobs.RULES,
        *model_jobs.RULES,
        *score_jobs.RULES[:-1],
        *external_jobs.RULES,
        *score_jobs.RULES[-1:],
    )
}


def all_jobs(plan: Plan) -> Iterator[tuple[str, str, Settings]]:
    """Every job of a plan as (rule, name, settings): rule by rule, and within a rule in the study's order."""
    for name, jobs in RULES.items():
        for job, settings in jobs(plan):
            yield name, job, settings
