"""What the report says of sets of classes and of strange photos."""

import re
from pathlib import Path

import pytest
import synthetic_results

from manihot.applied.sets import REFIT
from manihot.core import files
from manihot.report import sets_section
from manihot.report.results import Results

MODELS = synthetic_results.described()


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Results:
    folder = Path(tmp_path_factory.mktemp("results"))
    synthetic_results.build(folder)
    return Results(folder)


def test_every_model_has_its_sets_on_both_tests_and_the_chosen_one_class_by_class(results):
    shown = sets_section.sets(results, MODELS, {"balanced": "chosen"})
    rows = [[cell.text for cell in cells] for _, cells in shown["table"].rows]
    assert [row[0] for row in rows] == [model["name"] for model in MODELS for _ in range(2)]
    scored = results.score("balanced", "test")["sets"]
    [row] = [row for row in rows if row[:2] == ["balanced", "Test"]]
    assert row[2] == "folds (CV+)" and row[4] == f"{scored['covered']['value']:.3f}"
    assert row[6] == f"{scored['size']:.2f}"
    assert [table.key for table in shown["classes"]] == ["sets-balanced-test", "sets-balanced-test_as_found"]
    assert len(shown["classes"][0].rows) == len(scored["classes"]) and shown["asked"] == 0.9
    assert sets_section.sets(results, [], {}) is None


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("cv+", "With several folds (CV+), 80\u00a0% of the new photos of a class are guaranteed"),
        ("split", "With one fold, 90\u00a0% of the new photos of a class are guaranteed"),
        (REFIT, "Of a refit nothing is guaranteed"),
    ],
)
def test_what_is_guaranteed_is_said(method, said):
    assert said in sets_section.guarantee(method, 0.9)


def test_only_what_there_is_is_said(results):
    refits = [model for model in MODELS if model["folds"] == [0]]
    assert sets_section.sets(results, refits, {})["said"] == [sets_section.guarantee(REFIT, 0.9)]
    assert len(sets_section.sets(results, MODELS, {})["said"]) == 2


def test_strange_photos_are_told_or_it_is_said_why_not(results, tmp_path):
    main, new = sets_section.unlike(results, ["main"], MODELS)
    rows = [[cell.text for cell in cells] for _, cells in main["table"].rows]
    assert [row[0] for row in rows] == ["tested photos of this study", "noise", "photos of needles"]
    assert rows[1][1:4] == ["50", "100.0", "1.000"] and rows[0][4] == "–" and float(rows[2][4]) < 1
    assert re.match("The split with_new has no frozen backbone whose network comes from outside", new["none"])
    files.write_json(tmp_path / "none.json", {})
    assert sets_section.unlike(Results(tmp_path), ["main"], MODELS)[0]["missing"].endswith("in the split main")
