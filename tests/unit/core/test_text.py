"""What messages are made of."""

import pytest

from manihot.core.text import CONTROL, did_you_mean, duration, shorten


def test_long_text_is_cut_in_the_middle_and_stays_on_one_line():
    assert shorten("a\nb") == r"'a\nb'"
    assert shorten("x" * 78) == repr("x" * 78)
    cut = shorten("begin" + "x" * 500 + "end", 40)
    assert cut.startswith("'begin") and cut.endswith("end'") and len(cut) == 31


def test_what_cannot_be_shown_is_found():
    assert all(CONTROL.search(f"a{character}b") for character in "\x00\n\x7f\udc80\ufffe")
    assert not CONTROL.search("é – 木 (x)")


@pytest.mark.parametrize(
    ("word", "known", "options", "hint"),
    [
        ("epoch", ["folds", "epochs"], {}, "did you mean epochs?"),
        ("mian", {"main": 1}.keys(), {}, "did you mean main?"),
        ("x", ["folds", "epochs"], {}, "there are folds, epochs"),
        ("x", [], {}, "there are none"),
        ("x", ["folds"], {"otherwise": ""}, ""),
        ("epoch", ["epochs"], {"said": shorten}, "did you mean 'epochs'?"),
        ("x", ["folds", "epochs"], {"said": shorten}, "there are 'folds', 'epochs'"),
    ],
)
def test_the_closest_name_is_suggested(word, known, options, hint):
    assert did_you_mean(word, known, **options) == hint


def test_a_duration_is_in_the_unit_that_reads_well():
    assert [duration(value) for value in (0.04, 5, 90, 7200)] == ["0.0 s", "5.0 s", "1.5 min", "2.00 h"]
