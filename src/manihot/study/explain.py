"""What is wrong in a study file, in one line: pydantic's errors with the place, the key and the mend."""

import types
import typing
from typing import Any

from pydantic import BaseModel, ValidationError

from manihot.core.text import did_you_mean, shorten
from manihot.study.schema import (
    AdamHead,
    Augment,
    Backbone,
    Booster,
    Experiment,
    External,
    Joined,
    LogisticHead,
    NewClass,
    OverfitCheck,
    Split,
    Study,
)


def kind(value: Any) -> str:
    """What kind of value a study file gives, as a sentence names it."""
    names = {
        list: "a list",
        dict: "keys",
        str: f"the text {shorten(str(value))}",
        type(None): "nothing",
        bool: str(value).lower(),
    }
    return names.get(type(value), repr(value))


def suggest(word: str, known: list[str]) -> str:
    """The known word that is closest to `word`, or all that there are, to follow a message; may be empty."""
    return f"; {did_you_mean(word, known)}" if known else ""


def explain(error: ValidationError) -> str:
    """The first mistake that pydantic found, in one line with its place."""
    first = error.errors(include_url=False)[0]
    place = [str(part) for part in first["loc"] if not str(part).startswith(("function-", "tagged"))]
    tags = {"csv", "folder", "demo", "archive", "kaggle", "adam", "logistic", "[key]"}
    place = [part for part in place if part not in tags]
    key, value, mistake = ".".join(place), first["input"], first["type"]
    if mistake == "extra_forbidden" and "logistic" in first["loc"] and place[-1] in AdamHead.model_fields:
        return f"{key}: is a key of kind: adam, and this head's kind is logistic; take it out, or add kind: adam"
    if mistake == "extra_forbidden":
        return f"{key}: unknown key{suggest(place[-1], _known_keys(first['loc']))}"
    if mistake == "missing":
        return f"{key}: is missing"
    if mistake == "union_tag_not_found":
        return f"{key}.source: is missing; it must be csv, folder, demo, archive or kaggle"
    if mistake == "union_tag_invalid" and "head" in place:
        return f"{key}.kind: is {first['ctx']['tag']}; it must be logistic or adam"
    wanted = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{key}: should be {wanted}, not {kind(value)}" if mistake != "value_error" else f"{key}: {wanted}"


def _known_keys(loc: tuple[Any, ...]) -> list[str]:
    """The keys that the section at a place of the study file knows."""
    joined = "tagged-joined" in loc
    loc = tuple(part for part in loc if part not in {"tagged", "tagged-joined"})
    sections: dict[str, type[BaseModel]] = {
        "experiments": Experiment, "overfit": OverfitCheck, "backbones": Joined if joined else Backbone,
        "boosting": Booster, "splits": Split, "external": External,
    }  # fmt: skip
    if len(loc) == 1:
        return list(Study.model_fields)
    heads: dict[str, type[BaseModel]] = {"logistic": LogisticHead, "adam": AdamHead}
    if loc[0] == "backbones" and str(loc[-2]) in heads:
        return list(heads[str(loc[-2])].model_fields)
    if loc[-2] in {"augment", "new_class"}:
        return list((Augment if loc[-2] == "augment" else NewClass).model_fields)
    if loc[0] == "data" and len(loc) >= 3:
        for member in typing.get_args(typing.get_args(Study.model_fields["data"].annotation)[1]):
            for model in typing.get_args(member) if isinstance(member, types.UnionType) else ():
                if loc[2] in typing.get_args(model.model_fields["source"].annotation):
                    return list(model.model_fields)
    section = sections.get(str(loc[0]))
    if section is not None and len(loc) == 3:
        return list(section.model_fields)
    field = Study.model_fields.get(str(loc[0]))
    nested = field.annotation if field else None
    if isinstance(nested, type) and issubclass(nested, BaseModel):
        return list(nested.model_fields)
    if section is not None and str(loc[-2]) in section.model_fields:
        for option in typing.get_args(section.model_fields[str(loc[-2])].annotation):
            if isinstance(option, type) and issubclass(option, BaseModel):
                return list(option.model_fields)
    return []
