"""Jobs that can be stopped at any moment: a rule's script, run as the engine runs it, in a process of its own.

The processes are forked from one that has imported the libraries already: dozens of stops take seconds.
"""

import multiprocessing
import os
import resource
import runpy
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from manihot.core import files
from manihot.core.digest import code_digest
from manihot.study.yaml_files import merge

WARM = multiprocessing.get_context("forkserver")
WARM.set_forkserver_preload(
    ["snakemake.iocontainers", "torchvision", "xgboost", *(f"manihot.{name}" for name in (
        "features.boosting", "features.extract", "features.table", "pixels.cache", "predictions.network", "training.fold"))]
)  # fmt: skip
PIXELS = {
    "catalogs": ["results/catalog/leaves.csv"],
    "manifests": ["results/pixels/leaves/32px/0.json", "results/pixels/leaves/32px/1.json"],
}
SAMPLED = {
    "sample": "results/splits/main/balanced.csv",
    "split": "results/splits/main.csv",
    "record": "results/splits/main.json",
}
FEATURES = {
    "features": ["results/features/squeezenet/leaves/32px/identity.npy"],
    "sample": "results/splits/main/squeezenet.csv",
    "split": SAMPLED["split"],
    "record": SAMPLED["record"],
    "catalogs": PIXELS["catalogs"],
}


@dataclass(frozen=True)
class Rule:
    """A rule of the tiny study: whose settings a job of it has and in what they differ, its input and its output."""

    settings: str
    wildcards: dict[str, Any]
    input: dict[str, Any]
    output: dict[str, str]
    changed: dict[str, Any] = field(default_factory=dict)


RULES = {
    "cache_pixels": Rule(
        "leaves_32px",
        {"dataset": "leaves", "size": 32, "shard": 0},
        {"table": "results/catalog/leaves/0.csv"},
        {"array": "0.npy", "manifest": "0.json"},
    ),
    "train_fold": Rule(
        "balanced",
        {"experiment": "balanced", "fold": 1},
        {**PIXELS, **SAMPLED, "weights": [], "head": []},
        {"weights": "weights.safetensors", "history": "history.csv", "model": "model.json"},
        {"recipe": {"epochs": 6, "compute": {"precision": "float32"}}},
    ),
    "predict_fold": Rule(
        "balanced_tta",
        {"model": "balanced_tta", "fold": 1},
        {**PIXELS, **SAMPLED, "weights": "results/models/balanced/fold1/weights.safetensors",
         "model": "results/models/balanced/fold1/model.json"},
        {part: f"{part}.csv" for part in ("train", "validation", "test", "test_as_found")},
        {"viewing": {"batch_size": 8}},
    ),
    "extract_features": Rule(
        "squeezenet",
        {"backbone": "squeezenet", "dataset": "leaves", "size": 32, "view": "identity"},
        {"weights": "results/features/weights/squeezenet1_1-none.safetensors", "catalog": PIXELS["catalogs"][0],
         "manifests": PIXELS["manifests"], "record": []},
        {"features": "identity.npy", "manifest": "identity.json"},
        {"batch_size": 4},
    ),
    "fit_booster": Rule(
        "xgboost_1",
        {"model": "xgboost_1", "fold": 1},
        FEATURES,
        {"weights": "booster.ubj", "history": "history.csv", "model": "model.json"},
        {"recipe": {"n_estimators": 60}},
    ),
    "predict_booster": Rule(
        "xgboost_1",
        {"model": "xgboost_1", "fold": 1},
        {**FEATURES, "fitted": "results/models/xgboost_1/fold1/booster.ubj",
         "model": "results/models/xgboost_1/fold1/model.json"},
        {part: f"{part}.csv" for part in ("train", "validation", "test", "test_as_found")},
    ),
}  # fmt: skip


@dataclass
class Job:
    """A job of the tiny study in a finished project, with results in a folder of its own."""

    folder: Path
    rule: str
    changed: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own = RULES[self.rule]
        self.name = f"results/faults/{self.rule}"
        self.log, self.terminal = self.folder / self.name / "log", self.folder / self.name / "terminal"
        record = files.read_json(self.folder / "results/settings" / self.rule / f"{own.settings}.json")
        record["settings"] = merge(merge(record["settings"], own.changed), self.changed)
        record["code"] = code_digest(self.scripts / f"{self.rule}.py")
        files.write_json(self.folder / self.name / "settings.json", record)

    @property
    def scripts(self) -> Path:
        return self.folder / "workflow" / "scripts"

    def start(self, fault: Callable[[], object] | None = None) -> Any:
        """Start the job in a process of its own; `fault` is called there first."""
        process = WARM.Process(target=in_process, args=(self, fault))
        process.start()
        return process

    def run(self, fault: Callable[[], object] | None = None) -> int:
        """Run the job to its end; returns its exit status."""
        process = self.start(fault)
        process.join(120)
        assert process.exitcode is not None, f"{self.rule} hangs"
        return process.exitcode

    def results(self) -> dict[str, str]:
        """The SHA-256 of each of its results."""
        return {name: files.sha256(self.folder / self.name / name) for name in RULES[self.rule].output.values()}

    def seconds(self) -> float:
        """How long its last run took."""
        return float(files.read_rows(self.folder / self.name / "cost.csv")[0]["seconds"])

    def story(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-4000:] if self.log.exists() else self.terminal.read_text()

    def forget(self) -> None:
        """Take away its results and its state, finished or not."""
        shutil.rmtree(self.folder / "results/state", ignore_errors=True)
        for name in RULES[self.rule].output.values():
            (self.folder / self.name / name).unlink(missing_ok=True)

    def engine(self) -> SimpleNamespace:
        """What the engine gives to its script."""
        from snakemake.iocontainers import Namedlist

        own = RULES[self.rule]
        output = {key: f"{self.name}/{name}" for key, name in own.output.items()}
        return SimpleNamespace(
            rule=self.rule,
            wildcards=Namedlist(fromdict=own.wildcards),
            input=Namedlist(fromdict={**own.input, "settings": f"{self.name}/settings.json"}),
            output=Namedlist(fromdict={**output, "cost": f"{self.name}/cost.csv"}),
            log=[f"{self.name}/log"],
            threads=1,
            scriptdir=str(self.scripts),
        )


def in_process(job: Job, fault: Callable[[], object] | None) -> None:
    """Run a job in this process, which ends with it; `fault` is called first."""
    from manihot.features import boosting
    from manihot.features import extract as features
    from manihot.pixels import cache as pixel_cache
    from manihot.training import fold as training

    os.chdir(job.folder)
    # Savings as often as can be, so that stops fall between them.
    features.BLOCK, pixel_cache.BLOCK, boosting.ROUNDS_A_CHECKPOINT, training.CHECKPOINT_SHARE = 4, 4, 3, 1e9
    with job.terminal.open("w") as terminal:
        os.dup2(terminal.fileno(), 2)
    if fault:
        fault()
    runpy.run_path(str(job.scripts / f"{job.rule}.py"), init_globals={"snakemake": job.engine()})
    sys.stdout.flush()
    os._exit(0)


class Power:
    """What of a folder is really on the disk: contents as long as when they were synced, and the names that a folder
    had when it was. `fail` is the end of the power: all else is lost, and this process with it.

    It fails when the process gets SIGUSR1, or just before the sync or renaming of number `step`.
    """

    def __init__(self, root: str, step: int = 0):
        self.root, self.step, self.steps = Path(root).resolve(), step, 0
        paths = [self.root, *self.root.rglob("*")]
        self.contents = {str(path): path.stat().st_size for path in paths if path.is_file()}
        self.names = {str(path) for path in paths}
        self.replaced: dict[str, Path] = {}
        self.fsync, self.replace, self.link = os.fsync, os.replace, os.link
        os.fsync, os.replace, os.link = self._fsync, self._replace, self._link
        sys.addaudithook(self._opened)
        signal.signal(signal.SIGUSR1, lambda *_: self.fail())

    def _count(self) -> None:
        self.steps += 1
        if self.steps == self.step:
            self.fail()

    def _opened(self, event: str, arguments: Any) -> None:
        if event == "open" and not isinstance(arguments[0], int) and str(arguments[1])[0] in "wx":
            self.contents[str(Path(arguments[0]).absolute())] = 0

    def _fsync(self, descriptor: int) -> None:
        self._count()
        self.fsync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_dir():
            self.names |= {str(entry) for entry in path.iterdir()}
            for entry in path.iterdir():
                self.replaced.pop(str(entry), None)
        else:
            self.contents[str(path)] = path.stat().st_size

    def _replace(self, source: Any, target: Any) -> None:
        self._count()
        source, target = Path(source).absolute(), Path(target).absolute()
        if str(target) in self.names and str(target) not in self.replaced:
            kept = self.root.parent / f"before{self.steps}"
            kept.unlink(missing_ok=True)
            self.link(target, kept)
            self.replaced[str(target)] = kept
        self.replace(source, target)
        self.contents[str(target)] = self.contents.pop(str(source), 0)

    def _link(self, source: Any, target: Any) -> None:
        self.link(source, target)
        self.contents[str(Path(target).absolute())] = self.contents.get(str(Path(source).absolute()), 0)

    def fail(self) -> None:
        for path in sorted(self.root.rglob("*"), reverse=True):
            if str(path) in self.replaced:
                self.replace(self.replaced[str(path)], path)
            elif str(path) not in self.names:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            elif path.is_file() and path.stat().st_size > self.contents.get(str(path), 0):
                # A file may have its new length already, and zeros where its new bytes would be.
                with path.open("r+b") as handle:
                    size = handle.seek(0, os.SEEK_END)
                    handle.truncate(self.contents.get(str(path), 0))
                    handle.truncate(size)
        os.kill(os.getpid(), signal.SIGKILL)


def power() -> None:
    """The fault of a job whose power can fail."""
    Power("results")


@dataclass(frozen=True)
class PowerFails:
    """The fault of a job whose power fails just before its sync or renaming of this number."""

    step: int

    def __call__(self) -> None:
        Power("results", self.step)


def power_fails_at_the_end() -> None:
    """The fault of a job whose power fails when it has just ended."""
    failing = Power("results")
    os._exit = lambda status: failing.fail()  # type: ignore[assignment, return-value]


def memory(pid: int) -> None:
    """Let a process have no more memory than it has."""
    size = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(pid, resource.RLIMIT_AS, (size, size))


# Ways in which a running process, named by its id, is stopped.
STOPS: dict[str, Callable[[int], object]] = {
    "killed": lambda pid: os.kill(pid, signal.SIGKILL),
    "terminated": lambda pid: os.kill(pid, signal.SIGTERM),
    "out of memory": memory,
    "disk full": lambda pid: resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, 0)),
    "power lost": lambda pid: os.kill(pid, signal.SIGUSR1),
}


def wait_for(condition: Callable[[], object], seconds: float = 120) -> Any:
    """Wait until a condition holds; returns what it gave."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)
    return value


def count_steps() -> None:
    """Not a fault: the number of syncs and renamings is kept in the file `steps`."""
    counted = Power("results")
    # After the script: the job's process ends by os._exit.
    leave = os._exit

    def tell(status: int) -> None:
        Path("steps").write_text(str(counted.steps))
        leave(status)

    os._exit = tell  # type: ignore[assignment]


def tell_and_fail() -> None:
    """The fault of a job that tells in every way that there is, and fails."""
    from manihot.features import boosting

    def fit(*_: Any, **__: Any) -> None:
        print("a print")
        os.write(2, b"from a library\n")
        warnings.warn("odd", stacklevel=1)
        raise ZeroDivisionError("on purpose")

    boosting.fit = fit


def flip(path: Path, place: int) -> None:
    """Flip one bit of a file's byte, and leave its time: nothing but its content tells."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def everything(folder: Path) -> dict[str, str]:
    """The SHA-256 of each result of a study, but for what differs from run to run."""
    left_out = {"costs", "logs", "state", "settings", "photos", ".run.lock", "report.html"}
    results = folder / "results"
    return {
        str(path): files.sha256(path)
        for path in results.rglob("*")
        if path.is_file() and path.relative_to(results).parts[0] not in left_out
    }


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of all that a run could touch."""
    paths = [path for name in ("results", ".snakemake") for path in (folder / name).rglob("*") if path.is_file()]
    ours = [path for path in paths if path.relative_to(folder).parts[:2] != (".snakemake", "log")]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in ours}
