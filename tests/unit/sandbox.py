"""Hostile files are read here: what runs, writes elsewhere or hangs is noticed."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

HANG = 5  # seconds
WRITES = {"os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.truncate", "os.chmod"}
RUNS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"}


class HangError(BaseException):
    """Not an `Exception`: no reader may take it for a damaged file."""


class Watch:
    """What the process runs, and what it writes outside a folder, while it watches one. Audit hooks stay for good."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.seen: list[str] = []
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None:
            return
        if event in RUNS:
            self.seen.append(f"{event} {arguments[0]!r}")
        elif event in WRITES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            # Relative names are those below a folder that was opened: `shutil.rmtree` does so.
            path = Path(os.path.normpath(os.fsdecode(arguments[0]))) if not isinstance(arguments[0], int) else Path()
            if path.is_absolute() and not path.is_relative_to(self.folder) and "__pycache__" not in path.parts:
                self.seen.append(f"{event} {path}")


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@contextmanager
def limited(seconds: int = HANG) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def alone(watch: Watch, results: Path) -> Iterator[None]:
    """Work that runs no program, writes in `results` only, and takes no longer than a hang."""
    watch.folder, watch.seen = results, []
    try:
        with limited():
            yield
    finally:
        watch.folder = None
    assert watch.seen == []


@contextmanager
def watched(watch: Watch, results: Path) -> Iterator[None]:
    """As `alone`; and nothing beside the results, in the folder above their working folder, has come or gone."""

    def outside() -> set[str]:
        inside = str(results.relative_to(results.parents[1]))
        return {path for path in tree(results.parents[1]) if not path.startswith(inside)}

    before = outside()
    with alone(watch, results):
        yield
    assert outside() == before
