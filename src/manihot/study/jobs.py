"""The settings of every job: a function a rule, whose jobs are the pairs (name, settings) that it yields.

The keys are the arguments of the stage's function. `settings.py` writes them to `results/settings/{rule}/{name}.json`:
what is not in there a job does not know, and a change of it does not rerun the job. `names` say what each file of an
input is of, in the order in which the rule lists them.
"""

from collections.abc import Callable, Iterator
from typing import Any

from manihot.published import paper
from manihot.study.plan import PUBLISHED, Plan
from manihot.study.schema import Backbone, Learning
from manihot.study.sources import DemoData, Labelled

Settings = dict[str, Any]
# What an entry of the study says of a network's input.
INPUT = ("network", "size", "normalisation")
# What an entry of the study says of how trees are grown.
TREES = (
    "n_estimators", "max_depth", "learning_rate", "early_stopping", "subsample", "colsample_bynode", "min_child_weight",
)  # fmt: skip
# Keys of a data set that say where facts of its photos are: jobs get them as `facts` and `patterns`.
FACT_KEYS = {f"{fact}_{way}" for fact in ("group", "site", "role", "fold") for way in ("column", "pattern")}
Jobs = Iterator[tuple[str, Settings]]

# The function of each rule, in the order in which they stand below.
RULES: dict[str, Callable[[Plan], Jobs]] = {}


def rule(jobs: Callable[[Plan], Jobs]) -> Callable[[Plan], Jobs]:
    """Take a function in as that of the rule of its name."""
    RULES[jobs.__name__] = jobs
    return jobs


def all_jobs(plan: Plan) -> Iterator[tuple[str, str, Settings]]:
    """Every job of a plan as (rule, name, settings): rule by rule, and within a rule in the study's order."""
    for name, jobs in RULES.items():
        for job, settings in jobs(plan):
            yield name, job, settings


# Photos


@rule
def list_photos(plan: Plan) -> Jobs:
    """A data set that is fetched, unpacked or rendered."""
    for name in plan.made_datasets:
        if name in plan.datasets:
            entry = plan.study.data[name]
            data = {key: value for key, value in entry.model_dump(mode="json").items() if key not in FACT_KEYS}
            made: Settings = {"seed": plan.study.seed} if isinstance(entry, DemoData) else {}
            if isinstance(entry, Labelled):
                made = {"facts": entry.facts, "patterns": entry.patterns}
            for file in data.get("files", []):
                file["path"] = plan.path(file["path"]) if file["path"] else None
            yield name, {**data, **made, "shards": plan.study.photos.shards}


@rule
def catalog_shard(plan: Plan) -> Jobs:
    """A data set; its shards share the settings."""
    for name in plan.datasets:
        yield name, {"root": plan.photo_folder(name), "max_pixels": plan.study.photos.max_pixels}


@rule
def build_catalog(plan: Plan) -> Jobs:
    """A data set."""
    for name in plan.datasets:
        places = getattr(plan.study.data[name], "site_from_exif", False)
        looked = {"root": plan.photo_folder(name), "max_pixels": plan.study.photos.max_pixels}
        yield name, {**looked, "site_from_exif": places, "max_set_aside": plan.study.photos.max_set_aside}


@rule
def find_copies(plan: Plan) -> Jobs:
    """Two data sets that a split mixes: its own, and that of its new class."""
    mixed = {tuple(plan.datasets_of(name)) for name in plan.splits if plan.study.splits[name].group_duplicates}
    for one, other in sorted(pair for pair in mixed if len(pair) > 1):
        roots = {"one": plan.photo_folder(one), "other": plan.photo_folder(other)}
        yield f"{one}@{other}", {"roots": roots, "max_pixels": plan.study.photos.max_pixels}


@rule
def cache_pixels(plan: Plan) -> Jobs:
    """A data set and size; its shards share the settings."""
    for name in plan.datasets:
        for size in plan.sizes(name):
            decode = plan.study.photos.decode
            yield f"{name}_{size}px", {"root": plan.photo_folder(name), "size": size, "decode": decode}


# Splits


@rule
def split_photos(plan: Plan) -> Jobs:
    """A split."""
    for name in plan.splits:
        split = plan.study.splits[name].model_dump(mode="json")
        gives = plan.study.data[split["dataset"]].gives
        given = {"given_role": "given_role" in gives, "given_fold": "given_fold" in gives}
        yield name, {**split, **given, "seed": plan.study.seed, "protocol": plan.study.protocol}


@rule
def sample_photos(plan: Plan) -> Jobs:
    """An experiment or backbone."""
    study = plan.study
    for name, entry in {**study.experiments, **study.backbones}.items():
        yield (
            name,
            {
                "seed": study.seed,
                "draw": entry.draw,
                "per_class": entry.per_class or study.splits[entry.split].per_class,
                "photos": entry.train_photos,
                "leak": entry.leak,
            },
        )


# Features


@rule
def fetch_weights(plan: Plan) -> Jobs:
    """A network's initial weights."""
    for name, entry in plan.weights.items():
        source = entry.weights if entry.weights in PUBLISHED else plan.path(entry.weights)
        yield name, {"network": entry.network, "source": source, "seed": plan.study.seed}


@rule
def extract_features(plan: Plan) -> Jobs:
    """A backbone; its data sets and views share the settings."""
    for name, backbone in plan.study.backbones.items():
        seen = {"input": _input(plan, backbone), "batch_size": backbone.batch_size}
        yield name, {**seen, "compute": _compute(plan)}


@rule
def store_activations(plan: Plan) -> Jobs:
    """A cut of a network; its data sets and views share the settings."""
    for name, entry in plan.cuts.items():
        yield name, {"input": _input(plan, entry), "train_from": entry.train_from, "compute": _compute(plan)}


@rule
def fit_head(plan: Plan) -> Jobs:
    """A backbone with a head; its folds share the settings."""
    for name, backbone in plan.study.backbones.items():
        if backbone.head:
            recipe = {**backbone.head.model_dump(mode="json"), "seed": plan.study.seed}
            yield f"{name}_head", {"recipe": recipe, "threads": plan.study.threads}


@rule
def fit_booster(plan: Plan) -> Jobs:
    """A model of boosted trees, refits included; its folds share the settings."""
    # Trees are always grown in float32.
    compute = {key: value for key, value in _compute(plan).items() if key != "precision"}
    for name in plan.of_kind("boosting"):
        booster = plan.study.boosting[name.removesuffix("_refit") if 0 in plan.models[name].folds else name]
        trees = {key: value for key, value in booster.model_dump(mode="json").items() if key in TREES}
        yield name, {"recipe": {**trees, "seed": plan.study.seed}, "compute": compute}


# Training


@rule
def train_fold(plan: Plan) -> Jobs:
    """An experiment, and one more where it is refitted; its folds share the settings."""
    for name in plan.of_kind("network"):
        entry = plan.experiment(name)
        yield name, {"recipe": _recipe(plan, entry, entry.repeat)}


@rule
def check_overfit(plan: Plan) -> Jobs:
    """An overfit check."""
    for name, check in plan.study.overfit.items():
        yield name, {"photos": check.photos, "recipe": _recipe(plan, check, 0)}


@rule
def show_augmentation(plan: Plan) -> Jobs:
    """An experiment whose photos are changed in training; its first fold is shown."""
    for name in plan.augmented:
        entry, fold = plan.experiment(name), plan.models[name].folds[0]
        shown = {"augment": entry.augment.model_dump(mode="json"), "batch_size": entry.batch_size, "size": entry.size}
        yield name, {**shown, "seed": plan.study.seed, "repeat": entry.repeat, "fold": fold}


# Predictions


@rule
def predict_fold(plan: Plan) -> Jobs:
    """An experiment, and one more where it is averaged over views; its folds share the settings."""
    for name in plan.of_kind("network", "tta"):
        entry = plan.experiment(name)
        changes = entry.augment.turns if entry.flips_at_validation else {}
        shown = {"views": plan.views(name), "batch_size": entry.batch_size}
        stored = {"train_from": entry.train_from if plan.stored_views(name) else None}
        viewing = {**shown, **stored, "validation_augment": changes, "seed": plan.study.seed}
        yield name, {"viewing": viewing, "compute": _compute(plan)}


@rule
def predict_head(plan: Plan) -> Jobs:
    """A head; its folds share the settings."""
    for name in plan.of_kind("head"):
        yield name, {"threads": plan.study.threads}


@rule
def predict_booster(plan: Plan) -> Jobs:
    """A model of boosted trees; its folds share the settings."""
    for name in plan.of_kind("boosting"):
        yield name, {"threads": plan.study.threads}


@rule
def ensemble_folds(plan: Plan) -> Jobs:
    """A model."""
    for name, model in plan.models.items():
        yield name, {"kind": model.kind, "views": plan.views(name), "folds": list(model.folds)}


# Scores


@rule
def score_model(plan: Plan) -> Jobs:
    """A model."""
    for name, model in plan.models.items():
        yield name, {"kind": model.kind, "folds": list(model.folds), "costs": plan.study.costs, **_scoring(plan)}


@rule
def summarise_scores(plan: Plan) -> Jobs:
    """One job, of all models."""
    yield "all", {"models": _described(plan), "costs": plan.study.costs}


@rule
def choose_model(plan: Plan) -> Jobs:
    """A split that models are fitted on."""
    for split in plan.tried:
        models = [plan.models[name] for name in plan.models_of(split)]
        told = [{key: getattr(model, key) for key in ("name", "family", "repeat_of", "leak")} for model in models]
        yield split, {"models": told, **_scoring(plan)}


@rule
def compare_models(plan: Plan) -> Jobs:
    """One job, of all pairs."""
    sides = {"pairs": plan.pairs(), "models": plan.compared, "splits": plan.splits}
    yield "all", {**sides, "equivalence_margin": plan.study.equivalence_margin, **_scoring(plan)}


@rule
def compare_published(plan: Plan) -> Jobs:
    """One job, where the study names published tables."""
    if plan.study.published:
        asked = _entries(plan, "experiments", "backbones", "boosting")
        yield "all", {"models": _described(plan), **asked, "names": {"histories": plan.fitted("network")}}


@rule
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


@rule
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


@rule
def probe_facts(plan: Plan) -> Jobs:
    """A split that models are fitted on."""
    for name in plan.tried:
        yield name, _scoring(plan)


@rule
def probe_masked(plan: Plan) -> Jobs:
    """A split whose photos are also tried without their middle."""
    fits = dict(fit_head(plan))
    for name, head in plan.masked.items():
        # Each of the two heads has a view of its own.
        recipe = {**fits[head]["recipe"], "views": ["identity"]}
        yield name, {**fits[head], "recipe": recipe, "folds": list(plan.models[head].folds)}


@rule
def weigh_masked(plan: Plan) -> Jobs:
    """A split whose photos are also tried without their middle."""
    for name, head in plan.masked.items():
        backbone = plan.models[head].backbone
        assert backbone is not None
        size = plan.study.backbones[backbone].size
        yield name, {"head": head, "size": size, **_scoring(plan)}


# The report


@rule
def build_report(plan: Plan) -> Jobs:
    """One job; the partial report (partial.py) has the same settings."""
    study = plan.study
    datasets = {
        name: {"root": plan.photo_folder(name), **study.data[name].model_dump(mode="json")} for name in plan.datasets
    }
    yield (
        "all",
        {
            "title": study.title,
            "description": study.description,
            "protocol": study.protocol,
            "seed": study.seed,
            "models": _described(plan),
            "datasets": datasets,
            "study": study.plain(),
        },
    )


# What several rules' jobs know.


def _compute(plan: Plan) -> Settings:
    return {key: getattr(plan.study, key) for key in ("device", "precision", "threads", "gpu_slots")}


def _input(plan: Plan, entry: Learning | Backbone) -> Settings:
    """Which network sees what."""
    return {key: getattr(entry, key) for key in INPUT} | {"decode": plan.study.photos.decode}


def _recipe(plan: Plan, entry: Learning, repeat: int) -> Settings:
    """How an entry learns, without the rest of what it says."""
    said = entry.model_dump(mode="json")
    # A recipe's name says nothing that the keys, which it filled in, do not.
    learning = {key: said[key] for key in Learning.model_fields if key not in {*INPUT, "recipe"}}
    # What is trained from a cut on is an experiment.
    learning |= {"train_from": said.get("train_from"), "views": said.get("views", ["identity"])}
    seeds = {"seed": plan.study.seed, "repeat": repeat}
    return {"input": _input(plan, entry), **learning, **seeds, "compute": _compute(plan)}


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
