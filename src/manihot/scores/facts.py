"""Facts about photos that are no plant: what the file, its folder and the camera's clock say, no pixel looked at.

A model that is shown pixels never reads them. But where they go with the label, the photos of the classes come from
different places, and a model may learn the place.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.core.tables import KEYS, locate


class Fact(NamedTuple):
    """A fact: what it is called, how a sentence says its value of photos, and how it says that there is none."""

    title: str
    says: str
    lacks: str = "say nothing of it"


FACTS = {
    "size": Fact("width and height", "are {} pixels"),
    "mode": Fact("colour mode", "have the colour mode {}"),
    "ending": Fact("file ending", "end in {}", "have no file ending"),
    "bytes": Fact("size of the file", "have {} kB"),
    "camera": Fact("camera", "were taken with {}", "name no camera"),
    "day": Fact("day", "are of {}", "name no day"),
    "hour": Fact("hour of the day", "were taken in hour {}", "name no hour"),
    "folder": Fact("folder", "lie in {}", "lie in no folder of their own"),
    "site": Fact("site", "are of the site {}", "name no site"),
    "name": Fact("pattern of the file's name", "are called {}"),
}
NUMBERS = ("width", "height", "bytes_number", "day_number", "hour_number")
WORDS = ("mode", "ending", "camera", "folder", "site", "name")
# What the catalog may have; the others it always has.
OPTIONAL = ("camera", "taken", "site")

HIDDEN = "…"  # stands where a class was spelled
LONGEST = 60  # characters of a value that is shown
SHORTEST = 4  # letters of a word that may stand inside another one, or be the start of one
PLURAL = ("s", "es")  # of a class, which go with it
BINS = 10  # of the sizes of files, equally full
NOT_KNOWN = -1

_WORD = re.compile(r"[^\W_]+")
_HEXADECIMAL = re.compile(r"(?<![^\W_])(?=[a-f]*\d)[0-9a-f]{3,}(?![^\W_])", re.IGNORECASE)
_REPEATED = re.compile(rf"{HIDDEN}(?:[\W_]*{HIDDEN})+")


def facts_table(photos: pd.DataFrame, catalogs: pd.DataFrame, classes: Iterable[Mapping[str, str]]) -> pd.DataFrame:
    """The facts of `photos` (dataset, image_id, label, fold), sorted by data set and id: index 0..n-1.

    Has the columns of `photos`, `FACTS` as text (empty where nothing is known), and `NUMBERS` (day in days since
    1970, `NOT_KNOWN` where there is none) for who counts with them. A class that a folder or a name spells is hidden
    (`without_classes`): it is the label, and no fact beside it. `bytes` as text is one of ten equally full ranges, in
    thousands.

    Raises:
        StudyError: a photo is in no catalog.
    """
    photos = photos.sort_values(KEYS).reset_index(drop=True)
    known = [column for column in OPTIONAL if column in catalogs]
    found = locate(photos, catalogs, ["width", "height", "mode", "bytes", *known])
    found = found.reindex(columns=[*found.columns, *(column for column in OPTIONAL if column not in known)])
    text = found[list(OPTIONAL)].astype("str").where(found[list(OPTIONAL)].notna(), "")
    paths = [PurePosixPath(image_id) for image_id in photos["image_id"]]
    hide = without_classes(classes)
    day = pd.to_datetime(text["taken"].str[:10], format="%Y-%m-%d", errors="coerce")
    hour = pd.to_numeric(text["taken"].str[11:13], errors="coerce")
    facts = {
        "size": found["width"].astype("str") + "x" + found["height"].astype("str"),
        "mode": found["mode"].astype("str"),
        "ending": [path.suffix for path in paths],
        "bytes": ranges(found["bytes"].to_numpy(np.float64) / 1000),
        "camera": text["camera"],
        "day": text["taken"].str[:10],
        "hour": text["taken"].str[11:13],
        "folder": ["/".join(map(hide, path.parts[:-1])) for path in paths],
        "site": text["site"],
        "name": [pattern(hide(path.stem)) for path in paths],
    }
    shown = pd.DataFrame(facts, index=photos.index).astype("str").apply(lambda column: column.str[:LONGEST])
    numbers = {
        "width": found["width"], "height": found["height"], "bytes_number": found["bytes"],
        "day_number": (day - pd.Timestamp(0)).dt.days.fillna(NOT_KNOWN), "hour_number": hour.fillna(NOT_KNOWN),
    }  # fmt: skip
    return photos.join(shown).join(pd.DataFrame(numbers, index=photos.index).astype("int64"))


def without_classes(classes: Iterable[Mapping[str, str]]) -> "Hide":
    """A function that hides what spells a class (its label or name) in a folder or a file's name."""
    spelled = (entry[key] for entry in classes for key in ("label", "name"))
    return Hide(frozenset(word.lower() for text in spelled for word in _WORD.findall(text)))


class Hide:
    """Hides the words of classes in a text: `Corn_Blight (3)` becomes `Corn_… (3)` where a class is called blight.

    A word goes that is a word of a class or, with four letters or more, the start of one (`health` of `healthy`);
    inside of a longer word such a class goes too. What is hidden follows from the text and the classes alone, never
    from the photo's own label.
    """

    def __init__(self, words: frozenset[str]):
        self.words = words
        self._inside = sorted((w for w in words if len(w) >= SHORTEST and not w.isdigit()), key=len, reverse=True)
        self._hidden = lru_cache(maxsize=100_000)(self._hide)

    def __call__(self, text: str) -> str:
        """The text without the classes."""
        return _REPEATED.sub(HIDDEN, _WORD.sub(lambda found: self._hidden(found[0]), text))

    def _hide(self, word: str) -> str:
        low = word.lower()
        if low in self.words or (len(low) >= SHORTEST and any(w.startswith(low) for w in self._inside)):
            return HIDDEN
        for inner in self._inside:
            word = re.sub(re.escape(inner), HIDDEN, word, flags=re.IGNORECASE)
        ending = word.removeprefix(HIDDEN)
        return HIDDEN if ending != word and ending.lower() in PLURAL else word


def pattern(name: str) -> str:
    """What names of files have in common: each number, and each run of hexadecimal digits, is `#`."""
    return re.sub(r"\d+", "#", _HEXADECIMAL.sub("#", name))


def ranges(numbers: NDArray[np.float64]) -> list[str]:
    """In which of at most `BINS` equally full ranges each number is, as text; equal numbers are in one range."""
    edges = np.unique(np.quantile(numbers, np.arange(1, BINS) / BINS)) if len(numbers) else np.empty(0)
    place = np.searchsorted(edges, numbers, side="right")
    texts = {}
    for number in np.unique(place):
        inside = numbers[place == number]
        ends = [f"{end:,.0f}" if end >= 100 else f"{end:.3g}" for end in (inside.min(), inside.max())]
        texts[number] = " to ".join(dict.fromkeys(ends))
    return [texts[number] for number in place]


def in_words(key: str, value: str) -> str:
    """What a sentence says of photos that have the `value` of a fact: "end in .png"."""
    return FACTS[key].says.format(value) if value else FACTS[key].lacks


def varying(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The facts that differ among the photos, and those that are the same for all, in the order of `FACTS`."""
    differ = [key for key in FACTS if table[key].nunique() > 1]
    return differ, [key for key in FACTS if key not in differ]


def known(table: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """Those of the facts `keys` of which something is known of some photo."""
    return [key for key in keys if (table[key] != "").any()]
