"""What the main process writes before a run: settings files and listings of photos, only where they change.

A settings file holds what a job may know and a digest of its code, and is an input of the job: so the engine
reruns a job when, and only when, one of the two changed, also after its own records are lost.
"""

import atexit
import errno
import fcntl
import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from manihot.core import files
from manihot.core.digest import code_digest
from manihot.core.errors import StudyError
from manihot.photos.facts import Label
from manihot.photos.labels import folder_labels, read_labels, write_listing
from manihot.study.checks import check_labels
from manihot.study.plan import Plan, Settings
from manihot.study.sources import CsvData, FolderData

# The open files whose locks say that a run is going on in their folders; the system frees them when the process ends.
_held: dict[Path, TextIO] = {}


# Arguments of the engine that only look at a study: they run no job, and may be given while a run is on.
LOOKING = {
    "--dry-run", "--dryrun", "--summary", "--detailed-summary", "--list-rules", "--list", "--list-target-rules", "--lt",
    "--dag", "--rulegraph", "--filegraph", "--d3dag", "--lint", "--report", "--list-changes", "--lc",
    "--list-input-changes", "--li", "--list-params-changes", "--lp", "--list-untracked", "--lu", "--print-compilation",
}  # fmt: skip
# The same as letters, alone or with others that take no value (-np).
LOOKING_LETTERS = re.compile(r"-[npkfFta]*[nSDl][npkfFtaSDl]*")


def only_looks(arguments: Sequence[str]) -> bool:
    """Whether the engine, called with these arguments, runs no job."""
    return any(a.split("=")[0] in LOOKING or LOOKING_LETTERS.fullmatch(a) for a in arguments)


def elsewhere() -> Path:
    """A folder for what `write_settings` and `list_photos` write where nothing of the study may be touched; it is
    removed when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="manihot-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def current(path: str, written: Path, results: Path = Path("results")) -> str:
    """The file at `path` below `results`, or that in `written`, where a run would write another content."""
    new = written / Path(path).relative_to(results)
    if not new.is_file() or (Path(path).is_file() and Path(path).read_bytes() == new.read_bytes()):
        return path
    return str(new)


def take_folder(results: Path = Path("results"), engine: Path = Path(".snakemake")) -> None:
    """Make this process the only run in its folder, and clear what a killed one left locked.

    On a file system without locks it says so, and leaves the engine's own locks in place.

    Raises:
        StudyError: another run works here.
    """
    if results.resolve() in _held:
        return  # a workflow that takes this one in twice reads the Snakefile twice
    results.mkdir(parents=True, exist_ok=True)
    handle = (results / ".run.lock").open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
            print(
                f"warning: the file system of {results.resolve()} has no locks ({error.strerror}): "
                "see to it yourself that no two runs work in this folder",
                file=sys.stderr,
            )
            return
        handle.seek(0)
        raise StudyError(
            f"another run ({handle.read().strip() or 'unknown'}) is working in this folder; nothing was touched: "
            "wait for it, or end it"
        ) from None
    handle.truncate(0)
    handle.write(f"process {os.getpid()} on {socket.gethostname()}")
    handle.flush()
    _held[results.resolve()] = handle
    for lock in (engine / "locks").glob("*.lock"):
        lock.unlink()


def write_settings(
    jobs: Iterable[tuple[str, str, Settings]], scripts: Sequence[Path], results: Path = Path("results")
) -> None:
    """Write each job's `settings/{rule}/{name}.json`: its settings, its script (in the first folder of `scripts` that
    has it) and the digest of its code.

    Files of jobs that are none of `jobs` are removed: a settings file stands for a job of the run.
    """
    codes: dict[str, str] = {}
    outdated = set((results / "settings").glob("*/*.json"))
    for rule, name, settings in jobs:
        script = f"{rule}.py"
        if rule not in codes:
            path = next(folder / script for folder in scripts if (folder / script).is_file())
            codes[rule] = code_digest(path)
        record = {"rule": rule, "name": name, "script": script, "code": codes[rule], "settings": settings}
        path = results / "settings" / rule / f"{name}.json"
        files.write_json_if_changed(path, record)
        outdated.discard(path)
    for path in outdated:
        path.unlink()


def read_listed(plan: Plan) -> dict[str, list[Label]]:
    """The photos and labels of each data set that lies in a folder.

    Raises:
        StudyError: a labels file or a folder that cannot be right.
    """
    known: dict[str, list[Label]] = {}
    for name in plan.catalogued:
        data = plan.study.data[name]
        if isinstance(data, CsvData):
            class_names = plan.path(data.class_names) if data.class_names else None
            known[name] = read_labels(
                plan.path(data.labels),
                data.image_column,
                data.label_column,
                data.prefix,
                class_names,
                data.only,
                data.facts,
                data.patterns,
            )
        elif isinstance(data, FolderData):
            class_names = plan.path(data.class_names) if data.class_names else None
            known[name] = folder_labels(
                plan.path(data.photos), class_names, data.only, data.role_folders, data.patterns
            )
    return known


def list_photos(plan: Plan, study_file: Path, results: Path = Path("results")) -> None:
    """List the photos and labels of each data set that lies in a folder, and hold the study's counts against them.

    Raises:
        StudyError: a labels file or a folder that cannot be right, or counts that the labels cannot give.
    """
    known = read_listed(plan)
    for name, labels in known.items():
        write_listing(results / "photos" / name, labels, Path(plan.photo_folder(name)), plan.study.photos.shards)
    check_labels(plan.study, study_file, known)
