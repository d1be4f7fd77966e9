"""The line of progress of a job that does one piece of work after another."""

import io

from manihot.core import progress


def test_each_piece_of_work_has_a_time_left_of_its_own(monkeypatch):
    now = iter([0.0, 10.0, 100.0, 110.0, 130.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now) + 1000)
    terminal = io.StringIO()
    line = progress.Progress("job", terminal)
    for done, total in ((1, 4), (2, 4), (4, 4), (1, 5), (2, 5)):
        line(done, total)
    lines = terminal.getvalue().splitlines()
    assert lines[1] == "job: 2/4, 20.0 s left"
    assert lines[3:] == ["job: 1/5", "job: 2/5, 1.0 min left"]
