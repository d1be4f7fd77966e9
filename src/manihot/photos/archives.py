"""Photos in zip and tar files, by path or address.

Nothing in an archive is trusted: no member is written outside its folder, and what it unpacks to has limits.
"""

import http.client
import lzma
import shutil
import stat
import tarfile
import tempfile
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self, cast

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.core.text import shorten
from manihot.photos.facts import Label
from manihot.photos.labels import check_id, folder_labels, read_labels

CHUNK = 1 << 20
MAX_MEMBERS = 1_000_000
# Photos hardly shrink, so an archive that grows more than this is a bomb; small ones may (drawings, tables).
MAX_RATIO, FREE_BYTES = 50, 100_000_000
DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError,
    ValueError, RuntimeError, OverflowError, MemoryError,
)  # fmt: skip
Progress = Callable[[int, int, str], None]
Open = Callable[[], IO[bytes]]


@dataclass(frozen=True)
class Contents:
    """What archives hold: photos below the folder `photos`, and members with labels and class names.

    Without labels the photos lie in a folder a class, and with `role_folders` these in a folder a role. `columns`
    are further arguments of `read_labels`, `patterns` of it and of `folder_labels`.
    """

    photos: str = "."
    labels: str | None = None
    class_names: str | None = None
    only: Collection[str] | None = None
    max_unpacked_gb: float = 50.0
    role_folders: bool = False
    columns: Mapping[str, Any] = field(default_factory=dict)
    patterns: Mapping[str, str | None] = field(default_factory=dict)


def unpack_archives(
    images: Path, downloads: Path, sources: Sequence[Mapping[str, str | None]], contents: Contents, progress: Progress
) -> list[Label]:
    """Unpack the photos of archives into `images`; returns their labels.

    Each source has `sha256`, and `path` or `url`; a download is kept in `downloads` under its SHA-256.

    Raises:
        StudyError: an archive cannot be had, is another one, is damaged, or holds what it must not.
    """
    labels, class_names = contents.labels, contents.class_names
    max_bytes = int(contents.max_unpacked_gb * 1e9)
    for name in (labels, class_names):
        if name is not None:
            check_id(name, "data")
    shutil.rmtree(images, ignore_errors=True)
    images.mkdir(parents=True)
    aside = [PurePosixPath(name) for name in (labels, class_names) if name is not None]
    with tempfile.TemporaryDirectory(dir=images.parent) as folder:
        for number, source in enumerate(sources):
            archive = fetch(source, downloads, progress)
            progress(number, len(sources), f"unpacking {archive.name}")
            unpack(archive, images, PurePosixPath(contents.photos), Path(folder), aside, max_bytes)
        progress(len(sources), len(sources), "unpacked")
        for member in aside:
            if not Path(folder, member).is_file():
                raise StudyError(f"{archive}: no member {shorten(str(member))}: mend `labels` or `class_names`")
        names = Path(folder, class_names) if class_names is not None else None
        if labels is None:
            return folder_labels(images, names, contents.only, contents.role_folders, contents.patterns)
        return read_labels(
            Path(folder, labels),
            class_names=names,
            only=contents.only,
            patterns=contents.patterns,
            **contents.columns,
        )


def fetch(source: Mapping[str, str | None], downloads: Path, progress: Progress) -> Path:
    """The archive of a source, downloaded unless it was before, with its SHA-256 checked.

    Raises:
        StudyError: it is missing, cannot be downloaded, or its SHA-256 is another.
    """
    expected = str(source["sha256"]).lower()
    url = source.get("url")
    if url is None:
        path = Path(str(source["path"]))
        if not path.is_file():
            raise StudyError(f"{path}: no such archive: mend `path` in the study file")
        _check_sha256(str(path), files.sha256(path), expected)
        return path
    target = downloads / expected
    if not target.is_file() or files.sha256(target) != expected:
        with files.atomic(target) as temporary:
            with temporary.open("wb") as handle:
                for chunk in _download(url, progress):
                    handle.write(chunk)
            _check_sha256(url, files.sha256(temporary), expected)
    return target


def unpack(
    archive: Path,
    images: Path,
    photos: PurePosixPath,
    folder: Path,
    aside: Collection[PurePosixPath],
    max_bytes: int,
) -> None:
    """Write the files below `photos` of an archive into `images`, and the members `aside` into `folder`.

    Raises:
        StudyError: the archive is no zip or tar file, is damaged, has a member that would leave its folder, a
            link, a device or the same member twice, or unpacks to more than the limits.
    """
    left = min(max_bytes, FREE_BYTES + MAX_RATIO * archive.stat().st_size)
    with _failure_is_said(archive):
        for number, (member, size, open_member) in enumerate(_members(archive)):
            if number >= MAX_MEMBERS:
                raise StudyError(f"{archive}: more than {MAX_MEMBERS} members: split it")
            name = PurePosixPath(member)
            if name in aside:
                target = folder / name
            elif name.is_relative_to(photos) and name != photos:
                target = images / name.relative_to(photos)
            else:
                left -= size
                _check_limits(archive, member, left)
                continue
            if target.exists():
                raise StudyError(f"{archive}: {shorten(member)} was unpacked before: keep one file of a name")
            target.parent.mkdir(parents=True, exist_ok=True)
            with open_member() as content, target.open("xb") as handle:
                while chunk := content.read(CHUNK):
                    left -= len(chunk)
                    _check_limits(archive, member, left)
                    handle.write(chunk)


def _check_limits(archive: Path, member: str, left: int) -> None:
    if left < 0:
        raise StudyError(
            f"{archive}: {shorten(member)} exceeds what an archive may unpack to, "
            f"`max_unpacked_gb` and {MAX_RATIO} times its own size: mend the key or pack less"
        )


def _download(url: str, progress: Progress) -> Iterator[bytes]:
    if not url.startswith("https://"):
        raise StudyError(f"{url}: only https addresses are downloaded: mend `url`, or give a `path`")
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            total, done = int(response.headers.get("Content-Length") or 0), 0
            while chunk := response.read(CHUNK):
                done += len(chunk)
                progress(done // 1_000_000, total // 1_000_000, "MB downloaded")
                yield chunk
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise StudyError(
            f"{url}: cannot be downloaded ({getattr(error, 'reason', error)}): check the network, "
            "or fetch the file by hand and give its `path`"
        ) from error


def _check_sha256(place: str, found: str, expected: str) -> None:
    if found != expected:
        raise StudyError(
            f"{place}: its SHA-256 is {found}, the study file says {expected}: "
            "give that of this file, if it is the one you mean"
        )


class _Header(tarfile.TarInfo):
    """A header of a tar file; one that sends tarfile backwards, or has it read a name of gigabytes, is damage."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.size < 0 or (header.size > CHUNK and not header.isreg()):
            raise tarfile.ReadError("a header with an impossible size")
        return header


def _members(archive: Path) -> Iterator[tuple[str, int, Open]]:
    """An archive's regular files: their names, checked, the bytes unpacked to pass them over, and what opens them."""
    # A tar file that ends with a zip file looks like a zip file too, but not the other way round.
    try:
        tar = tarfile.open(archive, tarinfo=_Header)  # noqa: SIM115 (closed below)
    except tarfile.ReadError:
        with zipfile.ZipFile(archive) as packed:
            yield from _zip_members(archive, packed)
    else:
        with tar:
            for entry in tar:
                if entry.size < 0:  # by an extended header: the next member would be looked for before this one
                    raise tarfile.ReadError("a member of negative size")
                name = _checked(archive, entry.name, entry.isreg() or entry.isdir())
                if not entry.isdir():
                    yield name, entry.size, cast(Open, partial(tar.extractfile, entry))


def _zip_members(archive: Path, packed: zipfile.ZipFile) -> Iterator[tuple[str, int, Open]]:
    for info in packed.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        name = _checked(archive, info.filename, kind in {0, stat.S_IFREG, stat.S_IFDIR})
        if info.flag_bits & 1:
            raise StudyError(f"{archive}: {shorten(name)} is encrypted: pack it without a password")
        if name and not info.is_dir():
            yield name, 0, partial(packed.open, info)


def _checked(archive: Path, name: str, plain: bool) -> str:
    """The member's name without a leading `./`; empty for the top folder and for macOS's own files."""
    if not plain:
        raise StudyError(f"{archive}: {shorten(name)} is a link or a device: pack files and folders only")
    name = "" if name == "." else name.removeprefix("./").removesuffix("/")
    if name:
        check_id(name, str(archive))
    return "" if name.startswith("__MACOSX/") else name


@contextmanager
def _failure_is_said(archive: Path) -> Iterator[None]:
    try:
        yield
    except (*DAMAGE, OSError) as error:
        # A damaged gzip or bzip2 stream is an OSError too, without a number.
        if isinstance(error, OSError) and error.errno:
            raise StudyError(
                f"{archive}: cannot be unpacked ({error.strerror}): make room on the disk, mend the rights or the names"
            ) from error
        raise StudyError(f"{archive}: not a zip or tar file, or damaged ({error}): fetch it again") from error
