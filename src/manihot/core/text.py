"""How messages say things: what was given, what may have been meant, how long it takes; the standard library only."""

import difflib
import re
from collections.abc import Callable, Collection

# Control characters, undecodable bytes, and what XML cannot hold.
CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def shorten(text: str, width: int = 80) -> str:
    """`text` quoted on one line for a message, cut in the middle where it is long."""
    quoted = repr(text)
    return quoted if len(quoted) <= width else f"{quoted[: width // 2]}…{quoted[-width // 4 :]}"


def did_you_mean(
    word: str, known: Collection[str], otherwise: str | None = None, said: Callable[[str], str] = str
) -> str:
    """The hint of a message about a word that is none of the `known`: "did you mean …?", with the closest of them.

    Where none is close it is `otherwise`, by default a list of all that are known. `said` is how a name is said.
    """
    close = difflib.get_close_matches(word, list(known), n=1)
    if close:
        return f"did you mean {said(close[0])}?"
    return f"there are {', '.join(map(said, known)) or 'none'}" if otherwise is None else otherwise


def duration(seconds: float) -> str:
    """A duration in seconds, minutes or hours."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.2f} h"
