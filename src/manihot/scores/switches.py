"""What each switch of the protocol is worth: pairs of models that differ in nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import pandas as pd

from manihot.core.names import PARTS
from manihot.scores.comparisons import compare_pairs
from manihot.scores.outcomes import Classes

# The keys that a protocol switches.
KEYS = (
    "leak", "group_duplicates", "in_every_fold", "normalisation", "frozen_mode", "fold_kind", "flips_at_validation",
    "refit",
)  # fmt: skip
# What is not about how a model is fitted and judged.
BESIDES = {"based_on", "family", "repeat", "run_folds", "tta", "split"}
COLUMNS = [
    "keys", "switch", "model", "based_on", "part", "photos", "seeds",
    "model_value", "based_on_value", "difference", "low", "high", "remark",
]  # fmt: skip
ENOUGH_SEEDS = 3
Settings: TypeAlias = Mapping[str, Any]


def differing(a: Settings, b: Settings, splits: Mapping[str, Settings]) -> dict[str, tuple[Any, Any]]:
    """The settings in which experiment `a` is not as `b`, those of their splits among them: key -> (b's, a's)."""
    sides = [{**_split(splits[x["split"]]), **{k: v for k, v in x.items() if k not in BESIDES}} for x in (b, a)]
    # A split without a new class lacks its keys: those of either side count.
    keys = {**sides[1], **sides[0]}
    return {key: (sides[0].get(key), sides[1].get(key)) for key in keys if sides[0].get(key) != sides[1].get(key)}


def _split(split: Settings) -> dict[str, Any]:
    own = {key: value for key, value in split.items() if key not in {"like", "new_class"}}
    new = {f"new_class_{key}": value for key, value in (split["new_class"] or {}).items()}
    return own | ({"in_every_fold": new.pop("new_class_in_every_fold")} if new else {}) | new


def weigh(
    comparisons: pd.DataFrame,
    models: Sequence[Settings],
    experiments: Mapping[str, Settings],
    splits: Mapping[str, Settings],
    roles: Mapping[str, pd.DataFrame],
    samples: Mapping[str, pd.DataFrame],
    refits: pd.DataFrame,
) -> pd.DataFrame:
    """A row (COLUMNS) a part of each pair that differs in switches alone: accuracies.

    Args:
        comparisons: comparisons.csv.
        models: The plan's descriptions.
        experiments: Their settings by name.
        splits: Their settings by name.
        roles: The table of each split.
        samples: The photos that each experiment is fitted on.
        refits: The rows of `beside_single_folds`.

    Returns:
        Difference is model - based_on; its interval on a test is over photos, and seeds where there are several, out
        of fold over folds (as on a test where the sides have other folds, or one). `remark` says what it cannot show.
    """
    known = {model["name"]: model for model in models}
    place = ["model", "based_on", "part"]
    of_settings = comparisons[comparisons["metric"] == "accuracy"]
    accuracy = pd.concat([table.set_index(place) for table in (of_settings, refits) if len(table)] or [of_settings])
    rows = []
    for name, changed in _pairs(known, experiments, splits):
        model = known[name]
        title = ", ".join(f"{key}: {_word(old)} → {_word(new)}" for key, (old, new) in changed.items())
        where = _limits(changed, roles[model["split"]], samples.get(name))
        for part in PARTS[1:]:  # what is claimed out of fold, and how good the model really is
            if (name, model["based_on"], part) not in accuracy.index:
                continue
            row = accuracy.loc[(name, model["based_on"], part)]
            rows.append(
                {
                    **{key: row[key] for key in COLUMNS if key in row},
                    "keys": ",".join(changed),
                    "switch": title,
                    "model": name,
                    "based_on": model["based_on"],
                    "part": part,
                    "photos": row["n"],
                    "remark": "; ".join([*where, *_singles(model, known), *_shown(row, _is_refit(model))]),
                }
            )
    return pd.DataFrame(rows, columns=COLUMNS).astype({"photos": int, "seeds": int})


def beside_single_folds(
    pairs: Sequence[Settings],
    tables: Mapping[tuple[str, str], pd.DataFrame],
    catalogs: pd.DataFrame,
    classes: Mapping[str, Classes],
    *,
    seed: int,
    resamples: int,
) -> pd.DataFrame:
    """Each refit on the whole pool beside the single models of its folds: a row a pair that has photos.

    What the switch changes is how many photos one model is fitted on. The ensemble of the folds is another thing: to
    average models helps by itself. The value of the folds' side is the mean of their accuracies on the same photos; the
    models are the ones that there are, so photos alone are resampled.

    A pair (see `Plan.refits`) has model, based_on, split, part, and names of predictions as models and
    based_on_models; `tables` has these by (name, part). Columns: model, based_on, part, n, seeds, model_value,
    based_on_value, difference, low, high.
    """
    rows = []
    drawn: dict[str, Any] = {"seed": seed, "resamples": resamples}
    for pair, result in compare_pairs(pairs, tables, catalogs, classes, fixed=lambda _: True, **drawn):
        place = {key: pair[key] for key in ("model", "based_on", "part")}
        counts = {key: result[key] for key in ("n", "seeds")}
        rows.append({**place, **counts, **result["metrics"]["accuracy"]})
    columns = ["model", "based_on", "part", "n", "seeds", "model_value", "based_on_value", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def _is_refit(model: Settings) -> bool:
    """Whether a model is fitted on the whole pool."""
    return list(model["folds"]) == [0]


def _pairs(
    models: Mapping[str, Settings], experiments: Mapping[str, Settings], splits: Mapping[str, Settings]
) -> Iterator[tuple[str, dict[str, tuple[Any, Any]]]]:
    """The models that differ from the one they are based on in switches alone, and in which."""
    for name, model in models.items():
        based_on = model["based_on"]
        if based_on not in models:
            continue
        if _is_refit(model):
            yield name, {"refit": (False, True)}
        elif model["kind"] == "network" and based_on in experiments:
            changed = differing(experiments[name], experiments[based_on], splits)
            if changed and set(changed) <= set(KEYS):
                yield name, changed


def _limits(changed: Mapping[str, Any], roles: pd.DataFrame, sample: pd.DataFrame | None) -> list[str]:
    """What the photos at hand let a switch do."""
    said = []
    if "leak" in changed and sample is not None:
        keys = ["dataset", "image_id"]
        for part in ("test", "test_as_found"):
            tested = roles.loc[roles["role"] == part, keys]
            if len(tested):
                said.append(f"{len(tested.merge(sample[keys])):,} of the {len(tested):,} photos of {part} were drawn")
    if "group_duplicates" in changed:
        twins = int(roles.duplicated(["dataset", "group"], keep=False).sum())
        nothing = "" if twins else ": ignoring that shows nothing here"
        said.append(f"{twins:,} of the {len(roles):,} photos have a near-duplicate{nothing}")
    return said


def _singles(model: Settings, models: Mapping[str, Settings]) -> list[str]:
    """What a refit is set beside."""
    if not _is_refit(model):
        return []
    folds = len(models[model["based_on"]]["folds"])
    beside = f"the mean of the {folds} models of single folds" if folds > 1 else "the model of one fold"
    return [f"single models are compared: one fitted on the whole pool, and {beside}"]


def _shown(row: Settings, refitted: bool) -> list[str]:
    """What the difference itself cannot show."""
    said = []
    if row["low"] == row["high"] == 0:
        said.append("the same photos are right")
    elif row["low"] <= 0 <= row["high"]:
        worst, best = 100 * row["low"], 100 * row["high"]
        said.append(f"cannot tell: from {worst:+.1f} to {best:+.1f} points would fit".replace("-", "−"))
    if not refitted and row["folds"] == 2:
        said.append("two folds tell hardly anything")
    # Out of fold it is the settings that are compared, whatever the seeds.
    if row["seeds"] < ENOUGH_SEEDS and not refitted and not row["folds"]:
        said.append(
            f"{row['seeds']} seed{'s' if row['seeds'] > 1 else ''}: of these trained models, not of the setting"
        )
    return said


def _word(value: Any) -> str:
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
