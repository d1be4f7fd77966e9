"""What a run says on the terminal: a line a finished job, with the time that may be left, and at the end what failed.

The engine hands its events to a `logging.Handler`; nothing of it is imported here.
"""

import atexit
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from manihot.core import files
from manihot.core.text import duration

# What the engine says of its own doing, which the lines below stand in for; its log file keeps all of it.
EVENTS = {
    "workflow_started", "run_info", "resources_info", "job_info", "job_finished", "job_error", "group_info",
    "group_error", "progress",
}  # fmt: skip
TEXTS = (
    "Select jobs to execute", "Execute ", "Exiting because a job execution failed", "Complete log(s)", "Elapsed time",
    "WorkflowError:\nAt least one job did not complete", "RuleException:\nCalledProcessError",
    "Using shell", "Rules claiming more threads",
    "Assuming unrestricted shared filesystem", "Conda environments: ignored", "Group jobs: inactive",
)  # fmt: skip
# A line of a job's log that begins a message (core/job.py), and the message that only says how a job ended.
MESSAGE = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ (?P<level>[A-Z]+) (?P<text>.*)$")
ENDED = "failed: peak_memory_mb"
# The rule after whose job the time of all others can be reckoned.
MEASURES = "measure_speeds"
# Seconds by which the clocks of a cluster's machines may differ.
CLOCKS = 5.0


@dataclass(frozen=True)
class Step:
    """A job of the run: its rule with its wildcards as a reader knows it, and where its costs and its log go."""

    rule: str
    label: str
    cost: str | None
    log: str | None


class Monitor(logging.Handler):
    """Follows the engine's events. `steps` gives the jobs of the run by the engine's ids, once they are known.

    How long a job may take is what it took in an earlier run; else what `likely` says, by the jobs' labels, times what
    the jobs of its rule (or, before one has ended, all jobs) have taken more or less than that in this run; else what
    others of its rule have taken. How many run side by side is what has been so far. Without a `terminal` it only keeps
    what failed.
    """

    def __init__(
        self,
        steps: Callable[[], Mapping[int, Step]],
        terminal: TextIO | None,
        likely: Callable[[], Mapping[str, float]] = dict,
    ):
        super().__init__(logging.INFO)
        self.known, self.terminal, self.likely = steps, terminal, likely
        self.reckoned: dict[int, float] = {}
        self.steps: Mapping[int, Step] = {}
        self.expected: dict[int, float] = {}
        self.begun: dict[int, float] = {}
        self.took: dict[int, float] = {}
        self.failed: dict[int, str] = {}
        self.start, self.clock = time.monotonic(), time.time()

    def emit(self, record: logging.LogRecord) -> None:
        """Take an event in. A fault of this handler's must not end a run."""
        try:
            event = str(getattr(record, "event", ""))
            if event == "run_info" and not self.steps:
                self.steps = self.known()
                self.expected = {id: seconds for id, step in self.steps.items() if (seconds := _cost(step.cost))}
                self._reckon()
                self.start = time.monotonic()
                if self.steps:
                    self._say(f"{len(self.steps)} jobs to do")
            elif event == "job_info":
                self.begun[record.__dict__["jobid"]] = time.monotonic()
            elif event == "job_finished":
                self._finished(record.__dict__["job_id"])
            elif event == "job_error":
                self._failed(record.__dict__["jobid"])
        except Exception:
            self.handleError(record)

    def _finished(self, job: int) -> None:
        step = self.steps.get(job)
        self.failed.pop(job, None)  # a second try may succeed
        self.took[job] = time.monotonic() - self.begun.get(job, self.start)
        if step is not None:
            if step.rule == MEASURES:
                self._reckon()
            left = self.left()
            when = "" if left is None else f", about {duration(left)} left"
            self._say(f"{step.label}: done in {duration(self.took[job])} ({len(self.took)} of {len(self.steps)}{when})")

    def _reckon(self) -> None:
        seconds = self.likely()
        self.reckoned = {job: seconds[step.label] for job, step in self.steps.items() if seconds.get(step.label)}

    def _failed(self, job: int) -> None:
        step = self.steps.get(job)
        if step is not None:
            self.failed[job] = last_error(step.log, self.clock)
            self._say(f"{step.label}: FAILED: {self.failed[job] or 'no error in its log'}")

    def left(self) -> float | None:
        """Seconds that the rest may take; None where nothing is known yet, nothing is left, or a job failed: nobody
        knows then what can still be done."""
        rest = self.steps.keys() - self.took.keys()
        by_rule: dict[str, list[float]] = {}
        for job, seconds in self.took.items():
            if job in self.steps:
                by_rule.setdefault(self.steps[job].rule, []).append(seconds)
        every = list(self.took.values()) + list(self.expected.values())
        if not rest or not self.took or self.failed:
            return None
        work, pace = 0.0, self._pace()
        for job in rest:
            rule = self.steps[job].rule
            alike = by_rule.get(rule)
            usual = sum(alike) / len(alike) if alike else sum(every) / len(every)
            expected = self.expected.get(job) or self.reckoned.get(job, 0.0) * pace.get(rule, pace[""]) or usual
            work += max(0.0, expected - self._running(job))
        elapsed = time.monotonic() - self.start
        side_by_side = (sum(self.took.values()) + sum(map(self._running, rest))) / elapsed if elapsed else 1.0
        return work / max(1.0, side_by_side)

    def _pace(self) -> dict[str, float]:
        """How many times as long as reckoned the jobs took that have ended, by rule; "" is of all rules together."""
        sums: dict[str, list[float]] = {"": [0.0, 0.0]}
        for job in self.took.keys() & self.reckoned.keys():
            for rule in ("", self.steps[job].rule):
                both = sums.setdefault(rule, [0.0, 0.0])
                both[0] += self.took[job]
                both[1] += self.reckoned[job]
        return {rule: took / reckoned if reckoned else 1.0 for rule, (took, reckoned) in sums.items()}

    def _running(self, job: int) -> float:
        return time.monotonic() - self.begun[job] if job in self.begun and job not in self.took else 0.0

    def summary(self) -> str:
        """What failed, for the end of the terminal: each job with its error and its log; "" where nothing did."""
        told = {job: text for job, text in self.failed.items() if text}
        # Of jobs that ran as a group the engine names all, though one may have failed.
        failed = told or self.failed
        if not failed:
            return ""
        total, done = len(self.steps), len(self.took)
        lines = [
            f"{len(failed)} of {total} jobs failed, {done} are done, {total - done - len(failed)} were not finished.",
            "Mend what is named here, and run the same command again: it goes on from here.",
        ]
        for job, text in failed.items():
            step = self.steps[job]
            said = text or "none in its log: it was killed, or had too little memory or time (mem_mb, runtime)"
            lines += [f"{step.label}", f"    error: {said}", f"    log:   {step.log}"]
        return "\n".join([*lines, ""])

    def _say(self, text: str) -> None:
        if self.terminal is not None:
            self.terminal.write(f"\r\x1b[K{text}\n" if self.terminal.isatty() else f"{text}\n")
            self.terminal.flush()


def follow(
    engine: logging.Logger,
    steps: Callable[[], Mapping[int, Step]],
    terminal: TextIO | None,
    likely: Callable[[], Mapping[str, float]] = dict,
) -> None:
    """Let a monitor follow the engine's events, once; what failed is the last that this process says."""
    if any(isinstance(handler, Monitor) for handler in engine.handlers):
        return
    monitor = Monitor(steps, terminal, likely)
    engine.addHandler(monitor)
    atexit.register(lambda: print(monitor.summary(), end="", file=sys.stderr))
    if terminal is not None:
        # Jobs on this machine need not say themselves what went wrong.
        os.environ["MANIHOT_MONITOR"] = "1"


def is_news(record: logging.LogRecord) -> bool:
    """Whether the terminal should show what the engine says: a filter of its handler."""
    return str(getattr(record, "event", "")) not in EVENTS and not str(record.msg).startswith(TEXTS)


def last_error(log: str | None, since: float = 0.0) -> str:
    """The last error that a job wrote to its log, in a line; "" where there is none.

    A log that was not written `since` (seconds of the clock) is that of an earlier run.
    """
    try:
        if Path(log or "").stat().st_mtime < since - CLOCKS:
            return ""
        lines = Path(log or "").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    errors: list[list[str]] = []
    inside = False
    for line in lines:
        message = MESSAGE.match(line)
        if message is None:
            if inside and line.strip():
                errors[-1].append(line.strip())
            continue
        inside = message["level"] == "ERROR" and not message["text"].startswith(ENDED)
        if inside:
            errors.append([message["text"]])
        elif message["text"].startswith(("done: ",)):
            errors.clear()
    # Of a traceback the last line says what went wrong.
    return errors[-1][-1] if errors else ""


def _cost(path: str | None) -> float | None:
    """The seconds that a job took in an earlier run, if it computed anything then."""
    try:
        rows = files.read_rows(path) if path else []
        return float(rows[0]["seconds"]) if rows and rows[0]["reused"] == "0" else None
    except (OSError, KeyError, ValueError, IndexError):
        return None
