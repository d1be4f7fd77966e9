"""The settings of the jobs that weigh models and report on them: a function a rule, as in `jobs.py`."""

from manihot.published import paper
from manihot.study.model_jobs import fit_head
from manihot.study.plan import Jobs, Plan, Settings

# Scores


def score_model(plan: Plan) -> Jobs:
    """A model."""
    for name, model in plan.models.items():
        about = {"kind": model.kind, "folds": list(model.folds), "coverage": plan.study.coverage}
        yield name, {**about, "costs": plan.study.costs, **_scoring(plan)}


def summarise_scores(plan: Plan) -> Jobs:
    """One job, of all models."""
    yield "all", {"models": _described(plan), "costs": plan.study.costs}


def choose_model(plan: Plan) -> Jobs:
    """A split that models are fitted on."""
    for split in plan.tried:
        models = [plan.models[name] for name in plan.models_of(split)]
        told = [{key: getattr(model, key) for key in ("name", "family", "repeat_of", "leak")} for model in models]
        yield split, {"models": told, **_scoring(plan)}


def compare_models(plan: Plan) -> Jobs:
    """One job, of all pairs."""
    sides = {"pairs": plan.pairs(), "models": plan.compared, "splits": plan.splits}
    yield "all", {**sides, "equivalence_margin": plan.study.equivalence_margin, **_scoring(plan)}


def compare_published(plan: Plan) -> Jobs:
    """One job, where the study names published tables."""
    if plan.study.published:
        asked = _entries(plan, "experiments", "backbones", "boosting")
        yield "all", {"models": _described(plan), **asked, "names": {"histories": plan.fitted("network")}}


def weigh_conclusions(plan: Plan) -> Jobs:
    """One job, where the study names published tables."""
    if plan.study.published:
        asked = _entries(plan, "experiments", "backbones", "boosting", "splits")
        checks = _entries(plan, "overfit")["overfit"]
        pairs = paper.weighed_pairs(plan.models.values())
        names = {
            "overfit": list(plan.study.overfit),
            "predictions": paper.predictions_of(pairs),
            "records": plan.splits,
        }
        weighed = {"models": _described(plan), **asked, "checks": checks, "pairs": pairs, "names": names}
        yield "all", {**weighed, **_scoring(plan)}


def weigh_switches(plan: Plan) -> Jobs:
    """One job, where models differ in a switch."""
    if plan.ablates:
        names = {
            "splits": plan.splits,
            "samples": list(plan.study.experiments),
            "predictions": plan.refit_predictions,
        }
        asked = {"models": _described(plan), **_entries(plan, "experiments", "splits"), "refits": plan.refits}
        yield "all", {**asked, "names": names, **_scoring(plan)}


# Probes


def probe_facts(plan: Plan) -> Jobs:
    """A split that models are fitted on."""
    for name in plan.tried:
        yield name, _scoring(plan)


def probe_masked(plan: Plan) -> Jobs:
    """A split whose photos are also tried without their middle."""
    fits = dict(fit_head(plan))
    for name, head in plan.masked.items():
        # Each of the two heads has a view of its own.
        recipe = {**fits[head]["recipe"], "views": ["identity"]}
        yield name, {**fits[head], "recipe": recipe, "folds": list(plan.models[head].folds)}


def weigh_masked(plan: Plan) -> Jobs:
    """A split whose photos are also tried without their middle."""
    for name, head in plan.masked.items():
        backbone = plan.models[head].backbone
        assert backbone is not None
        yield name, {"head": head, "size": plan.frozen[backbone].size, **_scoring(plan)}


# More photos


def fit_fewer_photos(plan: Plan) -> Jobs:
    """A split whose head is fitted again on fewer photos."""
    fits = dict(fit_head(plan))
    for name, head in plan.more_photos.items():
        yield name, {**fits[head], "folds": list(plan.models[head].folds)}


def weigh_more_photos(plan: Plan) -> Jobs:
    """A split whose head is fitted again on fewer photos."""
    for name, head in plan.more_photos.items():
        yield name, {"head": head, "margin": plan.study.equivalence_margin, **_scoring(plan)}


# The report


def build_report(plan: Plan) -> Jobs:
    """One job; the partial report (partial.py) has the same settings."""
    study = plan.study
    datasets = {
        name: {"root": plan.photo_folder(name), **study.data[name].model_dump(mode="json")} for name in plan.catalogued
    }
    yield (
        "all",
        {
            "title": study.title,
            "description": study.description,
            "protocol": study.protocol,
            "seed": study.seed,
            "models": _described(plan),
            "more_photos": list(plan.more_photos),
            "references": list(plan.references),
            "trials": [list(pair) for pair in plan.trials],
            "looked": list(plan.looked),
            "datasets": datasets,
            "study": study.plain(),
        },
    )


def _scoring(plan: Plan) -> Settings:
    return {"seed": plan.study.seed, "resamples": plan.study.resamples}


def _described(plan: Plan) -> list[Settings]:
    """Every model, as plain values."""
    return [{**vars(model), "folds": list(model.folds)} for model in plan.models.values()]


def _entries(plan: Plan, *sections: str) -> dict[str, Settings]:
    """Sections of the study, as plain values."""
    return {
        section: {name: entry.model_dump(mode="json") for name, entry in getattr(plan.study, section).items()}
        for section in sections
    }


# In the order of the stages.
RULES = (
    score_model,
    summarise_scores,
    choose_model,
    compare_models,
    compare_published,
    weigh_conclusions,
    weigh_switches,
    probe_facts,
    probe_masked,
    weigh_masked,
    fit_fewer_photos,
    weigh_more_photos,
    build_report,
)
