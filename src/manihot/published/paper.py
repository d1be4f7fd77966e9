"""The paper (the published study) as this project knows it: its tables, its runs' names here, its protocol's rows.

The main Snakemake process imports this file at every start: the standard library only.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

# Its tables, in the folder that `published` of a study file names.
TABLES = ("experiments.csv", "epochs.csv", "backbones.csv", "xgboost.csv", "confusions.json", "hardware.csv")
EXPERIMENTS, EPOCHS, BACKBONES, XGBOOST, CONFUSIONS, HARDWARE = TABLES

# What the study files that repeat it call its experiments, and those that fill its gaps.
IMBALANCED = "imbalanced"
IMBALANCED_BATCH96 = "imbalanced_batch96"
BALANCED = "balanced"
BALANCED_VGG_SMALL = "balanced_vgg_small"
BALANCED_448PX = "balanced_448px"
NEW_CLASS = "new_class"

# The row of each switch in its table "Where the protocol was wrong".
ROWS = {
    "leak": 1,
    "group_duplicates": 2,
    "in_every_fold": 3,
    "normalisation": 4,
    "frozen_mode": 5,
    "fold_kind": 8,
    "flips_at_validation": 9,
    "refit": 13,
}


class Model(Protocol):
    """What is asked of a model of the plan."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def folds(self) -> Sequence[int]: ...
    @property
    def repeat_of(self) -> str | None: ...


def booster(attempt: int | str) -> str:
    """What its XGBoost attempt of that number is called."""
    return f"xgboost_{attempt}"


def rows_of(keys: str) -> list[str]:
    """The rows of that table for the comma separated switch keys of a row of `scores/switches.csv`."""
    return [str(ROWS[key]) for key in keys.split(",")]


def weighed_pairs(models: Iterable[Model]) -> list[dict[str, Any]]:
    """What its conclusions compare that no `based_on` declares: ensembles with their folds, balanced with as found.

    A pair has what, split, part, models and based_on_models: names of predictions, such as `balanced/fold1`.
    """
    known = {model.name: model for model in models}
    pairs: list[dict[str, Any]] = [
        {
            "what": "ensemble", "split": model.split, "part": "test", "models": [model.name],
            "based_on_models": [f"{model.name}/fold{fold}" for fold in model.folds],
        }
        for model in known.values()
        if model.kind == "network" and len(model.folds) > 1
    ]  # fmt: skip
    balanced, as_found = known.get(BALANCED), known.get(IMBALANCED)
    if balanced and as_found and balanced.split == as_found.split:
        beside = {"models": BALANCED, "based_on_models": IMBALANCED}
        sides = {side: _repeats(name, known.values()) for side, name in beside.items()}
        place = {"what": "balancing", "split": balanced.split}
        # Beside their own answers those corrected for the class shares that each was fitted on: what is left then is
        # what balanced photos teach.
        pairs += [
            {**place, "part": part, **{side: [f"{name}{kind}" for name in names] for side, names in sides.items()}}
            for kind in ("", "/corrected")
            for part in ("test", "test_as_found")
        ]
    return pairs


def predictions_of(pairs: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """The (name, part) of every table of predictions that `weighed_pairs` compares, each once, sorted."""
    return sorted({(name, pair["part"]) for pair in pairs for name in (*pair["models"], *pair["based_on_models"])})


def _repeats(name: str, models: Iterable[Any]) -> list[str]:
    return [model.name for model in models if name in (model.name, model.repeat_of)]
