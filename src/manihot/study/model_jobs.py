"""The settings of the jobs that fit models and predict with them: a function a rule, as in `jobs.py`."""

from manihot.study.paths import reference_of
from manihot.study.plan import PUBLISHED, Jobs, Plan, Settings
from manihot.study.schema import Backbone, Learning

# What an entry of the study says of a network's input.
INPUT = ("network", "size", "normalisation")
# What an entry of the study says of how trees are grown.
TREES = (
    "n_estimators", "max_depth", "learning_rate", "early_stopping", "subsample", "colsample_bynode", "min_child_weight",
)  # fmt: skip


# Features


def fetch_weights(plan: Plan) -> Jobs:
    """A network's initial weights."""
    for name, entry in plan.weights.items():
        source = entry.weights if entry.weights in PUBLISHED else plan.path(entry.weights)
        yield name, {"network": entry.network, "source": source, "seed": plan.study.seed}


def extract_features(plan: Plan) -> Jobs:
    """A frozen network; its data sets and views share the settings."""
    for name, backbone in plan.frozen.items():
        seen = {"input": _input(plan, backbone), "batch_size": backbone.batch_size}
        yield name, {**seen, "compute": compute(plan)}


def draw_reference(plan: Plan) -> Jobs:
    """A split whose models tell how unlike a photo is."""
    for split, backbone in plan.references.items():
        other = plan.stranger(split)
        root = plan.photo_folder(other) if other else None
        strange = {"batch_size": plan.frozen[backbone].batch_size, "root": root}
        strange |= {"max_pixels": plan.study.photos.max_pixels}
        yield split, {"seed": plan.study.seed, "strange": strange, "compute": compute(plan)}


def store_activations(plan: Plan) -> Jobs:
    """A cut of a network; its data sets and views share the settings."""
    for name, entry in plan.cuts.items():
        yield name, {"input": _input(plan, entry), "train_from": entry.train_from, "compute": compute(plan)}


def fit_head(plan: Plan) -> Jobs:
    """A backbone with a head; its folds share the settings."""
    for name, backbone in plan.study.backbones.items():
        if backbone.head:
            recipe = {**backbone.head.model_dump(mode="json"), "seed": plan.study.seed}
            yield f"{name}_head", {"recipe": recipe, "threads": plan.study.threads}


def fit_booster(plan: Plan) -> Jobs:
    """A model of boosted trees, refits included; its folds share the settings."""
    # Trees are always grown in float32.
    computing = {key: value for key, value in compute(plan).items() if key != "precision"}
    for name in plan.of_kind("boosting"):
        booster = plan.study.boosting[name.removesuffix("_refit") if 0 in plan.models[name].folds else name]
        trees = {key: value for key, value in booster.model_dump(mode="json").items() if key in TREES}
        yield name, {"recipe": {**trees, "seed": plan.study.seed}, "compute": computing}


# Training


def train_fold(plan: Plan) -> Jobs:
    """An experiment, and one more where it is refitted; its folds share the settings."""
    for name in plan.of_kind("network"):
        entry = plan.experiment(name)
        yield name, {"recipe": _recipe(plan, entry, entry.repeat)}


def check_overfit(plan: Plan) -> Jobs:
    """An overfit check."""
    for name, check in plan.study.overfit.items():
        yield name, {"photos": check.photos, "recipe": _recipe(plan, check, 0)}


def show_augmentation(plan: Plan) -> Jobs:
    """An experiment whose photos are changed in training; its first fold is shown."""
    for name in plan.augmented:
        entry, fold = plan.experiment(name), plan.models[name].folds[0]
        shown = {"augment": entry.augment.model_dump(mode="json"), "batch_size": entry.batch_size}
        sizes = {"size": entry.size, "cache_size": entry.training_size}
        yield name, {**shown, **sizes, "seed": plan.study.seed, "repeat": entry.repeat, "fold": fold}


# Predictions


def predict_fold(plan: Plan) -> Jobs:
    """An experiment, and one more where it is averaged over views; its folds share the settings."""
    for name in plan.of_kind("network", "tta"):
        entry = plan.experiment(name)
        changes = entry.augment.turns if entry.flips_at_validation else {}
        shown = {"views": plan.views(name), "batch_size": entry.batch_size}
        stored = {"train_from": entry.train_from if plan.stored_views(name) else None}
        viewing = {**shown, **stored, "validation_augment": changes, "seed": plan.study.seed}
        yield name, {"viewing": viewing, "compute": compute(plan)}


def predict_head(plan: Plan) -> Jobs:
    """A head; its folds share the settings."""
    for name in plan.of_kind("head"):
        yield name, {"threads": plan.study.threads}


def predict_booster(plan: Plan) -> Jobs:
    """A model of boosted trees; its folds share the settings."""
    for name in plan.of_kind("boosting"):
        yield name, {"threads": plan.study.threads}


def ensemble_folds(plan: Plan) -> Jobs:
    """A model."""
    for name, model in plan.models.items():
        about = {"kind": model.kind, "views": plan.views(name), "folds": list(model.folds)}
        unlike = reference_of(model.split) if model.split in plan.references else None
        yield name, {**about, "seed": plan.study.seed, "unlike": unlike}


def draw_grad_cams(plan: Plan) -> Jobs:
    """One job, where there is a network: the names of the models, and the folds of each."""
    if plan.looked:
        folds = [list(plan.models[name].folds) for name in plan.looked]
        yield "all", {"names": list(plan.looked), "folds": folds, "threads": plan.study.threads}


def compute(plan: Plan) -> Settings:
    """On what a study computes, and how."""
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
    learning |= {"cache_size": said.get("cache_size") or entry.size}
    seeds = {"seed": plan.study.seed, "repeat": repeat}
    return {"input": _input(plan, entry), **learning, **seeds, "compute": compute(plan)}


# In the order of the stages.
RULES = (
    fetch_weights,
    extract_features,
    draw_reference,
    store_activations,
    fit_head,
    fit_booster,
    train_fold,
    check_overfit,
    show_augmentation,
    predict_fold,
    predict_head,
    predict_booster,
    ensemble_folds,
    draw_grad_cams,
)
