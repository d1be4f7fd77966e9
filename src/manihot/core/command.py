"""How a command ends: a mistake of its user's is one line, without a traceback."""

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

from manihot.core.errors import StudyError

Given = ParamSpec("Given")


def ends_in_one_line(main: Callable[Given, int]) -> Callable[Given, int]:
    """`main`, the function of a command line, which says a `StudyError` on standard error and then gives 1."""

    @functools.wraps(main)
    def ended(*arguments: Given.args, **named: Given.kwargs) -> int:
        try:
            return main(*arguments, **named)
        except StudyError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1

    return ended
