"""What a run says: the lines of its jobs, how long it may take, and what failed."""

import io
import logging

import pytest

from manihot.core import files
from manihot.study import monitor
from manihot.study.monitor import Monitor, Step, last_error

CRASH = """2026-11-28 10:00:00,000 INFO train_fold balanced 1 on host, process 7
2026-11-28 10:00:01,000 ERROR Traceback (most recent call last):
  File "train.py", line 3, in <module>
ValueError: no numbers

2026-11-28 10:00:02,000 ERROR failed: peak_memory_mb 12.0
"""
REFUSED = "2026-11-28 10:00:00,000 INFO begins\n2026-11-28 10:00:01,000 ERROR photos.csv: row 3: no label\n"


class Run:
    """A monitor with a clock of its own, and what it said."""

    def __init__(self, steps, monkeypatch, likely=dict):
        self.now = 0.0
        monkeypatch.setattr(monitor.time, "monotonic", lambda: self.now)
        self.said = io.StringIO()
        self.monitor = Monitor(lambda: steps, self.said, likely)
        self.tell("run_info")

    def tell(self, event, job=None, at=None):
        self.now = self.now if at is None else at
        record = logging.makeLogRecord({"event": event, "jobid": job, "job_id": job})
        self.monitor.handle(record)

    def lines(self):
        return self.said.getvalue().splitlines()


@pytest.fixture
def steps(tmp_path):
    logs = {name: tmp_path / f"{name}.log" for name in ("crash", "refused", "killed")}
    logs["crash"].write_text(CRASH)
    logs["refused"].write_text(REFUSED)
    logs["killed"].write_text(CRASH.splitlines()[0])
    names = dict(enumerate(logs, 1))
    return {job: Step("train_fold", f"train_fold {name} 1", None, str(logs[name])) for job, name in names.items()}


def test_a_finished_job_is_told_with_what_is_done_and_left(monkeypatch):
    steps = {job: Step("train_fold", f"train_fold a {job}", None, None) for job in range(1, 5)}
    run = Run(steps, monkeypatch)
    for job in (1, 2):
        run.tell("job_info", job, at=0)
    run.tell("job_finished", 1, at=10)
    # Two have run side by side for 10 s: the second is as good as done, and two more take 10 s each.
    assert run.lines() == ["4 jobs to do", "train_fold a 1: done in 10.0 s (1 of 4, about 10.0 s left)"]
    for job, at in ((2, 10), (3, 20), (4, 20)):
        run.tell("job_finished", job, at=at)
    assert run.lines()[-1].endswith("(4 of 4)")


def test_a_job_may_take_what_it_took_before_or_what_its_like_took(tmp_path, monkeypatch):
    costs = {2: (40, 0), 3: (1, 1)}  # seconds, reused: what was only copied says nothing
    steps = {1: Step("score_model", "score_model a", None, None)}
    for job, (seconds, reused) in costs.items():
        files.write_rows(tmp_path / f"{job}.csv", ["seconds", "reused"], [(seconds, reused)])
        steps[job] = Step("train_fold", f"train_fold a {job}", str(tmp_path / f"{job}.csv"), None)
    run = Run(steps, monkeypatch)
    run.tell("job_info", 1, at=0)
    run.tell("job_finished", 1, at=20)
    # 40 s for job 2, and for job 3 the mean of what is known (20 and 40).
    assert run.lines()[-1] == "score_model a: done in 20.0 s (1 of 3, about 1.2 min left)"


def test_jobs_that_never_ran_are_reckoned_once_the_speeds_are_known(monkeypatch):
    steps = {
        1: Step("measure_speeds", "measure_speeds", None, None),
        2: Step("train_fold", "train_fold a 1", None, None),
        3: Step("train_fold", "train_fold b 1", None, None),
        4: Step("score_model", "score_model a", None, None),
    }
    known = {}
    run = Run(steps, monkeypatch, lambda: known)
    known |= {"measure_speeds": 10.0, "train_fold a 1": 100.0, "train_fold b 1": 300.0, "score_model a": 5.0}
    run.tell("job_info", 1, at=0)
    run.tell("job_finished", 1, at=20)
    # It took twice as long as reckoned: so will the others.
    assert run.lines()[-1].endswith(f"about {2 * 405 / 60:.1f} min left)")
    run.tell("job_info", 2, at=20)
    run.tell("job_finished", 2, at=120)
    # A job of this rule took what was reckoned; all jobs together 120 s in place of 110.
    assert run.lines()[-1].endswith(f"about {(300 + 5 * 120 / 110) / 60:.1f} min left)")


def test_what_a_job_took_before_goes_before_what_is_reckoned(tmp_path, monkeypatch):
    files.write_rows(tmp_path / "2.csv", ["seconds", "reused"], [(40, 0)])
    steps = {
        1: Step("train_fold", "train_fold a 1", None, None),
        2: Step("train_fold", "train_fold b 1", str(tmp_path / "2.csv"), None),
    }
    run = Run(steps, monkeypatch, lambda: {"train_fold a 1": 10.0, "train_fold b 1": 1000.0})
    run.tell("job_info", 1, at=0)
    run.tell("job_finished", 1, at=10)
    assert run.lines()[-1].endswith("about 40.0 s left)")


def test_the_end_names_each_failed_job_with_its_error_and_its_log(steps, monkeypatch):
    run = Run(steps, monkeypatch)
    run.tell("job_error", 1)
    run.tell("job_error", 2)
    assert run.lines()[1:] == [
        "train_fold crash 1: FAILED: ValueError: no numbers",
        "train_fold refused 1: FAILED: photos.csv: row 3: no label",
    ]
    assert run.monitor.summary().splitlines() == [
        "2 of 3 jobs failed, 0 are done, 1 were not finished.",
        "Mend what is named here, and run the same command again: it goes on from here.",
        "train_fold crash 1", "    error: ValueError: no numbers", f"    log:   {steps[1].log}",
        "train_fold refused 1", "    error: photos.csv: row 3: no label", f"    log:   {steps[2].log}",
    ]  # fmt: skip


def test_no_time_left_is_told_once_a_job_failed(steps, monkeypatch):
    run = Run(steps, monkeypatch)
    run.tell("job_finished", 1, at=10)
    assert run.lines()[-1].endswith(" left)")
    run.tell("job_error", 2)
    run.tell("job_finished", 3, at=20)
    steps[4] = steps[3]
    run.tell("job_finished", 3, at=30)
    assert run.lines()[-1].endswith("(2 of 4)"), "nobody knows what can still be done"


def test_a_killed_job_is_told_as_such_unless_it_only_shared_a_group_with_one_that_failed(steps, monkeypatch):
    run = Run(steps, monkeypatch)
    run.tell("job_error", 3)
    assert "train_fold killed 1\n    error: none in its log: it was killed" in run.monitor.summary()
    run.tell("job_error", 2)
    assert "train_fold killed" not in run.monitor.summary() and "no label" in run.monitor.summary()


def test_a_second_try_that_succeeds_is_no_failure(steps, monkeypatch):
    run = Run(steps, monkeypatch)
    run.tell("job_error", 1)
    run.tell("job_finished", 1)
    assert run.monitor.summary() == ""


def test_an_earlier_error_of_a_log_that_ended_well_is_over(tmp_path):
    log = tmp_path / "log"
    log.write_text(REFUSED + "2026-11-28 10:00:03,000 INFO done: stage train_fold\n")
    assert last_error(str(log)) == "" and last_error(str(tmp_path / "none")) == "" and last_error(None) == ""


def test_the_error_of_an_earlier_run_is_not_blamed(tmp_path):
    log = tmp_path / "log"
    log.write_text(REFUSED)
    written = log.stat().st_mtime
    assert last_error(str(log), written + 60) == "" and last_error(str(log), written) == "photos.csv: row 3: no label"


def test_a_logger_is_followed_once(steps):
    engine = logging.Logger("engine")
    for _ in range(2):
        monitor.follow(engine, lambda: steps, None)
    assert [type(handler) for handler in engine.handlers] == [Monitor]


def test_what_the_engine_says_of_itself_stays_off_the_terminal_and_warnings_do_not():
    def news(message, **more):
        return monitor.is_news(logging.makeLogRecord({"msg": message, **more}))

    assert not news("Select jobs to execute...") and not news("Finished jobid: 3", event="job_finished")
    assert not news("WorkflowError:\nAt least one job did not complete successfully.")
    assert news("Nothing to be done (all requested files are present and up to date).") and news(None)
    assert news("MissingInputException in rule all") and news("Building DAG of jobs...")


def test_another_logger_has_the_terminal_and_the_end_is_still_told(steps):
    silent = Monitor(lambda: steps, None)
    for event in ("run_info", "job_info", "job_error"):
        silent.handle(logging.makeLogRecord({"event": event, "jobid": 2}))
    assert "no label" in silent.summary()
