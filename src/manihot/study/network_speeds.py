"""Measures how fast networks run and are trained on this machine, and what they leave on the disk."""

import contextlib
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from manihot.features.extract import prepared
from manihot.networks import build, cut
from manihot.networks.batches import Batches
from manihot.networks.build import Features, Input
from manihot.networks.flops import count, flops
from manihot.study.tasks import Task

Clock = Callable[[], float]
# What counts as the same way of running a network, the likest first.
ALIKE = (("train", "predict"), ("upper", "upper_predict"), ("features",), ("store",))
TIMED = [kind for kinds in ALIKE for kind in kinds]
CLASSES, FEWEST = 5, 2


class Known:
    """A network at a size: what it does with a photo, and what it takes on the disk."""

    def __init__(self, network: str, size: int):
        self.network, self.size = network, size
        with torch.device("meta"):
            self.model = build.assemble(network, CLASSES, size, 0.0, None)
        self.cuts: dict[str, tuple[dict[str, int], int]] = {}

    def flops(self, task: Task) -> int:
        """FLOP of a photo: those of a training step are three times those forward, or as many where all but the last
        layer is frozen."""
        forward = self.forward if task.train_from is None else self.cut(task.train_from)[0][task.kind]
        return forward * (3 if task.kind in {"train", "upper"} and not task.frozen else 1)

    @cached_property
    def forward(self) -> int:
        """FLOP of a photo, forward."""
        return flops(self.model.eval(), self.size, False)

    def cut(self, layer: str) -> tuple[dict[str, int], int]:
        """FLOP of a photo forward below and above a cut, by kind of task, and the bytes of its activations."""
        if layer not in self.cuts:
            whole = build.classifier(self.network, CLASSES, self.size, 0.0, None, False, 0)
            lower, upper = cut.split(whole, layer, self.size)
            photos = torch.rand(FEWEST, 3, self.size, self.size)
            with torch.no_grad():
                passed = lower(photos)
            above = count(upper, passed, False) // FEWEST
            done = {"store": count(lower, photos, False) // FEWEST, "upper": above, "upper_predict": above}
            self.cuts[layer] = done, 2 * passed[0].numel()
        return self.cuts[layer]

    def bytes(self, task: Task) -> float:
        """What a network's weights, or a photo's features or activations, take on the disk."""
        if task.kind == "weights":
            return 4.0 * build.parameter_counts(self.model)["parameters"]
        if task.kind == "row":
            return float(self.cut(task.train_from or "")[1])
        return 4.0 * self.width

    @cached_property
    def width(self) -> int:
        """How many features a photo has."""
        with torch.device("meta"), torch.no_grad():
            whole = build.assemble(self.network, CLASSES, self.size, 0.0, None)
            return int(Features(whole).eval()(torch.ones(FEWEST, 3, self.size, self.size)).shape[1])


class Networks:
    """The networks that tasks are about, and what was measured of them."""

    def __init__(self, tasks: Mapping[Task, float], device: torch.device, dtype: torch.dtype, clock: Clock):
        self.device, self.dtype, self.clock = device, dtype, clock
        self.units = tasks
        self.known = {key: Known(*key) for key in dict.fromkeys((t.network, t.size) for t in tasks)}
        self.work = {task: self.of(task).flops(task) for task in tasks if task.kind in TIMED}
        self.timed: dict[Task, float] = {}
        self.built: dict[tuple[str, int], float] = {}

    def of(self, task: Task) -> Known:
        """The network of a task."""
        return self.known[task.network, task.size]

    def measure(self, seconds: float) -> None:
        """Time the tasks for about so many seconds of the clock: of each way of running a network its smallest size
        first, then the others, those with the most work before the rest. More work gets more of the time."""
        end = self.clock() + seconds
        work = {task: self.units[task] * work for task, work in self.work.items() if not task.kind.endswith("predict")}
        ways: dict[tuple[Any, ...], list[Task]] = {}
        for task in sorted(work, key=lambda task: (task.size, -work[task])):
            ways.setdefault(_way(task), []).append(task)
        first = sorted((some[0] for some in ways.values()), key=lambda task: -sum(work[t] for t in ways[_way(task)]))
        others = sorted((task for some in ways.values() for task in some[1:]), key=lambda task: -work[task])
        ordered = [*first, *others]
        for place, task in enumerate(ordered):
            now = self.clock()
            if self.timed and now > end + (seconds if place < len(first) else 0.0):
                break
            share = work[task] ** 0.5 / max(1.0, sum(work[other] ** 0.5 for other in ordered[place:]))
            with contextlib.suppress(torch.OutOfMemoryError):
                self.timed[task] = self._time(task, now + share * (end - now))

    def _time(self, task: Task, end: float) -> float:
        """Seconds of a photo: of the first few, then of as large a batch as there is time for."""
        begin = self.clock()
        step = self._step(task)
        step(FEWEST)
        first = self.clock()
        step(FEWEST)
        again = self.clock() - first
        # What only happens once: building the network, and finding out how it is best run.
        self.built.setdefault((task.network, task.size), max(0.0, first - begin - again))
        took = again / FEWEST
        size = min(task.batch_size or 32, max(FEWEST, int((end - self.clock()) / 3 / max(took, 1e-9))))
        if size > FEWEST or self.clock() < end:
            step(size)
            rounds, start = 0, self.clock()
            while not rounds or self.clock() < end:
                step(size)
                rounds += 1
            took = (self.clock() - start) / rounds / size
        return took

    def _step(self, task: Task) -> Callable[[int], None]:
        """A function that lets a number of photos through the task's network once."""
        model = build.classifier(task.network, CLASSES, task.size, 0.0, None, task.frozen, 0)
        channels = Input(task.network, task.size, "none").channels()
        runs: nn.Module = model.to(self.device)
        if task.kind == "features":
            runs = prepared(Features(model).eval().requires_grad_(False), self.device, self.dtype)
        elif task.train_from is not None:
            lower, upper = cut.split(model, task.train_from, task.size)
            runs = lower if task.kind == "store" else upper
        training = task.kind in {"train", "upper"}
        runs.train(training and not task.frozen)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.Adam(trained, fused=True) if training else None

        def given(photos: int) -> Tensor:
            pixels = np.full((photos, task.size, task.size, 3), 127, np.uint8)
            [(batch, _)] = Batches(pixels, self.device, channels)(np.arange(photos), photos)
            if task.kind.startswith("upper"):
                with torch.inference_mode():
                    batch = lower(batch[:1])
                return torch.rand(photos, *batch.shape[1:], device=self.device).contiguous(
                    memory_format=torch.channels_last if batch.ndim == 4 else torch.contiguous_format
                )
            return batch

        def step(photos: int) -> None:
            batch = given(photos)
            if task.kind == "features":
                with torch.inference_mode():
                    runs(batch.to(self.dtype))
                return
            with (
                torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32),
                torch.set_grad_enabled(training),
            ):
                logits = runs(batch)
            if optimizer is not None:
                functional.cross_entropy(
                    logits.float(), torch.zeros(photos, dtype=torch.long, device=self.device)
                ).backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)

        return step

    def bytes(self) -> dict[Task, float]:
        """What weights, features and activations take on the disk, of every task that is about these."""
        return {task: self.of(task).bytes(task) for task in self.units if task.kind in {"weights", "width", "row"}}

    def width(self, task: Task) -> int:
        """How many features a photo has for a task."""
        return self.of(task).width

    def seconds(self) -> dict[Task, float]:
        """Seconds of a photo of every task, and of building each network; what was not timed is scaled by FLOP."""
        found = {task: self.timed.get(task) or self._scaled(task) for task in self.work}
        slowest = max(self.built.values(), default=0.0)
        for network, size in self.known:
            found[Task("build", network, size)] = self.built.get((network, size), slowest)
        return found

    def _scaled(self, task: Task) -> float:
        def unlike(other: Task) -> tuple[Any, ...]:
            together = [kinds for kinds in ALIKE if task.kind in kinds and other.kind in kinds]
            return (
                other.network != task.network, not together, other.train_from != task.train_from,
                other.frozen != task.frozen, abs(other.size - task.size), abs(other.batch_size - task.batch_size),
            )  # fmt: skip

        other = min(self.timed, key=unlike)
        return self.timed[other] * self.work[task] / self.work[other]


def _way(task: Task) -> tuple[Any, ...]:
    """What tells apart ways of running a network, whose speed in FLOP a second is then alike at all sizes."""
    return task.kind, task.network, task.frozen, task.train_from
