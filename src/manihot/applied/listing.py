"""The photos of a folder that a model is to answer: every one listed, with the reason where it cannot be opened.

Written for the main process: the standard library only.
"""

import os
import re
import stat
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.photos.labels import FORMULA, SUFFIXES, as_csv, shard_of

COLUMNS = ("image_id", "bytes", "mtime_ns", "problem")
# What a name may not hold, if a table is to name it.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff\ufffe\uffff]")


class Listed(NamedTuple):
    """A photo: its path in the folder, its size and time (empty where they are not known), and why it cannot be used
    (empty where it may be)."""

    image_id: str
    bytes: int | str
    mtime_ns: int | str
    problem: str


def find_photos(folder: Path) -> tuple[list[Listed], dict[str, int]]:
    """The photos in a folder and those below it, sorted, and how many files of other endings there are, by ending.

    A photo is known by its ending, in either case. Hidden files and folders are left out. What cannot be used is listed
    with the reason: a name that no table can hold, a link that leads outside, a folder that is one or cannot be read.

    Raises:
        StudyError: there is no such folder, or no photo in it.
    """
    if not folder.is_dir():
        raise StudyError(f"{folder}: no such folder: say with PHOTOS which folder the photos are in")
    photos: list[Listed] = []
    others: Counter[str] = Counter()
    root, prefix = folder.resolve(), len(os.path.join(folder, ""))  # noqa: PTH118

    def unreadable(error: OSError) -> None:
        photos.append(Listed(_named(str(error.filename)[prefix:]), "", "", f"folder: {error.strerror}"))

    for place, below, names in os.walk(folder, onerror=unreadable):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in below:
            if (path := os.path.join(place, name)) and os.path.islink(path):  # noqa: PTH114, PTH118 (a Path is slow)
                photos.append(Listed(_named(path[prefix:]), "", "", "a link to a folder: move the folder here"))
        for name in names:
            ending = os.path.splitext(name)[1].lower()  # noqa: PTH122
            if name.startswith("."):
                continue
            if ending in SUFFIXES:
                photos.append(_listed(os.path.join(place, name), prefix, root))  # noqa: PTH118
            else:
                others[ending if _UNSAFE.search(ending) is None else "?"] += 1
    if not photos:
        raise StudyError(
            f"{folder}: no photos in this folder or below it (files that end in {', '.join(sorted(SUFFIXES))}): "
            "say with PHOTOS which folder they are in"
        )
    return sorted(photos, key=lambda photo: photo.image_id), dict(sorted(others.items()))


def write_listing(target: Path, photos: Sequence[Listed], others: dict[str, int], shards: int) -> None:
    """Write `{shard}.csv` and `others.json` into `target`, where they changed."""
    tables: list[list[Listed]] = [[] for _ in range(shards)]
    for photo in photos:
        tables[shard_of(photo.image_id, shards)].append(photo)
    for shard, table in enumerate(tables):
        files.if_changed(target / f"{shard}.csv", as_csv(COLUMNS, table))
    files.write_json_if_changed(target / "others.json", others)


def _listed(path: str, prefix: int, root: Path) -> Listed:
    image_id = _named(path[prefix:])
    if _UNSAFE.search(path, prefix):
        return Listed(image_id, "", "", "a name with a backslash, control or undecodable character: rename it")
    try:
        if os.path.islink(path) and not Path(path).resolve().is_relative_to(root):  # noqa: PTH114
            return Listed(image_id, "", "", "a link out of the photo folder")
        found = os.stat(path)  # noqa: PTH116
    except (OSError, RuntimeError):  # gone, or a link that leads nowhere or to itself
        return Listed(image_id, "", "", "missing")
    known = stat.S_ISREG(found.st_mode)
    return Listed(image_id, found.st_size, found.st_mtime_ns, "") if known else Listed(image_id, "", "", "not a file")


def _named(relative: str) -> str:
    """How tables call the file at a path in the folder. One that a spreadsheet would run begins with `./`, characters
    that a table cannot hold are written as their numbers."""
    escaped = _UNSAFE.sub(lambda found: f"<{ord(found[0]):x}>", relative)
    return f"./{escaped}" if FORMULA.match(escaped) else escaped
