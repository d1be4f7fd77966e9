"""Tests drawn by whole groups: what is tested and what is trained on share no group.

A group without user's groups is a set of near-duplicates, of which one photo may be tested: then the counts come out
exactly. A plant or a plot has several photos, and counts come as near to what is asked for as whole groups allow.
"""

from collections.abc import Hashable, Iterator, Sequence

import pandas as pd

from manihot.core.errors import StudyError

# Of all photos: a group that is larger leaves too little on the other side of a split.
LARGEST = 0.2


class WholeGroups:
    """The groups of a data set, drawn one after the other.

    Args:
        photos: all photos, with a column label.
        groups: the group of each, indexed as `photos`.
        candidates: the photos that may be tested, in the order in which they are drawn.
        labels: the classes, in the order of their index.
        keep_photos: how many photos of each class must remain.
        keep_groups: how many groups that hold a class must remain.
    """

    def __init__(
        self,
        photos: pd.DataFrame,
        groups: pd.Series,
        candidates: pd.DataFrame,
        *,
        labels: Sequence[str],
        keep_photos: int,
        keep_groups: int,
    ):
        self.labels, self.keep_photos, self.keep_groups = list(labels), keep_photos, keep_groups
        index = {label: place for place, label in enumerate(labels)}
        self._all = _counts(groups, photos["label"].map(index))
        # Those that hold a photo to test, in the order of the first of them.
        self._testable = _counts(groups[candidates.index], candidates["label"].map(index))
        self._photos, self._groups = [0] * len(labels), [0] * len(labels)
        for counts in self._all.values():
            for place, count in counts.items():
                self._photos[place] += count
                self._groups[place] += 1

    def groups_of(self, label: str) -> int:
        """How many groups that have not been drawn hold a class."""
        return self._groups[self.labels.index(label)]

    def draw(self, target: Sequence[int]) -> list[Hashable]:
        """Groups whose photos to test come near `target`, a count a class: they are not drawn again.

        In their order, each group is taken that brings the counts nearer (the sum of squared differences falls), and
        that leaves enough photos and groups. For groups of one class, a count misses its target by at most half
        the size of a group. A class that would have no photo gets the group that takes the counts least away.
        """
        have = [0] * len(self.labels)
        drawn: list[Hashable] = []

        def change(counts: dict[int, int]) -> int:
            return sum(n * (n + 2 * (have[place] - target[place])) for place, n in counts.items())

        def take(group: Hashable) -> None:
            for place, count in self._testable.pop(group).items():
                have[place] += count
            for place, count in self._all[group].items():
                self._photos[place] -= count
                self._groups[place] -= 1
            drawn.append(group)

        for group, counts in list(self._testable.items()):
            if change(counts) < 0 and self._may_go(group):
                take(group)
        for place, wanted in enumerate(target):
            if wanted and not have[place]:
                possible = [g for g, counts in self._testable.items() if place in counts and self._may_go(g)]
                if possible:
                    take(min(possible, key=lambda group: change(self._testable[group])))
        return drawn

    def _may_go(self, group: Hashable) -> bool:
        return all(
            self._photos[place] - count >= self.keep_photos and self._groups[place] > self.keep_groups
            for place, count in self._all[group].items()
        )


def _counts(groups: pd.Series, classes: pd.Series) -> dict[Hashable, dict[int, int]]:
    """Photos of each class in each group, in the order in which the groups come."""
    found: dict[Hashable, dict[int, int]] = {}
    for group, place in _pairs(groups, classes):
        counts = found.setdefault(group, {})
        counts[place] = counts.get(place, 0) + 1
    return found


def _pairs(groups: pd.Series, classes: pd.Series) -> Iterator[tuple[Hashable, int]]:
    return zip(groups.tolist(), classes.tolist(), strict=True)


def check_largest(photos: pd.DataFrame, groups: pd.Series) -> None:
    """Check that no group is too large for a fair split.

    Raises:
        StudyError: a group of several photos has more than the share LARGEST of them.
    """
    sizes = groups.value_counts()
    most = int(sizes.iloc[0]) if len(sizes) else 0
    if most < 2 or most <= LARGEST * len(photos):
        return
    members = photos[groups == sizes.index[0]]
    named = members["given_group"][members["given_group"] != ""].value_counts()
    if named.empty:
        why = "all near-duplicates of one another: look at duplicates.csv, or set group_duplicates: false"
    elif len(named) == 1:
        why = f"all of group {named.index[0]}: give finer groups"
    else:
        why = (
            f"of {len(named)} groups, among them {named.index[0]} and {named.index[1]}, which near-duplicates join: "
            "give finer groups, or take the copies out"
        )
    raise StudyError(
        f"{most} of {len(photos)} photos stay together, such as {members['image_id'].iloc[0]} and "
        f"{members['image_id'].iloc[1]}, which leaves too little for the rest of a split; they are {why}"
    )
