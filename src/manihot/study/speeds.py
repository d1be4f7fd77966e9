"""Measures this machine's speeds for a study, in about ten seconds.

    python -m manihot.study.speeds [--seconds 8] < asked.json > speeds.json

`rates.asked` makes the question; `rates.Speeds` reads the answer. Times on a processor are processor times, over the
threads: other work on the machine changes them little. What the seconds did not suffice for is scaled by FLOP, or by
pixels, from what is most like it. It imports torch: it runs in a process of its own.
"""

import argparse
import contextlib
import importlib
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from manihot.core.command import ends_in_one_line
from manihot.study.tasks import Task

# What a job imports, in steps: each `Start` of amounts.py is a few of these.
IMPORTS = {
    "tables": ("pandas", "manihot.core.tables"),
    "sklearn": ("sklearn.linear_model",),
    "torch": ("torch", "safetensors.torch"),
    "torchvision": ("torchvision",),
    "timm": ("timm",),
    "xgboost": ("xgboost",),
    "matplotlib": ("manihot.figures.plots",),
}
STARTS = {
    "tables": ("tables",),
    "probes": ("tables", "sklearn"),
    "torch": ("tables", "torch"),
    "heads": ("tables", "sklearn", "torch"),
    "networks": ("tables", "torch", "torchvision", "timm"),
    "boosting": ("tables", "xgboost"),
    "report": ("tables", "matplotlib"),
}
# The share of the time for networks; how many settings of trees, and on how many photos a head is fitted.
NETWORKS, TREES, HEAD_ROWS = 0.6, 2, 300


class Clock:
    """Measures seconds: of the processor, for each of `threads`, or, where a GPU computes, those that pass."""

    def __init__(self, threads: int = 1, wait: Callable[[], None] | None = None):
        self.threads, self.wait = threads, wait

    def __call__(self) -> float:
        """The time so far."""
        if self.wait is None:
            return time.process_time() / self.threads
        self.wait()
        return time.perf_counter()


def starts(asked: Mapping[str, Any]) -> dict[str, float]:
    """Seconds until a job begins, by what it imports: of Python and the engine's part, and of the imports, which happen
    here once and are timed one by one."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    before = usage.ru_utime + usage.ru_stime
    subprocess.run([sys.executable, "-c", "import snakemake.script, manihot.core.job"], check=False, env=os.environ)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    bare = usage.ru_utime + usage.ru_stime - before
    networks = {entry["task"]["network"] for entry in asked["tasks"]}
    wanted = {step for start in asked["starts"] for step in STARTS[start]}
    if not any(network.startswith("timm/") for network in networks):
        wanted.discard("timm")
    if networks <= {"", "small_cnn", "vgg_small", "leaves", "needles"}:
        wanted.discard("torchvision")
    took = {}
    for step, modules in IMPORTS.items():
        if step in wanted:
            begin = time.process_time()
            for module in modules:
                with contextlib.suppress(ImportError):
                    importlib.import_module(module)
            took[step] = time.process_time() - begin
    return {"bare": bare} | {
        start: bare + sum(took.get(step, 0.0) for step in STARTS[start]) for start in asked["starts"]
    }


def measure(asked: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """The speeds as plain content, which `rates.Speeds.read` takes; `seconds` of the processor, beside imports."""
    begin = time.perf_counter()
    found, used = starts(asked), time.process_time()
    tasks = {Task(**entry["task"]): float(entry["units"]) for entry in asked["tasks"]}
    import torch

    from manihot.core import gpus
    from manihot.core.gpus import Compute
    from manihot.networks import device as machine
    from manihot.study.network_speeds import Networks

    compute = Compute(**asked["compute"])
    torch.set_num_threads(compute.threads)
    with machine.choose(compute) as device:
        dtype = machine.precision(compute.precision, device)
        gpu = device.type == "cuda"
        clock = Clock(compute.threads, (lambda: torch.cuda.synchronize(device)) if gpu else None)
        networks = Networks(
            {task: units for task, units in tasks.items() if task.size and task.network}, device, dtype, clock
        )
        networks.measure(NETWORKS * seconds)
    timed, disk = networks.seconds(), networks.bytes()
    rest = [task for task in tasks if task not in timed and task not in disk]
    each = (1 - NETWORKS) * seconds / max(1, len({task.kind for task in rest}))
    for kind in dict.fromkeys(task.kind for task in rest):
        some = sorted((task for task in rest if task.kind == kind), key=lambda task: -tasks[task])
        try:
            more, bytes_of = _others(kind, some, asked, networks.width, each)
        except ImportError as error:
            print(f"{kind} is not measured: {error}", file=sys.stderr)
            continue
        timed, disk = timed | more, disk | bytes_of
    timed[Task("measure")] = (time.process_time() - used) / compute.threads / seconds
    about = {"threads": compute.threads, "device": device.type, "precision": str(dtype).removeprefix("torch.")}
    about |= {"cores": os.cpu_count(), "seconds": round(time.perf_counter() - begin, 1)}
    about |= {"gpu_jobs": compute.gpu_slots * gpus.count()} if gpu else {}
    about |= {"networks_timed": len(networks.timed), "networks": len(networks.work)}
    return {
        "starts": found,
        "seconds": [{"task": vars(task), "seconds": took} for task, took in timed.items()],
        "bytes": [{"task": vars(task), "bytes": size} for task, size in disk.items()],
        "about": about,
    }


def _others(
    kind: str, tasks: list[Task], asked: Mapping[str, Any], width: Callable[[Task], int], seconds: float
) -> tuple[dict[Task, float], dict[Task, float]]:
    """Seconds and bytes of a unit of the tasks of a kind, those with the most units first."""
    from manihot.study import other_speeds as measured

    one, threads = Clock(), asked["compute"]["threads"]
    first = tasks[0]
    if kind in {"look", "decode"}:
        return measured.photo_speeds(tasks, asked, one, seconds), {}
    if kind == "demo":
        both = {task: measured.render_speed(task.network, one, seconds / len(tasks)) for task in tasks}
    elif kind == "trees":
        most = tasks[: max(1, TREES)]
        both = {t: measured.tree_speed(t, width(t), threads, Clock(threads), seconds / len(most)) for t in most}
    elif kind == "adam":
        return {first: measured.adam_speed(first, width(first), one, seconds)}, {}
    elif kind == "logistic":
        return {first: measured.logistic_speed(first, width(first), one, HEAD_ROWS)}, {}
    elif kind == "resample":
        return {first: measured.resample_speed(one, seconds)}, {}
    elif kind == "chart":
        return {first: measured.chart_speed(one, seconds)}, {}
    else:
        return {}, {}
    return {task: took for task, (took, _) in both.items()}, {task: size for task, (_, size) in both.items()}


def _end_with(parent: int) -> None:
    """End this process when `parent` is gone: nobody reads then what it prints."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


@ends_in_one_line
def main() -> int:
    """Measure what standard input asks for, and print the speeds."""
    # Threads that wait must not count as threads that compute.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0)
    given = parser.parse_args()
    print(json.dumps(measure(json.load(sys.stdin), given.seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
