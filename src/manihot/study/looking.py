"""What `make study` sees of somebody's photos: where their labels are, which are usable, and what stands out."""

import hashlib
import os
import re
import statistics
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from manihot.core.errors import StudyError
from manihot.core.text import shorten
from manihot.photos.facts import ROLES, Label
from manihot.photos.labels import (
    SUFFIXES,
    folder_labels,
    read_class_names,
    read_csv,
    read_labels,
    role_folders,
)

# Of more photos than this an even sample is opened: the run itself checks every one.
OPENED = 2000
# Fewer photos than this cannot be tested and folded: two tests, and two folds with a few photos each.
FEWEST = 10
# What columns are called that say more than the label: plants and plots, sites, a split's own roles, folds.
FACT_COLUMNS = {
    "given_group": ("group", "group_id", "plant", "plant_id", "plot", "plot_id", "tree_id", "session", "session_id"),
    "site": ("site", "site_id", "farm", "farm_id", "location", "country"),
    "given_role": ("split", "role", "subset", "partition"),
    "given_fold": ("fold",),
}
LABEL_COLUMNS = ("label", "class", "species", "category", "disease", "target", "class_name", "label_name")


@dataclass
class Source:
    """Where photos and labels are: the keys of the study file's data set, and what they give."""

    keys: dict[str, object]
    root: Path
    labels: list[Label]


@dataclass
class Found:
    """What was seen of the photos: usable ones a class, the median of their shorter sides in pixels, sizes in words,
    problems with the photos that have them, and pairs of a file and an earlier one of the same bytes."""

    counts: dict[str, int]
    names: dict[str, str]
    side: int
    sizes: str
    problems: dict[str, list[str]] = field(default_factory=dict)
    copies: list[tuple[str, str]] = field(default_factory=list)

    def enough(self) -> dict[str, int]:
        """The classes with enough photos for a study."""
        return {label: count for label, count in self.counts.items() if count >= FEWEST}


def find_source(photos: Path, labels: Path | None) -> Source:
    """Find how a folder is labelled: by the given labels file, by its sub-folders, or by a CSV file in it.

    Raises:
        StudyError: the folder is missing, or it is not clear what labels the photos.
    """
    if not photos.is_dir():
        raise StudyError(f"{photos}: no such folder: give the folder with the photos as PHOTOS")
    if labels is None:
        tables = sorted(path for path in photos.iterdir() if path.suffix.lower() in {".csv", ".tsv"})
        called = [path for path in tables if {name.lower() for name in read_csv(path)[0]} & set(LABEL_COLUMNS)]
        likely = called or tables
        if not likely:
            keys: dict[str, object] = {"source": "folder", "photos": study_path(photos)}
            roles = role_folders(photos)
            if roles and not {"train", "test"} <= roles:
                raise StudyError(
                    f"{photos}: its sub-folders are {', '.join(sorted(roles))}, a split without train or test: name "
                    "the photos to test `test`, or put the folders of classes together to have a test drawn"
                )
            keys |= {"role_folders": True} if roles else {}
            return Source(keys, photos, folder_labels(photos, by_role=bool(roles)))
        if len(likely) > 1:
            names = ", ".join(path.name for path in likely)
            raise StudyError(f"{photos}: which of {names} labels the photos? Give one as LABELS")
        labels = likely[0]
    return _labelled_by(labels, photos)


def _labelled_by(path: Path, photos: Path) -> Source:
    """The column, photo folder and prefix with which most rows name a file that is there."""
    header, numbered = read_csv(path)
    rows = [fields for _, fields in numbered]
    if not rows:
        raise StudyError(f"{path}: no rows below the header: list a photo a row")
    probe = rows[:: max(1, len(rows) // 200)]
    folders = [photos, *sorted(entry for entry in photos.iterdir() if entry.is_dir())]
    hits, image, root, prefix = 0, 0, photos, ""
    for column in range(len(header)):
        for folder in folders:
            for start in _prefixes(probe[0][column]):
                found = sum((folder / row[column].removeprefix(start)).is_file() for row in probe)
                if found > hits:
                    hits, image, root, prefix = found, column, folder, start
    columns = shorten(", ".join(header), 200)
    if not hits:
        raise StudyError(
            f"{path}: no column names files in {photos}; the columns are {columns}, the first row is "
            f"{shorten(', '.join(rows[0]), 200)}: give the right folder as PHOTOS"
        )
    label = _label_column(header, rows, image)
    if label is None:
        raise StudyError(f"{path}: no column has labels that repeat; the columns are {columns}: add one named label")
    keys: dict[str, object] = {"source": "csv", "photos": study_path(root), "labels": study_path(path)}
    keys |= {"image_column": header[image], "label_column": header[label]} | ({"prefix": prefix} if prefix else {})
    names = _class_names(path.parent, {row[label] for row in rows})
    if names:
        keys["class_names"] = study_path(names)
    facts = _fact_columns(header, rows, (image, label))
    keys |= {f"{fact.removeprefix('given_')}_column": column for fact, column in facts.items()}
    return Source(keys, root, read_labels(path, header[image], header[label], prefix, names, facts=facts))


def _fact_columns(header: Sequence[str], rows: Sequence[Sequence[str]], taken: Sequence[int]) -> dict[str, str]:
    """Columns that are called as facts are and have in every row a value that can be one, by fact."""
    found: dict[str, str] = {}
    for column, name in enumerate(header):
        values = {row[column] for row in rows}
        fact = next((fact for fact, called in FACT_COLUMNS.items() if name.lower() in called), None)
        if fact is None or fact in found or column in taken or "" in values:
            continue
        roles = {ROLES.get(value.lower()) for value in values}
        fits = {
            "given_group": 1 < len(values) < len(rows),  # each photo its own group, or all in one, tells nothing
            "site": len(values) > 1,
            "given_role": roles >= {"train", "test"} and None not in roles,
            "given_fold": len(values) > 1 and all(value.isdecimal() for value in values),
        }
        if fits[fact]:
            found[fact] = name
    if "given_role" in found:
        found.pop("given_fold", None)
    return found


def _prefixes(value: str) -> Iterator[str]:
    """What may have to be cut off a path in a labels file: nothing, or its leading folders."""
    yield ""
    yield from (value[: match.end()] for match in re.finditer("/", value))


def _label_column(header: Sequence[str], rows: Sequence[Sequence[str]], image: int) -> int | None:
    """The column with labels: one that is called so, or else the one with the fewest values that repeat."""
    kinds = {
        column: len({row[column] for row in rows})
        for column in range(len(header))
        if column != image and all(row[column] for row in rows)
    }
    repeating = [column for column, kind in kinds.items() if 2 <= kind <= max(2, len(rows) // 3)]
    called = [column for name in LABEL_COLUMNS for column in repeating if header[column].lower() == name]
    return min(called[:1] or repeating, key=lambda column: kinds[column], default=None)


def _class_names(folder: Path, labels: set[str]) -> Path | None:
    """A JSON file in the folder that names every label."""
    for path in sorted(folder.glob("*.json")):
        try:
            names = read_class_names(path)
        except StudyError:
            continue
        if labels <= names.keys():
            return path
    return None


def look(source: Source) -> Found:
    """Count the usable photos of each class and open an even sample of them; only headers are read."""
    problems: dict[str, list[str]] = {}
    usable: list[Label] = []
    by_bytes: dict[int, list[str]] = {}
    for label in source.labels:
        try:
            size = (source.root / label.image_id).stat().st_size
        except OSError:
            size = -1
        if size > 0:
            usable.append(label)
            by_bytes.setdefault(size, []).append(label.image_id)
        else:
            problems.setdefault("missing" if size < 0 else "empty", []).append(label.image_id)
    sizes = Counter[tuple[int, int]]()
    for label in usable[:: max(1, len(usable) // OPENED)]:
        try:
            with warnings.catch_warnings(action="ignore"), Image.open(source.root / label.image_id) as photo:
                sizes[photo.size] += 1
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            problems.setdefault("not readable as an image", []).append(label.image_id)
    unreadable = set(problems.get("not readable as an image", []))
    if not sizes:
        raise StudyError(f"{source.root}: none of the {len(source.labels)} labelled photos can be opened")
    common = ", ".join(f"{width}x{height}" for (width, height), _ in sizes.most_common(3))
    return Found(
        counts=dict(Counter(label.label for label in usable if label.image_id not in unreadable)),
        names={label.label: label.name for label in source.labels},
        side=int(statistics.median(min(size) for size in sizes.elements())),
        sizes=common + (f" and {len(sizes) - 3} other sizes" if len(sizes) > 3 else ""),
        problems=problems,
        copies=_copies(source.root, by_bytes),
    )


def _copies(root: Path, by_bytes: Mapping[int, Sequence[str]]) -> list[tuple[str, str]]:
    """Files that are equal to an earlier one, each with that one, among the first OPENED whose size another has."""
    alike = [image for images in by_bytes.values() if len(images) > 1 for image in images]
    first: dict[str, str] = {}
    found: list[tuple[str, str]] = []
    for image in alike[:OPENED]:
        try:
            with (root / image).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            continue  # the run says which photos it cannot read
        if first.setdefault(digest, image) != image:
            found.append((image, first[digest]))
    return found


def describe(source: Source, found: Found) -> str:
    """What was found, for the terminal."""
    how = "a sub-folder a class" if source.keys["source"] == "folder" else f"labels from {source.keys['labels']}"
    how = "train, validation and test, each with a sub-folder a class" if source.keys.get("role_folders") else how
    lines = [
        f"{len(source.labels)} labelled photos of {len(found.names)} classes in {source.root} ({how}), {found.sizes}"
    ]
    if source.keys["source"] == "csv":
        lines.append("  " + ", ".join(f"{key} {source.keys[key]}" for key in source.keys if key.endswith("column")))
    roles = Counter(label.given_role for label in source.labels if label.given_role)
    lines += ["  their own split: " + ", ".join(f"{roles[role]} {role}" for role in roles)] * bool(roles)
    groups = {label.given_group for label in source.labels if label.given_group}
    lines += [f"  {len(groups)} groups of photos that stay together ({source.keys.get('group_column')})"] * bool(groups)
    lines += [
        f"  {count:6} {found.names[label]}" + (" (too few: left out)" if count < FEWEST else "")
        for label, count in sorted(found.counts.items(), key=lambda item: -item[1])
    ]
    lines += [
        f"  {len(images)} {problem}, such as {shorten(images[0])}: set aside by the run"
        for problem, images in found.problems.items()
    ]
    if found.copies:
        copy, first = found.copies[0]
        alike = f"such as {shorten(copy)} as {shorten(first)}"
        lines.append(f"  {len(found.copies)} files have the same bytes as another, {alike}")
    else:
        lines.append("  no two files were seen to have the same bytes")
    lines[-1] += ": a quick look; the run finds copies by their pixels"
    if source.keys["source"] == "folder":
        loose = sum(path.suffix.lower() in SUFFIXES for path in source.root.iterdir())
        lines += [f"  {loose} photos lie beside the sub-folders: they have no label and are left out"] * (loose > 0)
    return "\n".join(lines)


def study_path(path: Path) -> str:
    """A path as the study file takes it: from the project's folder, or absolute."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 (a link to the photos stays one)
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute)
