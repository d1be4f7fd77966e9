"""The settings of the jobs that try models on other people's photos, as in `jobs.py`, and what these have to do."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from manihot.study.model_jobs import compute
from manihot.study.paths import reference_of
from manihot.study.plan import Jobs, Plan
from manihot.study.tasks import Amount, Start, Task

# How many photos each data set has.
Photos: TypeAlias = Mapping[str, float]


def map_external(plan: Plan) -> Jobs:
    """An external data set."""
    for name, entry in plan.study.external.items():
        beside = plan.datasets_beside(name)
        yield name, {"classes": entry.classes, "copies_of": beside, "splits": plan.splits_beside(name)}


def predict_external(plan: Plan) -> Jobs:
    """An external data set and a model; its folds share the settings."""
    for name, model in plan.trials:
        kind = plan.models[model].kind
        batch = {"batch_size": plan.experiment(model).batch_size} if kind in {"network", "tta"} else {}
        yield f"{model}@{name}", {"views": plan.views(model), **batch, "compute": compute(plan)}


def score_external(plan: Plan) -> Jobs:
    """An external data set and a model."""
    for name, model in plan.trials:
        entry = plan.models[model]
        unlike = reference_of(entry.split) if entry.split in plan.references else None
        drawn = {"seed": plan.study.seed, "resamples": plan.study.resamples, "coverage": plan.study.coverage}
        yield f"{model}@{name}", {"folds": list(entry.folds), "unlike": unlike, **drawn}


def extracting(plan: Plan, photos: Photos) -> Iterator[Amount]:
    """The features of each external data set, once, however many models read them."""
    read = {
        (name, entry.dataset): backbone
        for external, entry in plan.study.external.items()
        for name, backbone in plan.external_backbones(external).items()
    }
    for (name, dataset), entry in read.items():
        network, number = (entry.network, entry.size), photos[dataset]
        work = ((Task("build", *network), 1), (Task("features", *network, batch_size=entry.batch_size), number))
        label, disk = f"extract_features {name} {dataset} {entry.size} identity", ((Task("width", *network), number),)
        yield Amount("extract_features", label, "networks", work, plan.study.threads, disk=disk)


def predicting(plan: Plan, photos: Photos) -> Iterator[Amount]:
    """What networks are shown of external data sets; heads and trees read features."""
    starts: dict[str, Start] = {"head": "heads", "boosting": "boosting"}
    for name, model in plan.trials:
        kind, work = plan.models[model].kind, list[tuple[Task, float]]()
        if kind in {"network", "tta"}:
            entry, number = plan.experiment(model), photos[plan.study.external[name].dataset]
            forward = Task("predict", entry.network, entry.size, entry.batch_size, frozen=entry.frozen)
            work = [(Task("build", entry.network, entry.size), 1), (forward, number * len(plan.views(model)))]
        for fold in plan.models[model].folds:
            label, start = f"predict_external {name} {model} {fold}", starts.get(kind, "networks")
            yield Amount("predict_external", label, start, tuple(work), plan.study.threads)


def scoring(plan: Plan, photos: Photos) -> Iterator[Amount]:
    """The resamples of the scores on external data sets."""
    for name, model in plan.trials:
        work = ((Task("resample"), plan.study.resamples * photos[plan.study.external[name].dataset]),)
        yield Amount("score_external", f"score_external {name} {model}", work=work)


# In the order of the stages.
RULES = (map_external, predict_external, score_external)
