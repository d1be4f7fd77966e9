"""Finished and half-done work with an address: `results/state/{key}/`.

The key hashes the stage, its settings, its code and the content of its data. A killed job goes on from what it
saved; a job that is started again although nothing differs re-emits its files in seconds.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from manihot.core import files

log = logging.getLogger(__name__)
FINISHED, LABEL = "finished.json", "label.json"


def read_label(path: Path) -> dict[str, Any]:
    """What a piece of work is of (stage, settings, code, data) and its jobs; nothing where that is damaged."""
    try:
        label = files.read_json(path)
        return label if label.keys() == {"stage", "settings", "code", "data", "jobs"} else {}
    except (OSError, ValueError, AttributeError):
        return {}


class State:
    """The folder of one piece of work; a context manager that keeps every other process out of it.

    `settings` are plain values (mappings may be read-only), `code` the digest of the job's sources, `data` a digest
    of the content of its data; `job` is who uses it, which is kept for pruning and no part of the key.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        stage: str,
        settings: Mapping[str, Any],
        code: str,
        data: str,
        job: str = "",
    ):
        self._job = job
        settings = files.plain(settings)
        self.key = files.content_key([stage, settings, code, data])[:32]
        self.folder = Path(root) / self.key
        # As it is read back from JSON.
        self.label = json.loads(json.dumps({"stage": stage, "settings": settings, "code": code, "data": data}))
        self._lock = FileLock(self.folder / ".lock")

    def __enter__(self) -> "State":
        files.make_folder(self.folder)
        self._lock.acquire()
        path = self.folder / LABEL
        known = read_label(path)
        if path.exists() and {name: known.get(name) for name in self.label} != self.label:
            log.warning("%s is damaged or of other work and not used: this work starts again", self.folder)
            self._clear()
            known = {}
        elif not known:
            self._tell_others()
        jobs = {*known.get("jobs", []), self._job}
        files.write_json_if_changed(path, {**self.label, "jobs": sorted(jobs)})
        os.utime(path)
        return self

    def _tell_others(self) -> None:
        """Say in the log what earlier work of this job there is, and why it is not used."""
        for path in self.folder.parent.glob(f"*/{LABEL}"):
            other = read_label(path)
            if self._job in other.get("jobs", []):
                differs = [name for name in self.label if other[name] != self.label[name]]
                log.info("%s is of other %s and not used", path.parent, " and ".join(differs))

    def _clear(self, *kept: str) -> None:
        for path in self.folder.iterdir():
            if path.name not in {*kept, ".lock"}:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def __exit__(self, *exception: object) -> None:
        self._lock.release()

    def save(self, name: str, content: bytes) -> None:
        """Keep `content` under `name`, synced, with its SHA-256 in front."""
        files.write_bytes(self.folder / name, hashlib.sha256(content).digest() + content)

    def load(self, name: str) -> bytes | None:
        """What `save` kept; None where there is none or it is damaged (said in the log, and dropped)."""
        path = self.folder / name
        if not path.exists():
            return None
        content = path.read_bytes()
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            log.warning("%s is damaged and not used: this work starts again", path)
            path.unlink()
            return None
        return content[32:]

    def save_json(self, name: str, content: Any) -> None:
        """Keep plain content, as `save` does."""
        self.save(name, json.dumps(content).encode())

    def load_json(self, name: str) -> Any:
        """What `save_json` kept, or None."""
        content = self.load(name)
        return None if content is None else json.loads(content)

    def finish(self, *names: str, cost: Mapping[str, Any] | None = None) -> None:
        """Declare the work done: `names` are its files in this folder; everything else but these is removed."""
        record = {
            "files": {name: files.sha256(self.folder / name) for name in names},
            "cost": dict(cost or {}),
        }
        for name in names:
            files.sync(self.folder / name)
        self.save_json(FINISHED, record)
        self._clear(*names, FINISHED, LABEL)

    def finished(self) -> bool:
        """Whether the work is done and each of its files is still what was written."""
        record = self.load_json(FINISHED)
        if record is None:
            return False
        for name, digest in record["files"].items():
            path = self.folder / name
            if not path.is_file() or files.sha256(path) != digest:
                log.warning("%s is damaged or missing and not used: this work starts again", path)
                (self.folder / FINISHED).unlink()
                path.unlink(missing_ok=True)
                return False
        return True

    def emit(self, outputs: Mapping[str, str | os.PathLike[str]]) -> dict[str, Any]:
        """Give each named file of the finished work its output path; returns the cost it had when it was done."""
        for name, target in outputs.items():
            files.place(self.folder / name, target)
        return self.load_json(FINISHED)["cost"]
