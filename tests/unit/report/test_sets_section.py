"""What the report says of sets of classes and of strange photos."""

import re
from pathlib import Path

import pytest
import synthetic_results

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


def entry(scores):
    return {"label": "3", "name": "Mosaic", "scores": scores}


@pytest.mark.parametrize(
    ("method", "classes", "said"),
    [
        ("cv+", [entry(90)], "With several folds (CV+), 80\u00a0% of a class's new photos are guaranteed"),
        ("split", [entry(90)], "With one fold, 90\u00a0% of a class's new photos are guaranteed"),
        ("of the folds", [entry(90)], "Of a refit nothing is guaranteed"),
        ("cv+", [entry(0)], "there are too few photos: the scores of all classes judge it, and nothing is guaranteed"),
    ],
)
def test_what_is_guaranteed_is_said(method, classes, said):
    told = sets_section.guarantee({"method": method, "coverage": 0.9, "classes": classes})
    assert said in told
    assert ("too few photos" in told) == (not classes[0]["scores"])


def test_strange_photos_are_told_or_it_is_said_why_not(results, tmp_path):
    main, new = sets_section.unlike(results, ["main"], MODELS)
    rows = [[cell.text for cell in cells] for _, cells in main["table"].rows]
    assert [row[0] for row in rows] == ["tested photos of this study", "noise", "photos of needles"]
    assert rows[1][1:4] == ["50", "100.0", "1.000"] and rows[0][4] == "–" and float(rows[2][4]) < 1
    assert re.match("The split with_new has no frozen backbone whose network comes from outside", new["none"])
    files.write_json(tmp_path / "none.json", {})
    assert sets_section.unlike(Results(tmp_path), ["main"], MODELS)[0]["missing"].endswith("in the split main")
