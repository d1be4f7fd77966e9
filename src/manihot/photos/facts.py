"""What users know of their photos besides the label: one plant or plot, the site, the role, the fold.

Written for the main process: the standard library only.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from manihot.core.errors import StudyError
from manihot.core.text import shorten

# The roles that a data set's own split may give, by what others call them.
ROLES = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


class Label(NamedTuple):
    """A photo, its label and the name of its class (the label itself where no name is given), and what is known of it:
    `given_group` (photos of one plant, plot or session), `site`, `given_role` (one of the values of ROLES) and
    `given_fold` (a whole number). What is not known is empty.
    """

    image_id: str
    label: str
    name: str
    given_group: str = ""
    site: str = ""
    given_role: str = ""
    given_fold: str = ""


FACTS = Label._fields[3:]


def of_row(fields: Sequence[str], positions: Sequence[tuple[str, str, int]], place: str) -> dict[str, str]:
    """The facts of a row of a labels file, as they are kept; `place` begins the message.

    `positions` has (fact, column, its position), in the order of FACTS. A test photo needs no fold.

    Raises:
        StudyError: a cell is empty, or holds no role or no fold.
    """
    said: dict[str, str] = {}
    for fact, column, position in positions:
        value = fields[position]
        if not value and not (fact == "given_fold" and said.get("given_role") == "test"):
            raise StudyError(f"{place}: nothing in column '{column}': write a value, or take the key that names it out")
        if fact == "given_role":
            value = _role(value, f"{place}, column '{column}'")
        elif fact == "given_fold" and value:
            if not re.fullmatch(r"[0-9]{1,4}", value):
                raise StudyError(f"{place}, column '{column}': {shorten(value)} is no fold: write a whole number")
            value = str(int(value))
        said[fact] = value
    return said


def by_folder(labels: Sequence[Label], place: str) -> list[Label]:
    """Labels with the role that the first folder of each photo's path names, as in `train/rust/1.jpg`.

    Raises:
        StudyError: a first folder is no role.
    """
    return [
        label._replace(given_role=_role(label.image_id.partition("/")[0], f"{place}/{label.image_id}"))
        for label in labels
    ]


def by_patterns(labels: Sequence[Label], patterns: Mapping[str, str | None], place: str) -> list[Label]:
    """Labels with the facts that regular expressions take from the photos' paths: what their one group matches.

    `patterns` are by fact; one that is None gives nothing.

    Raises:
        StudyError: a pattern does not match every path, or takes nothing from one.
    """
    found = list(labels)
    for fact, pattern in patterns.items():
        if pattern is None:
            continue
        search = re.compile(pattern).search
        matches = [search(label.image_id) for label in found]
        values = [(match[1] or "") if match else "" for match in matches]
        missing = [label.image_id for label, value in zip(found, values, strict=True) if not value]
        if missing:
            key = f"{fact.removeprefix('given_')}_pattern"
            raise StudyError(
                f"{place}: {key} {shorten(pattern)} finds nothing in the paths of {len(missing)} of {len(found)} "
                f"photos; the first is {shorten(missing[0])}: mend the pattern"
            )
        found = [label._replace(**{fact: value}) for label, value in zip(found, values, strict=True)]
    return found


def _role(value: str, place: str) -> str:
    role = ROLES.get(value.lower())
    if role is None:
        raise StudyError(f"{place}: {shorten(value)} is no role: write train, validation or test")
    return role
