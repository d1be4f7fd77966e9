"""Archives: what is accepted, and everything that is refused."""

import errno
import hashlib
import io
import shutil
import stat
import tarfile
import urllib.error
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.photos import archives
from manihot.photos.facts import Label

TABLE = "image_id,label\r\nfotos/é 1.jpg,0\r\nfotos/2.jpg,1\r\n"
MEMBERS = {
    "set/train.csv": TABLE.encode(),
    "set/names.json": b'{"0": "Healthy"}',
    "set/photos/\u00e9 1.jpg": b"one",
    "set/photos/2.jpg": b"two",
    "set/other/big.bin": b"not wanted",
    "__MACOSX/set/photos/._2.jpg": b"apple",
}


def packed(path: Path, members: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    else:
        compression = path.suffix[1:] if path.suffix != ".tar" else ""
        with tarfile.open(path, f"w:{compression}") as archive:
            for name, content in members.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return path


def unpacked(folder: Path, *paths: Path, **changed: Any) -> list[Label]:
    sources = [{"path": str(path), "url": None, "sha256": files.sha256(path)} for path in paths]
    progress = changed.pop("progress", lambda done, total, text: None)
    columns = {key: changed.pop(key) for key in ("image_column", "label_column", "prefix") if key in changed}
    contents = archives.Contents(**{"max_unpacked_gb": 1.0, "columns": columns} | changed)
    return archives.unpack_archives(folder / "images", folder / "downloads", sources, contents, progress)


def content(folder: Path) -> dict[str, bytes]:
    images = folder / "images"
    return {str(path.relative_to(images)): path.read_bytes() for path in images.rglob("*") if path.is_file()}


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_labels_file_and_a_folder_of_photos(tmp_path: Path, suffix: str) -> None:
    path = packed(tmp_path / f"a.{suffix}", MEMBERS)
    labels = unpacked(
        tmp_path,
        path,
        labels="set/train.csv",
        photos="set/photos",
        class_names="set/names.json",
        prefix="fotos/",
    )
    assert labels == [Label("é 1.jpg", "0", "Healthy"), Label("2.jpg", "1", "1")]
    assert content(tmp_path) == {"é 1.jpg": b"one", "2.jpg": b"two"}
    assert {path.name for path in tmp_path.iterdir()} == {f"a.{suffix}", "images"}


def test_several_archives_and_a_folder_a_class(tmp_path: Path) -> None:
    first = packed(tmp_path / "a.zip", {"sick leaf/1.jpg": b"1"})
    second = packed(tmp_path / "b.tar.gz", {"./well/2.jpg": b"2"})
    assert [label.image_id for label in unpacked(tmp_path, first, second)] == [
        "sick leaf/1.jpg",
        "well/2.jpg",
    ]
    # Photos of an earlier run do not stay.
    assert [label.image_id for label in unpacked(tmp_path, second)] == ["well/2.jpg"]
    assert content(tmp_path) == {"well/2.jpg": b"2"}


def test_a_tar_file_that_ends_with_a_zip_file_is_a_tar_file(tmp_path: Path) -> None:
    inner = packed(tmp_path / "inner.zip", {"evil/1.jpg": b"1"}).read_bytes()
    path = packed(tmp_path / "a.tar", {"good/1.jpg": b"1", "good/inner.zip": inner})
    assert [label.image_id for label in unpacked(tmp_path, path)] == ["good/1.jpg"]


ESCAPES = [
    "../x.jpg",
    "a/../../x.jpg",
    "/etc/x.jpg",
    "a//b.jpg",
    "a/./b.jpg",
    "..\\x.jpg",
    "a/\x1b.jpg",
    "..",
    "././../x",
]


@pytest.mark.parametrize("suffix", ["zip", "tar"])
@pytest.mark.parametrize("name", ESCAPES)
def test_members_that_would_leave_are_refused(tmp_path: Path, suffix: str, name: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    path = packed(tmp_path / f"a.{suffix}", {"good/1.jpg": b"1", name: b"evil"})
    with pytest.raises(StudyError, match="is not a plain path"):
        unpacked(inner, path, photos="elsewhere")
    assert [path.name for path in tmp_path.rglob("*x*") if path.is_file()] == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["..", ".", "", "a", "b", "c.jpg"]), min_size=1, max_size=5).map("/".join),
    st.sampled_from(["zip", "tar"]),
)
def test_nothing_is_written_outside(tmp_path: Path, name: str, suffix: str) -> None:
    shutil.rmtree(tmp_path)
    inner = tmp_path / "one" / "two" / "three"
    inner.mkdir(parents=True)
    path = packed(tmp_path / f"a.{suffix}", {name or "x": b"evil"})
    try:
        unpacked(inner, path)
    except StudyError as error:
        assert "\n" not in str(error)
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and inner / "images" not in path.parents]
    assert outside == [path]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tar_files_are_refused(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("class/1.jpg")
        entry.type, entry.linkname = kind, "../../../secret"
        archive.addfile(entry)
    with pytest.raises(StudyError, match="'class/1.jpg' is a link or a device"):
        unpacked(tmp_path, path)


def test_links_in_zip_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("class/1.jpg")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "../../../secret")
    with pytest.raises(StudyError, match="'class/1.jpg' is a link or a device"):
        unpacked(tmp_path, path)


def test_a_member_twice_is_refused(tmp_path: Path) -> None:
    first, second = (packed(tmp_path / name, {"class/1.jpg": name.encode()}) for name in ("a.tar", "b.zip"))
    with pytest.raises(StudyError, match=r"b\.zip: 'class/1.jpg' was unpacked before"):
        unpacked(tmp_path, first, second)


@pytest.mark.parametrize("suffix", ["zip", "tar.xz"])
def test_bombs_are_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    path = packed(tmp_path / f"a.{suffix}", {"class/1.jpg": bytes(3_000_000), "class/2.jpg": b"2"})
    assert len(unpacked(tmp_path, path)) == 2
    with pytest.raises(StudyError, match="'class/1.jpg' exceeds what an archive may unpack to"):
        unpacked(tmp_path, path, max_unpacked_gb=0.002)
    monkeypatch.setattr(archives, "FREE_BYTES", 1_000_000)
    with pytest.raises(StudyError, match="exceeds what an archive may unpack to"):
        unpacked(tmp_path, path)
    assert sum(len(photo) for photo in content(tmp_path).values()) <= 2_000_000


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    path = packed(tmp_path / "a.zip", {f"class/{number}.jpg": b"1" for number in range(3)})
    with pytest.raises(StudyError, match="more than 2 members"):
        unpacked(tmp_path, path)


@pytest.mark.parametrize("suffix", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_damaged_archives(tmp_path: Path, suffix: str) -> None:
    whole = packed(tmp_path / f"a.{suffix}", {"class/1.jpg": bytes(range(256)) * 4000}).read_bytes()
    path = tmp_path / f"b.{suffix}"
    for damaged in (whole[: len(whole) // 2], b"not an archive", b""):
        path.write_bytes(damaged)
        with pytest.raises(StudyError, match="not a zip or tar file, or damaged"):
            unpacked(tmp_path, path)


def test_an_encrypted_zip_file(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"class/1.jpg": b"1"})
    whole = bytearray(path.read_bytes())
    whole[whole.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(whole)
    with pytest.raises(StudyError, match="encrypted"):
        unpacked(tmp_path, path)


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "a.zip", {"class/1.jpg": b"1"})
    opened = Path.open

    def no_room(self: Path, mode: str = "r", **more: Any) -> Any:
        if mode == "xb":
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(self, mode, **more)

    monkeypatch.setattr(Path, "open", no_room)
    with pytest.raises(StudyError, match="cannot be unpacked .No space left on device.: make room"):
        unpacked(tmp_path, path)


def test_damage_within_a_zip_file_is_found(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"class/1.jpg": bytes(range(256)) * 4000})
    whole = path.read_bytes()
    path.write_bytes(whole[:300] + bytes(40) + whole[340:])
    with pytest.raises(StudyError, match="not a zip or tar file, or damaged"):
        unpacked(tmp_path, path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": "gone.csv"}, "no member 'gone.csv'"),
        ({"class_names": "gone.json"}, "no member 'gone.json'"),
        ({"labels": "/etc/passwd"}, "is not a plain path"),
        ({"labels": "../a.csv"}, "is not a plain path"),
        ({"photos": "gone"}, "no photos in its sub-folders"),
    ],
)
def test_members_that_are_not_there(tmp_path: Path, changed: dict[str, str], message: str) -> None:
    path = packed(tmp_path / "a.zip", {"class/1.jpg": b"1"})
    with pytest.raises(StudyError, match=message):
        unpacked(tmp_path, path, **changed)


def test_the_wrong_sha256(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"class/1.jpg": b"1"})
    source = {"path": str(path), "url": None, "sha256": "0" * 64}
    with pytest.raises(StudyError, match=f"its SHA-256 is {files.sha256(path)}, the study file says {'0' * 64}"):
        archives.fetch(source, tmp_path, print)
    with pytest.raises(StudyError, match="no such archive"):
        archives.fetch({**source, "path": "gone.zip"}, tmp_path, print)


class Server:
    """Stands for the network: counts requests and answers with `content`, or breaks off."""

    def __init__(self, content: bytes, failure: Exception | None = None):
        self.content, self.failure, self.requests = content, failure, 0

    def __call__(self, url: str, timeout: float) -> "Server":
        self.requests += 1
        self.stream = io.BytesIO(self.content)
        self.headers = Message()
        self.headers["Content-Length"] = str(len(self.content))
        return self

    def read(self, size: int) -> bytes:
        chunk = self.stream.read(size)
        if not chunk and self.failure:
            raise self.failure
        return chunk

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *exception: object) -> None:
        pass


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server(b"archive")
    monkeypatch.setattr("urllib.request.urlopen", server)
    yield server


ADDRESS = "https://example.org/a.zip"


def source_of(content: bytes, url: str = ADDRESS) -> dict[str, str | None]:
    return {"path": None, "url": url, "sha256": hashlib.sha256(content).hexdigest().upper()}


def test_a_download_is_kept_and_checked(tmp_path: Path, served: Server) -> None:
    shown: list[tuple[int, int, str]] = []
    path = archives.fetch(source_of(b"archive"), tmp_path, lambda *progress: shown.append(progress))
    assert path.read_bytes() == b"archive"
    assert shown
    assert archives.fetch(source_of(b"archive"), tmp_path, print) == path
    assert served.requests == 1
    path.write_bytes(b"rotten")
    assert archives.fetch(source_of(b"archive"), tmp_path, print).read_bytes() == b"archive"
    assert served.requests == 2


def test_a_download_that_is_another_file_leaves_nothing(tmp_path: Path, served: Server) -> None:
    with pytest.raises(StudyError, match=r"https://example\.org/a\.zip: its SHA-256 is"):
        archives.fetch(source_of(b"other"), tmp_path, print)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "failure",
    [urllib.error.URLError("no route to host"), TimeoutError("timed out"), ConnectionResetError("reset")],
)
def test_no_network_is_one_line(tmp_path: Path, served: Server, failure: Exception) -> None:
    served.failure = failure
    with pytest.raises(StudyError, match="cannot be downloaded .*check the network") as caught:
        archives.fetch(source_of(b"archive"), tmp_path, lambda *progress: None)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://example.org/a.zip", "ftp://example.org/a"])
def test_only_https(tmp_path: Path, served: Server, url: str) -> None:
    with pytest.raises(StudyError, match="only https"):
        archives.fetch(source_of(b"archive", url), tmp_path, print)
    assert served.requests == 0
