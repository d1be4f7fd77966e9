"""A user's mistake ends a command in one line."""

import pytest

from manihot.core.command import ends_in_one_line
from manihot.core.errors import StudyError


@ends_in_one_line
def half(number: int) -> int:
    """Half of an even number."""
    if number < 0:
        raise ValueError("a defect of the program")
    if number % 2:
        raise StudyError(f"NUMBER={number}: must be even")
    return number // 2


def test_a_mistake_is_one_line_and_all_else_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert half(4) == 2 and capsys.readouterr() == ("", "")
    assert half(3) == 1 and capsys.readouterr() == ("", "error: NUMBER=3: must be even\n")
    with pytest.raises(ValueError, match="defect"):
        half(-1)
    assert half.__doc__ == "Half of an even number."
