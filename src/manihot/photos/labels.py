"""Which photos there are and what they are labelled: label files, folders of classes, and their listings.

Written for the main process: the standard library only.
"""

import csv
import io
import json
import os
import re
import stat
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.core.text import CONTROL, did_you_mean, shorten
from manihot.photos.facts import FACTS, ROLES, Label, by_folder, by_patterns, of_row

# What counts as a photo in a folder of classes; whether it can be read is the catalog's question.
SUFFIXES = {
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm",
    ".tif", ".tiff", ".webp",
}  # fmt: skip
SEPARATORS = ",;\t"
LONGEST_LABEL = 200  # characters, also of a class's name, a group and a site
NONE: Mapping[str, str | None] = MappingProxyType({})
# What Excel and LibreOffice run when they open a table with such a field.
FORMULA = re.compile(r"=|[+\-@].*[(|!]")
# Control characters, backslashes, undecodable bytes; an absolute path; an empty, `.` or `..` part.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]|^/|(?:^|/)\.{0,2}(?:/|$)")


def read_labels(
    path: str | os.PathLike[str],
    image_column: str = "image_id",
    label_column: str = "label",
    prefix: str = "",
    class_names: str | os.PathLike[str] | None = None,
    only: Collection[str] | None = None,
    facts: Mapping[str, str | None] = NONE,
    patterns: Mapping[str, str | None] = NONE,
) -> list[Label]:
    """The labelled photos of a CSV file, in its order.

    Args:
        path: the file: UTF-8 with or without a byte order mark; comma, semicolon or tab separate.
        image_column: the column with the photo's path.
        label_column: the column with its label.
        prefix: what is cut off the paths.
        class_names: a JSON object or a CSV file with `label,name`.
        only: the labels whose photos are kept.
        facts: further columns, by what they give (`photos.facts.FACTS`); None gives nothing.
        patterns: regular expressions on the paths, by what they give.

    Raises:
        StudyError: the file is missing or empty, a column is not there, a row is incomplete, an id leaves the
            photo folder or is listed twice, a label or a name cannot be shown, a pattern does not match.
    """
    path = Path(path)
    names = read_class_names(class_names) if class_names is not None else {}
    seen: dict[str, tuple[int, Label]] = {}
    labels = []
    prefixed = not prefix
    known = {fact: column for fact, column in facts.items() if column is not None}
    header, rows = read_csv(path, tuple(dict.fromkeys([image_column, label_column, *known.values()])))
    image_position, label_position = header.index(image_column), header.index(label_column)
    positions = [(fact, column, header.index(column)) for fact, column in known.items()]
    for row, fields in rows:
        label = fields[label_position]
        image_id = fields[image_position].removeprefix(prefix)
        prefixed = prefixed or image_id != fields[image_position]
        place = f"{path}, row {row}"
        if not image_id:
            raise StudyError(f"{place}: nothing in column '{image_column}': write the photo's name")
        if not label:
            raise StudyError(f"{place}: no label for {shorten(image_id)}: write one into '{label_column}'")
        check_id(image_id, place)
        entry = Label(image_id, label, names.get(label, label), **of_row(fields, positions, place))
        if image_id in seen:
            first, other = seen[image_id]
            place = f"{path}, rows {first} and {row}"
            raise StudyError(f"{place}: {shorten(image_id)} is listed {_how_twice(other, entry)}: keep one of them")
        seen[image_id] = row, entry
        labels.append(entry)
    if not labels:
        raise StudyError(f"{path}: no rows below the header: list a photo a row")
    if not prefixed:
        raise StudyError(
            f"{path}: no image id begins with {shorten(prefix)}, the first is {shorten(labels[0].image_id)}: "
            "mend `prefix` in the study file"
        )
    return by_patterns(_select(labels, names, only, path), patterns, str(path))


def _how_twice(one: Label, other: Label) -> str:
    """How a photo is listed that is listed twice."""
    for field, what in zip(("label", *FACTS), ("labels", "groups", "sites", "roles", "folds"), strict=True):
        values = getattr(one, field), getattr(other, field)
        if values[0] != values[1]:
            return f"with two {what}, {shorten(values[0])} and {shorten(values[1])}"
    return "twice"


def folder_labels(
    folder: str | os.PathLike[str],
    class_names: str | os.PathLike[str] | None = None,
    only: Collection[str] | None = None,
    by_role: bool = False,
    patterns: Mapping[str, str | None] = NONE,
) -> list[Label]:
    """The photos of a folder with a sub-folder a class, sorted; `image_id` is `class/file`.

    Hidden files and folders, and files whose suffix is not that of an image, are left out. With `by_role` the
    sub-folders are roles, and theirs are the classes: `role/class/file`. `patterns` are regular expressions on
    the paths, by what they give (`photos.facts.FACTS`).

    Raises:
        StudyError: the folder is missing or has no such photos, a name cannot be used or is no role, or a pattern
            does not match.
    """
    folder = Path(folder)
    names = read_class_names(class_names) if class_names is not None else {}
    above = [f"{role}/" for role in _visible(folder, folders=True)] if by_role else [""]
    labels = [
        Label(f"{role}{label}/{photo}", label, names.get(label, label))
        for role in above
        for label in _visible(folder / role, folders=True)
        for photo in _visible(folder / role / label, folders=False)
        if os.path.splitext(photo)[1].lower() in SUFFIXES  # noqa: PTH122 (a Path a photo is slow)
    ]
    if not labels:
        where = "the folders of classes in its train, validation and test" if by_role else "its sub-folders"
        raise StudyError(f"{folder}: no photos in {where}: make one a class, or give a labels file")
    for label in labels:
        check_id(label.image_id, str(folder))
    labels = _select(labels, names, only, folder)
    return by_patterns(by_folder(labels, str(folder)) if by_role else labels, patterns, str(folder))


def role_folders(folder: Path) -> set[str]:
    """The roles that a folder's sub-folders are called by; none where one of them is called otherwise."""
    found = {ROLES.get(name.lower(), "") for name in _visible(folder, folders=True)}
    return set() if "" in found else found


def read_class_names(path: str | os.PathLike[str]) -> dict[str, str]:
    """Names by label, from a JSON object `{label: name}` or a CSV file with columns `label,name`.

    Raises:
        StudyError: the file is missing or of another form.
    """
    path = Path(path)
    if path.suffix.lower() != ".json":
        header, rows = read_csv(path, ("label", "name"))
        label, name = header.index("label"), header.index("name")
        return {fields[label]: fields[name] or fields[label] for _, fields in rows}
    try:
        names = json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise StudyError(f'{path}: not JSON ({error}): write {{"label": "name", …}}') from error
    if not isinstance(names, dict) or not all(isinstance(name, str) and name for name in names.values()):
        raise StudyError(f'{path}: not an object of names by label: write {{"label": "name", …}}')
    return names


def read_csv(path: Path, wanted: Sequence[str] = ()) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The columns of a CSV file, and its rows with their numbers (the header is row 1), without blank lines.

    Fields are stripped. The separator is the one under which the header has the `wanted` columns.

    Raises:
        StudyError: the file is missing, empty or not UTF-8, a wanted column is not there or there twice, or a
            row has another number of fields.
    """
    text = _read_text(path)
    rows = []
    row = 1
    try:
        separator, header = _header(path, text, wanted)
        reader = _reader(text, separator)
        for fields in reader:
            row = reader.line_num
            if not any(fields):
                continue
            if len(fields) < len(header) or any(fields[len(header) :]):
                raise StudyError(
                    f"{path}, row {row}: {len(fields)} fields, but the header has {len(header)}: "
                    f"quote a field that contains {separator!r}"
                )
            rows.append((row, [field.strip() for field in fields]))
    except csv.Error as error:
        raise StudyError(f"{path}, from row {row} on: not CSV ({error}): mend the quotes") from error
    return header, rows[1:]


def write_listing(target: Path, labels: Sequence[Label], root: Path, shards: int) -> None:
    """Write `labels.csv` and `{shard}.csv` (`image_id,bytes,mtime_ns`) into `target` where they changed.

    `root` is the photo folder. Size and time are blank where a photo is missing or is not a regular file.

    Raises:
        StudyError: the folder is missing, holds none of the photos, or a link in it leads outside.
    """
    if not root.is_dir():
        raise StudyError(f"{root}: no such photo folder: mend `photos` in the study file")
    tables: list[list[tuple[object, ...]]] = [[] for _ in range(shards)]
    for label, properties in zip(labels, _properties(root, labels), strict=True):
        tables[shard_of(label.image_id, shards)].append((label.image_id, *properties))
    if not any(row[1] != "" for table in tables for row in table):
        raise StudyError(
            f"{root}: none of the {len(labels)} labelled photos is in this folder; the first would be "
            f"{shorten(labels[0].image_id)}: mend `photos`, `image_column` or `prefix`"
        )
    # A column of facts is there only where the study gives them.
    columns = [*Label._fields[:3], *(fact for fact in FACTS if any(getattr(label, fact) for label in labels))]
    rows = [[getattr(label, column) for column in columns] for label in labels]
    files.if_changed(target / "labels.csv", as_csv(columns, rows))
    for shard, table in enumerate(tables):
        files.if_changed(target / f"{shard}.csv", as_csv(("image_id", "bytes", "mtime_ns"), table))


def shard_of(image_id: str, shards: int) -> int:
    """The shard of a photo: CRC-32 of its id, modulo the number of shards."""
    return zlib.crc32(image_id.encode()) % shards


def stamp(root: Path) -> None:
    """Give every file that a job made below `root` the CRC-32 of its content, in nanoseconds, as its time.

    So a listing of rendered or unpacked photos holds no clock, and differs where their content does.
    """
    for folder, _, names in os.walk(root):
        for name in names:
            path, time = Path(folder, name), 0
            with path.open("rb") as handle:
                while chunk := handle.read(1 << 20):
                    time = zlib.crc32(chunk, time)
            os.utime(path, ns=(time, time))


def check_id(image_id: str, place: str) -> None:
    """Refuse an id that is not a plain relative path, `/` between its parts; `place` begins the message.

    Raises:
        StudyError: it is absolute, has an empty, `.` or `..` part, a backslash or a control character.
    """
    if _UNSAFE.search(image_id):
        raise StudyError(
            f"{place}: {shorten(image_id)} is not a plain path inside the photo folder: "
            "no '..', no leading '/', no backslash or control character"
        )


def _read_text(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe or a device would be read for ever
            raise StudyError(f"{path}: cannot be read (not a file)")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise StudyError(f"{path}: no such file: mend its path in the study file") from error
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise StudyError(f"{path}, row {row}: not UTF-8: save the file as CSV UTF-8") from error
    if not text.strip():
        raise StudyError(f"{path}: the file is empty")
    return text


def _header(path: Path, text: str, wanted: Sequence[str]) -> tuple[str, list[str]]:
    """The separator under which the first line has the wanted columns, and the columns."""
    text = text.lstrip("\r\n")
    first = {mark: next(_reader(text, mark, strict=False)) for mark in SEPARATORS}
    headers = {mark: [field.strip() for field in fields] for mark, fields in first.items()}
    separator = max(headers, key=lambda mark: (len(set(wanted) & set(headers[mark])), len(headers[mark])))
    header = headers[separator]
    for column in wanted:
        if header.count(column) != 1:
            hint = did_you_mean(column, header, "", shorten)
            raise StudyError(
                f"{path}, row 1: {'two columns' if column in header else 'no column'} {column!r}, but "
                f"{shorten(', '.join(header), 200)}: {hint}{' ' if hint else ''}"
                "name the right one in the study file"
            )
    return separator, header


def _reader(text: str, separator: str, strict: bool = True) -> Any:
    lines = io.StringIO(text, newline="")
    return csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=strict)


def _select(labels: list[Label], names: dict[str, str], only: Collection[str] | None, path: Path) -> list[Label]:
    known = {label.label for label in labels}
    for text in (text for label in labels for text in label):
        if FORMULA.match(text):
            raise StudyError(f"{path}: {shorten(text)} begins as a spreadsheet's formula does: rename it")
    for text in {text for label in labels for text in label[1:]}:
        if len(text) > LONGEST_LABEL or CONTROL.search(text):
            raise StudyError(f"{path}: {shorten(text)} is too long, or holds a control character: rename it")
    if names and known.isdisjoint(names):
        raise StudyError(f"{path}: `class_names` names none of its labels, {_listed(known)}: mend that file")
    if only is None:
        return labels
    for label in only:
        if label not in known:
            raise StudyError(f"{path}: no photo has label {label!r} of `only`; there are {_listed(known)}")
    return [label for label in labels if label.label in only]


def _listed(labels: Iterable[str]) -> str:
    return shorten(", ".join(sorted(labels)), 200)


def _visible(folder: Path, folders: bool) -> list[str]:
    """The sorted names of the sub-folders, or else of the files, of a folder; no hidden ones."""
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in entries if entry.is_dir() == folders]
    except OSError as error:
        raise StudyError(
            f"{folder}: no such photo folder ({error.strerror}): mend `photos` in the study file"
        ) from error
    return sorted(name for name in found if not name.startswith(".") and name != "__MACOSX")


def _properties(root: Path, labels: Sequence[Label]) -> Iterator[tuple[int, int] | tuple[str, str]]:
    """Size in bytes and time in nanoseconds of each photo. A call of lstat a photo: only links need more."""
    inside = os.path.realpath(root)
    folders: set[str] = set()
    for label in labels:
        path = f"{root}/{label.image_id}"
        folder = label.image_id.rpartition("/")[0]
        if folder not in folders:
            _stay_inside(f"{root}/{folder}", inside)
            folders.add(folder)
        try:
            properties = os.lstat(path)
            if stat.S_ISLNK(properties.st_mode):
                _stay_inside(path, inside)
                properties = os.stat(path)  # noqa: PTH116 (as above)
        except OSError:
            yield "", ""
            continue
        yield (properties.st_size, properties.st_mtime_ns) if stat.S_ISREG(properties.st_mode) else ("", "")


def _stay_inside(path: str, folder: str) -> None:
    real = os.path.realpath(path)
    if os.path.commonpath([real, folder]) != folder:
        raise StudyError(f"{path}: a link that leaves the photo folder, to {real}: put the photos there")


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A table as the content of a CSV file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()
