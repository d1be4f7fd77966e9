"""Files that appear whole or not at all, and what identifies them."""

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on a clean exit it is synced and renamed to `path`.

    An exception removes the temporary file and leaves `path` as it was.
    """
    path = Path(path)
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are missing, so that it outlives a power loss."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync(path.parent)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove what a killed process left of writing `path`."""
    path = Path(path)
    if path.parent.is_dir():
        for other in path.parent.iterdir():
            if other.name.startswith(f".{path.name}.") and other.suffix == ".tmp":
                other.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk, so that it outlives a power loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` atomically."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """Write `content` atomically as UTF-8 with LF line ends."""
    write_bytes(path, content.encode())


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write `content` atomically as indented JSON with sorted keys; NaN is refused."""
    write_text(path, _json(content))


def write_json_if_changed(path: str | os.PathLike[str], content: Any) -> bool:
    """Write `content` as `write_json` does, but only where the file differs; returns whether it wrote."""
    return if_changed(path, _json(content).encode())


def read_json(path: str | os.PathLike[str]) -> Any:
    """The content of a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_rows(
    path: str | os.PathLike[str],
    columns: Sequence[str],
    rows: Iterable[Mapping[str, object] | Sequence[object]],
) -> None:
    """Write a CSV table atomically from mappings or sequences, for code that does without pandas."""
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([row[column] for column in columns] if isinstance(row, Mapping) else row)


def read_rows(path: str | os.PathLike[str]) -> list[dict[str, str]]:
    """The rows of a CSV table as mappings of text."""
    with Path(path).open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def write_table(path: str | os.PathLike[str], table: Any) -> None:
    """Write a pandas table atomically as CSV without its index; floats keep 9 significant digits (float32's)."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.9g", lineterminator="\n")


def if_changed(path: str | os.PathLike[str], content: bytes) -> bool:
    """Write `content` only where the file differs; returns whether it wrote."""
    path = Path(path)
    if path.is_file() and path.read_bytes() == content:
        return False
    write_bytes(path, content)
    return True


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def plain(content: Any) -> Any:
    """`content` with a `dict` for each mapping and a `list` for each list in it, as JSON and YAML need them."""
    if isinstance(content, Mapping):
        return {key: plain(value) for key, value in content.items()}
    return [plain(value) for value in content] if isinstance(content, list) else content


def content_key(content: Any) -> str:
    """SHA-256 of the canonical JSON of plain content, in hexadecimal."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def place(source: Path, target: str | os.PathLike[str]) -> None:
    """Make `target` the same file as `source` (a hard link; a copy where links cannot be), atomically."""
    with atomic(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
