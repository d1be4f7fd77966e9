"""What a split asks of the facts that are known of the photos: roles, folds, sites.

The main process asks before a run, of the labels; the split asks again, of the photos that can be used. So the standard
library only.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from manihot.core.errors import StudyError
from manihot.core.text import shorten


class Known(Protocol):
    """A photo and what is known of it, as text; empty where it is not known."""

    @property
    def image_id(self) -> str:
        """Its path."""

    @property
    def label(self) -> str:
        """Its label."""

    @property
    def site(self) -> str:
        """Where, or with what, it was taken."""

    @property
    def given_role(self) -> str:
        """train, validation or test."""

    @property
    def given_fold(self) -> str:
        """A whole number."""


def check_facts(photos: Iterable[Known], split: Mapping[str, Any], place: str) -> None:
    """Hold what is known of a data set's photos against what a split of them asks for.

    `split` has folds and fold_kind, and whether the data set gives roles (`given_role`) and folds (`given_fold`);
    `place` begins the message.

    Raises:
        StudyError: a class that is tested is never trained on, roles or sites that do not go with the number of
            folds, a fold that is out of range or empty.
    """
    photos = list(photos)
    if split["given_role"]:
        _check_roles(photos, split["folds"], place)
    elif split["folds"] < 2:
        raise StudyError(f"{place}.folds: 1 needs photos whose given role is validation; take 2 or more")
    if split["given_fold"] and split["folds"] == 1:
        raise StudyError(f"{place}: photos whose role is validation are the only fold; take fold_column out")
    if split["given_fold"]:
        _check_folds(photos, split["folds"], place)
    elif split["fold_kind"] == "by_site" and any(photo.site for photo in photos):  # else they are read from the photos
        sites = sorted({photo.site for photo in photos})
        if len(sites) != split["folds"] or len(sites) < 2:
            mend = f"set folds: {len(sites)}" if len(sites) > 1 else "take another fold_kind"
            raise StudyError(
                f"{place}.folds: fold_kind by_site makes a fold of each site, and the photos have {len(sites)} "
                f"({shorten(', '.join(sites), 200)}), not {split['folds']}; {mend}"
            )


def fold_of(given: Iterable[str]) -> list[int]:
    """The folds of the `given` ones counted from 1; those that are counted from 0 are moved up by one."""
    numbers = [int(fold) for fold in given]
    return [number + (0 in numbers) for number in numbers]


def _check_roles(photos: list[Known], folds: int, place: str) -> None:
    roles = {role: Counter(p.label for p in photos if p.given_role == role) for role in ("train", "validation", "test")}
    if not roles["test"]:
        raise StudyError(f"{place}: no photo has the role test: give some, or take the roles out and set test")
    if roles["validation"] and folds != 1:
        raise StudyError(
            f"{place}.folds: {roles['validation'].total()} photos have the role validation, which is the only fold: "
            f"set folds: 1, or give them the role train to fold all {(roles['train'] + roles['validation']).total()}"
        )
    if not roles["validation"] and folds == 1:
        raise StudyError(f"{place}.folds: no photo has the role validation: set folds to 2 or more")
    for label in sorted({photo.label for photo in photos}):
        for role in ("train", "validation"):
            if roles[role] and not roles[role][label]:
                raise StudyError(f"{place}: no photo of class {label} has the role {role}: give some, or leave it out")


def _check_folds(photos: list[Known], folds: int, place: str) -> None:
    given = [(p, int(p.given_fold)) for p in photos if p.given_role != "test"]
    first = min((number for _, number in given), default=1)
    allowed = range(0, folds) if first == 0 else range(1, folds + 1)
    for photo, number in given:
        if number not in allowed:
            raise StudyError(
                f"{place}.folds: {shorten(photo.image_id)} has fold {number}, but {folds} folds are numbered "
                f"{allowed[0]} to {allowed[-1]}; mend the column, or set folds"
            )
    have = {number for _, number in given}
    for number in allowed:
        if number not in have:
            raise StudyError(f"{place}.folds: no photo has fold {number}; set folds to the number of folds there are")
