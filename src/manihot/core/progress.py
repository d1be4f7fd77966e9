"""A job's one line of progress on the terminal."""

import logging
import time
from typing import TextIO

from manihot.core.text import duration


class Progress:
    """One line on the terminal with the share done and the time left; a line in the log every ten seconds."""

    def __init__(self, name: str, terminal: TextIO):
        self.name, self.terminal = name, terminal
        self.start: float | None = None
        self.first = self.last = 0
        self.last_shown = 0.0

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Say that `done` of `total` steps are over; `text` is what a reader wants to know beside it.

        Where fewer are over than before, another piece of work has begun: its time left is its own.
        """
        now = time.monotonic()
        if self.start is None or done < self.last:
            self.start, self.first = now, done
        self.last = done
        live = self.terminal.isatty()
        if done < total and now - self.last_shown < (0.2 if live else 10):
            return
        self.last_shown = now
        advanced = done - self.first
        left = (
            f", {duration((now - self.start) / advanced * (total - done))} left"
            if advanced > 0 and done < total
            else ""
        )
        line = f"{self.name}: {done}/{total}{' ' + text if text else ''}{left}"
        logging.getLogger("manihot").info(line)
        self.terminal.write(f"\r\x1b[K{line}{chr(10) if done >= total else ''}" if live else line + "\n")
        self.terminal.flush()
