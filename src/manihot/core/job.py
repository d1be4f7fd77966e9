"""A job of the workflow: what its script is given, its log, its row of costs, and its end with the engine."""

import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, TextIO

from manihot.core import files
from manihot.core.digest import code_digest
from manihot.core.errors import StudyError
from manihot.core.progress import Progress
from manihot.core.state import State

COST_COLUMNS = [
    "stage", "name", "seconds", "photos", "photos_per_second", "peak_memory_mb",
    "device", "precision", "threads", "reused", "host",
]  # fmt: skip


class Job:
    """What a script is given: its settings (read-only), its state, its progress line, and `cost`, which it fills in."""

    def __init__(self, snakemake: Any, terminal: TextIO):
        record = files.read_json(snakemake.input.settings)
        # Not the engine's name of the rule, which another workflow that takes this one in may change.
        self.rule: str = record["rule"]
        self.settings: Mapping[str, Any] = _read_only(record["settings"])
        self.code: str = record["code"]
        self.name: str = record["name"]
        self.label = _label(snakemake)
        self.progress = Progress(self.label, terminal)
        self.cost: dict[str, Any] = {"threads": snakemake.threads}
        self._script = Path(snakemake.scriptdir) / record["script"]
        self._start = time.monotonic()

    def check_code(self) -> None:
        """Refuse to run sources that are not the ones the settings file was written for.

        Raises:
            StudyError: the code was edited while the study runs.
        """
        if code_digest(self._script) != self.code:
            raise StudyError(
                f"{self._script.name} or a module it imports was edited while the study runs: "
                "nothing was written; start the same command again"
            )

    def once(
        self, outputs: Mapping[str, Any], data: Any, work: Callable[[State], Mapping[str, Any]], **key: Any
    ) -> None:
        """Do expensive work unless it is done already, and give its files their output paths.

        `outputs` are the names of the work's files and where each goes; `data` is plain content that identifies the
        data (digests of files); `work` writes these files into the folder of its state, where it may also keep what
        it needs to go on after a kill, and returns its cost. `key` holds what tells the rule's jobs apart.
        """
        # Once more, now that the script has imported what it uses.
        self.check_code()
        settings = {**self.settings, **key}
        with State("results/state", self.rule, settings, self.code, files.content_key(data), self.label) as state:
            if state.finished():
                self.cost |= {**state.emit(outputs), "reused": 1}
            else:
                self.cost |= work(state)
                state.finish(*outputs, cost=self.costs())
                state.emit(outputs)

    def costs(self) -> dict[str, Any]:
        """This job's row of costs so far."""
        row: dict[str, Any] = dict.fromkeys(COST_COLUMNS, "") | {
            "stage": self.rule, "name": self.name, "host": socket.gethostname(), "reused": 0, "device": "cpu",
            "seconds": round(time.monotonic() - self._start, 3), "peak_memory_mb": peak_memory(),
        }  # fmt: skip
        row |= self.cost
        if row["photos"] != "" and float(row["seconds"]) > 0:
            row["photos_per_second"] = round(float(row["photos"]) / float(row["seconds"]), 2)
        return {column: row[column] for column in COST_COLUMNS}


@contextmanager
def job(snakemake: Any) -> Iterator[Job]:
    """Run the body of a script with its log, warnings, tracebacks, progress and costs taken care of.

    `snakemake` is the object that the engine gives to a script. A `StudyError` ends the job with its one line.
    """
    # Snakemake puts the terminal's descriptors here; C libraries write to descriptors, Python to sys.stdout.
    terminal = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="replace")
    path = Path(str(snakemake.log[0]))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = path.open("a", buffering=1, encoding="utf-8", errors="replace")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(handle.fileno(), 1)
    os.dup2(handle.fileno(), 2)
    logging.basicConfig(stream=handle, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True)
    logging.captureWarnings(True)
    warnings.simplefilter("default")
    _die_with_parent()
    log, label = logging.getLogger("manihot"), _label(snakemake)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    for output in snakemake.output:
        files.remove_leftovers(output)
    try:
        running = Job(snakemake, terminal)
        running.check_code()
        log.info("%s on %s, process %d", running.label, socket.gethostname(), os.getpid())
        yield running
    except StudyError as error:
        log.error("%s", error)
        _leave(f"error: {label}: {error}", terminal)
    except OSError as error:
        log.error("%s", traceback.format_exc())
        _leave(f"error: {label}: {error.strerror or error}: {error.filename or ''} (see {path})", terminal)
    except BaseException:
        log.error("%s", traceback.format_exc())
        last = traceback.format_exc().strip().splitlines()[-1]
        _leave(f"error: {label}: {last} (the whole story: {path})", terminal)
    cost = running.costs()
    if hasattr(snakemake.output, "cost"):
        files.write_rows(snakemake.output.cost, COST_COLUMNS, [cost])
    log.info("done: %s", ", ".join(f"{key} {value}" for key, value in cost.items() if value != ""))
    terminal.close()


def peak_memory() -> float:
    """The most memory that this process, or a child of it, had so far, in MB."""
    usage = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    # In bytes on macOS, in kilobytes elsewhere.
    return round(max(usage) / (1024**2 if sys.platform == "darwin" else 1024), 1)


def _label(snakemake: Any) -> str:
    """A job as its user knows it: its rule and its wildcards."""
    return " ".join([snakemake.rule, *map(str, snakemake.wildcards)])


def _read_only(content: Any) -> Any:
    """`content` with each mapping in it, at any depth, as one that cannot be written to."""
    if isinstance(content, dict):
        return MappingProxyType({key: _read_only(value) for key, value in content.items()})
    return [_read_only(value) for value in content] if isinstance(content, list) else content


def _leave(text: str, terminal: TextIO) -> None:
    """End a failed job at once: a traceback on the terminal would only repeat the log.

    A run's main process on this machine may say itself what failed (study/monitor.py).
    """
    if _main_process() is None or "MANIHOT_MONITOR" not in os.environ:
        terminal.write(f"\n{text}\n")
    logging.getLogger("manihot").error("failed: peak_memory_mb %s", peak_memory())
    logging.shutdown()
    os._exit(1)


def _main_process() -> str | None:
    """The number of the run's main process, where that is on this machine."""
    host, _, main = os.environ.get("MANIHOT_MAIN", "").partition(":")
    return main if main and host == socket.gethostname() else None


def _die_with_parent() -> None:
    """End this job when the engine that started it is gone: an orphan would write into the next run."""
    main = _main_process()
    if main is None:
        return

    def watch() -> None:
        while Path(f"/proc/{main}").exists():
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGKILL)

    if Path("/proc/self").exists():
        threading.Thread(target=watch, daemon=True).start()
