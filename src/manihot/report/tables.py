"""Tables as the template shows them: a cell has its text and, where that differs, what it sorts by."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from manihot.core.text import duration

ABSENT = "–"


@dataclass(frozen=True)
class Cell:
    """One cell. `sort` is what its column sorts by where the text does not do, `link` a place in the page."""

    text: str
    sort: float | str | None = None
    link: str | None = None
    note: str | None = None
    badge: str | None = None
    prose: bool = False


@dataclass(frozen=True)
class Column:
    """A column: `hint` says more than its title has room for; "Test: log loss" is "log loss" below "Test"."""

    title: str
    numeric: bool = True
    hint: str = ""

    @property
    def group(self) -> str:
        """What neighbouring columns share."""
        return self.title.rpartition(": ")[0]

    @property
    def short(self) -> str:
        """The title without the group."""
        return self.title.rpartition(": ")[2]


@dataclass
class Table:
    """A table of cells. `tags` of a row are CSS classes, `key` names the table in the page."""

    key: str
    caption: str
    columns: list[Column] = field(default_factory=list)
    rows: list[tuple[str, list[Cell]]] = field(default_factory=list)

    @property
    def groups(self) -> list[tuple[str, int]]:
        """The groups of the columns and how many each spans; none where no column has one."""
        spans = [(name, len(list(members))) for name, members in groupby(self.columns, key=lambda column: column.group)]
        return spans if any(name for name, _ in spans) else []

    def add(self, *cells: Cell | str, tags: str = "") -> None:
        """Append a row; plain text is a cell."""
        self.rows.append((tags, [Cell(cell) if isinstance(cell, str) else cell for cell in cells]))


def columns(*titles: str, text: Iterable[str] = ()) -> list[Column]:
    """Columns by title: numbers, except those named in `text`."""
    names = set(text)
    return [Column(title, title not in names) for title in titles]


def absent(value: Any) -> bool:
    """Whether there is no value to show."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def number(value: float | None, digits: int = 3, note: str | None = None) -> Cell:
    """A number with fixed decimals, and a note below it."""
    if value is None or math.isnan(value):
        return Cell(ABSENT)
    return Cell(f"{value:.{digits}f}", value, note=note)


def signed(value: float | None, digits: int = 3) -> Cell:
    """A difference, with its sign."""
    if value is None or math.isnan(value):
        return Cell(ABSENT)
    return Cell(f"{value:+.{digits}f}".replace("-", "−"), value)


def interval(value: float | None, low: float | None, high: float | None) -> Cell:
    """A value with its interval, sorted by the value."""
    if absent(value) or absent(low) or absent(high):
        return number(value)
    return Cell(f"{value:.3f}", value, note=f"{low:.3f}–{high:.3f}")


def metric(score: Mapping[str, Any], measure: str) -> Cell:
    """A measure with its interval, from a file of scores."""
    value = score[measure]
    return interval(value["value"], value["low"], value["high"])


def count(value: float | None) -> Cell:
    """A whole number with thousands apart."""
    if value is None or math.isnan(value):
        return Cell(ABSENT)
    return Cell(f"{value:,.0f}", value)


def p_value(value: float | None) -> Cell:
    """A p value; what is too small to show is said so."""
    if value is None or math.isnan(value):
        return Cell(ABSENT)
    return Cell("< 0.001" if value < 0.001 else f"{value:.3f}", value)


def seconds(value: float | None) -> Cell:
    """A duration in the unit that reads well, sorted by seconds."""
    return Cell(ABSENT) if absent(value) else Cell(duration(value or 0.0), value)
