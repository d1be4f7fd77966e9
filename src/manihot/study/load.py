"""From a study file to a `Study`: inheritance, sweeps, repeats, the protocol's defaults, checks.

Every mistake ends in one `StudyError` line that names the file, the key and the mend.
"""

import itertools
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from manihot.core import gpus
from manihot.core.command import ends_in_one_line
from manihot.core.errors import StudyError
from manihot.study.checks import check
from manihot.study.explain import explain, kind, suggest
from manihot.study.protocols import PROTOCOLS
from manihot.study.recipes import filled as with_recipe
from manihot.study.schema import Backbone, Booster, Experiment, OverfitCheck, Study
from manihot.study.yaml_files import merge, read_file

NOT_INHERITED = {"sweep", "seeds", "repeat", "run_folds", "tta", "refit"}
EXTRA_KEYS = {"sweep", "seeds"}
NAMED = ("defaults", "data", "splits", "experiments", "overfit", "backbones", "boosting", "external")
MOST_COMBINATIONS = 1000  # of a sweep; more take minutes to draw up


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> Study:
    """The study of a file, checked and with every default filled in.

    Raises:
        StudyError: anything in the file that cannot be right, in one line.
    """
    try:
        return build(merge(read_file(path), dict(overrides or {})), path)
    except RecursionError:
        raise StudyError(f"{path}: its entries are based on one another, or files extended, too many times") from None


def build(raw: dict[str, Any], path: Path) -> Study:
    """A study from plain content; `path` only names the file in errors."""
    raw = raw | {key: _entries(raw.get(key), key, path) for key in NAMED if key in raw}
    protocol = raw.get("protocol", "corrected")
    preset = PROTOCOLS.get(protocol if isinstance(protocol, str) else "")
    if preset is None:
        raise StudyError(f"{path}: protocol: is {protocol!r}; it must be corrected or published")
    filled = {key: value for key, value in raw.items() if key != "defaults"}
    filled["splits"] = _splits(raw.get("splits") or {}, preset, path)
    defaults = raw.get("defaults") or {}
    unknown = [key for key in defaults if key not in Experiment.model_fields and key not in EXTRA_KEYS]
    if unknown:
        raise StudyError(
            f"{path}: defaults.{unknown[0]}: unknown key{suggest(unknown[0], list(Experiment.model_fields))}"
        )
    filled["experiments"] = _experiments(raw.get("experiments") or {}, defaults, preset, path)
    shared = {key: value for key, value in defaults.items() if key in {"size", "split", "network"}}
    learning = preset["learning"]
    filled["overfit"] = {
        name: learning | shared | with_recipe(entry, OverfitCheck)
        for name, entry in _sweeps(raw.get("overfit") or {}, "overfit", OverfitCheck, path).items()
    }
    backbones = _sweeps(raw.get("backbones") or {}, "backbones", Backbone, path)
    seen = {"normalisation": learning["normalisation"]}
    seen |= {key: value for key, value in defaults.items() if key == "size"}
    filled["backbones"] = {
        name: {"family": "backbones", "leak": False}
        | {key: value for key, value in defaults.items() if key in {"split", "draw", "train_photos"}}
        | ({} if "join" in entry else seen)
        | entry
        | _head(entry, preset)
        for name, entry in backbones.items()
    }
    boosting = _sweeps(raw.get("boosting") or {}, "boosting", Booster, path)
    filled["boosting"] = {name: {"family": "boosting"} | preset["boosting"] | entry for name, entry in boosting.items()}
    try:
        study = Study.model_validate(filled)
    except ValidationError as error:
        raise StudyError(f"{path}: {explain(error)}") from None
    check(study, path)
    return study


def _head(entry: dict[str, Any], preset: dict[str, Any]) -> dict[str, Any]:
    """The head of a backbone, where it is not taken out: of the protocol's kind, unless it says another."""
    head = entry.get("head", {})
    return {"head": preset["head"] | head} if isinstance(head, dict) else {}


def _entries(value: Any, key: str, path: Path) -> dict[str, Any]:
    """The named entries of a section; one that is null was taken out by a file that extends another."""
    if value is not None and not isinstance(value, dict):
        raise StudyError(f"{path}: {key}: must hold keys, not {kind(value)}")
    entries = {name: entry for name, entry in (value or {}).items() if entry is not None}
    for name, entry in entries.items():
        if key != "defaults" and not isinstance(entry, dict):
            raise StudyError(f"{path}: {key}.{name}: must hold keys, not {kind(entry)}")
    return entries


def _splits(raw: dict[str, Any], preset: dict[str, Any], path: Path) -> dict[str, Any]:
    """Splits with what they take from the one they are `like`, and the protocol's defaults."""
    filled: dict[str, Any] = {}

    def fill(name: str, chain: tuple[str, ...]) -> dict[str, Any]:
        if name in filled:
            return filled[name]
        entry = dict(raw[name])
        parent = entry.get("like")
        if isinstance(parent, str):
            if parent in (*chain, name) or parent not in raw:
                what = "a circle" if parent in raw else f"no split is called {parent}{suggest(parent, list(raw))}"
                raise StudyError(f"{path}: splits.{name}.like: {what}")
            entry = {k: v for k, v in fill(parent, (*chain, name)).items() if k not in {"like", "new_class"}} | entry
        entry = preset["split"] | entry
        if isinstance(entry.get("new_class"), dict):
            entry["new_class"] = preset["new_class"] | entry["new_class"]
        filled[name] = entry
        return entry

    for name in raw:
        fill(name, ())
    return {name: filled[name] for name in raw}


def _experiments(raw: dict[str, Any], defaults: dict[str, Any], preset: dict[str, Any], path: Path) -> dict[str, Any]:
    """Experiments with what they inherit, one a value of a sweep and one a repeat."""
    inherited: dict[str, dict[str, Any]] = {}

    def inherit(name: str, chain: tuple[str, ...]) -> dict[str, Any]:
        if name in inherited:
            return inherited[name]
        own = raw[name]
        parent = own.get("based_on")
        base: dict[str, Any] = with_recipe(defaults, Experiment)
        if isinstance(parent, str):
            if parent in (*chain, name):
                raise StudyError(
                    f"{path}: experiments.{name}.based_on: a circle: {' -> '.join((*chain, name, parent))}"
                )
            if parent not in raw:
                raise StudyError(
                    f"{path}: experiments.{name}.based_on: no experiment is called {parent}{suggest(parent, list(raw))}"
                )
            if "sweep" in raw[parent]:
                raise StudyError(
                    f"{path}: experiments.{name}.based_on: {parent} is a sweep; base it on what the sweep is based on"
                )
            above = inherit(parent, (*chain, name))
            base |= {key: value for key, value in above.items() if key not in NOT_INHERITED}
        # What an entry's own recipe sets wins over what it starts from; `scratch` only takes `finetune` back.
        plain = own.get("recipe") == "scratch" and base.get("recipe") != "finetune"
        inherited[name] = merge(base, own if plain else with_recipe(own, Experiment))
        return inherited[name]

    complete = {name: inherit(name, ()) for name in raw}
    experiments = {}
    for name, entry in _sweeps(complete, "experiments", Experiment, path).items():
        as_found = entry.get("draw") == "as_found"
        leak = preset["sampling"]["leak"] and as_found
        entry = {"family": "networks", "leak": leak, "repeat": 0} | preset["learning"] | entry
        seeds = entry.pop("seeds", 1)
        if type(seeds) is not int or not 1 <= seeds <= 50:
            raise StudyError(f"{path}: experiments.{name}.seeds: must be a number from 1 to 50, not {kind(seeds)}")
        for nth in range(seeds):
            repeat = {"repeat": entry["repeat"] + nth} if nth and type(entry["repeat"]) is int else {}
            experiments[name if nth == 0 else f"{name}_seed{nth + 1}"] = entry | repeat
    return experiments


def _sweeps(entries: dict[str, Any], section: str, model: type[BaseModel], path: Path) -> dict[str, Any]:
    """Each entry with `sweep: {key: [values]}` becomes one a combination, named by its values."""
    expanded = {}
    for name, entry in entries.items():
        entry = dict(entry)
        sweep = entry.pop("sweep", {})
        place = f"{path}: {section}.{name}.sweep"
        if not isinstance(sweep, dict) or not all(isinstance(values, list) and values for values in sweep.values()):
            raise StudyError(f"{place}: must hold keys, each with a list of values")
        for key in sweep:
            if key == "recipe":
                raise StudyError(f"{place}.recipe: cannot be swept: give each recipe an entry of its own")
            if key not in model.model_fields:
                raise StudyError(f"{place}.{key}: unknown key{suggest(str(key), list(model.model_fields))}")
        combinations = math.prod(map(len, sweep.values()))
        if combinations > MOST_COMBINATIONS:
            raise StudyError(f"{place}: {combinations} combinations; take at most {MOST_COMBINATIONS}")
        for values in itertools.product(*sweep.values()):
            tail = "".join(f"_{key}_{value}" for key, value in zip(sweep, values, strict=True))
            expanded[f"{name}{tail}"] = entry | dict(zip(sweep, values, strict=True))
    return expanded


def gpu_jobs(study: Study) -> int:
    """How many GPU jobs of a study may run at a time on this machine: `gpu_slots` for each of its GPUs."""
    return study.gpu_slots * max(1, 0 if study.device == "cpu" else gpus.count())


@ends_in_one_line
def main() -> int:
    """Check the study file that the command line names, and print how many GPU jobs may run at a time: `make report`
    does so before the engine reads it."""
    study = load(Path(sys.argv[1]))
    print(f"{sys.argv[1]}: {study.title}", file=sys.stderr)
    print(gpu_jobs(study))
    return 0


if __name__ == "__main__":
    sys.exit(main())
