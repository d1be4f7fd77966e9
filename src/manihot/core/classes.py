"""The order of classes, what a class is called on a page, and what names one; the standard library only."""

import re
from collections.abc import Collection, Iterable, Mapping

from manihot.core.errors import StudyError
from manihot.core.text import did_you_mean


def class_order(labels: Iterable[str]) -> list[str]:
    """The labels in the order of their class index: numbers (integers) by value, then text; ties by the text."""
    return sorted(labels, key=_rank)


def _rank(label: str) -> tuple[bool, int, str]:
    is_number = re.fullmatch(r"-?\d+", label) is not None
    return not is_number, int(label) if is_number else 0, label


def class_title(label: str, name: str) -> str:
    """A class on an axis: its label, and of its name the abbreviation in brackets or the start."""
    short = re.search(r"\(([^()]{2,8})\)\s*$", name)
    text = short[1] if short else name if len(name) <= 16 else name[:15] + "…"
    return text if label == name else f"{label} {text}"


def full_title(label: str, name: str) -> str:
    """A class where there is room: its label and its whole name."""
    return name if label == name else f"{label} {name}"


def check_costs(costs: Mapping[str, Mapping[str, float]], known: Collection[str], place: str) -> None:
    """Hold the labels that the study's `costs` name against those that there are; `place` begins the message.

    Raises:
        StudyError: a label is none of the `known`.
    """
    for true, answers in costs.items():
        for key, label in [(f"costs.{true}", true), *((f"costs.{true}.{answer}", answer) for answer in answers)]:
            if label not in known:
                listed = ", ".join(class_order(known))
                raise StudyError(f"{place}{key}: no photo has the label {label}; there are {listed}")


def map_labels(
    given: Mapping[str, str | None] | None, labels: Collection[str], known: Collection[str], place: str
) -> dict[str, str | None]:
    """The class of each of the `labels` of other photos, in their order; None leaves its photos out.

    Args:
        given: the class of each label, as a user names it; None where every label is one of the `known` classes itself.
        labels: that the photos have.
        known: the labels of the classes that there are.
        place: begins a message.

    Raises:
        StudyError: a label is not named, no photo has a label that is, a class is none, or every label is left out.
    """
    labels, known = class_order(labels), class_order(known)
    classes = f"its class ({', '.join(known)}), or null, which leaves its photos out"
    for label in labels:
        if given is None and label not in known:
            raise StudyError(f"{place}: the label {label} is no class: name every label, and of each {classes}")
        if given is not None and label not in given:
            raise StudyError(f"{place}: the label {label} is not named: name it, and {classes}")
    for label, target in (given or {}).items():
        if label not in labels:
            raise StudyError(f"{place}.{label}: no photo has this label; {did_you_mean(label, labels)}")
        if target is not None and target not in known:
            raise StudyError(f"{place}.{label}: {target} is no class; {did_you_mean(target, known)}")
    if given is not None and set(given.values()) <= {None}:
        raise StudyError(f"{place}: leaves out every label: give one of them {classes}")
    return {label: label if given is None else given[label] for label in labels}
