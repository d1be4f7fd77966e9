"""What the report says of models on other people's photos."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic_results

from manihot.applied import sets
from manihot.core import files
from manihot.core.tables import read_catalogs, read_photos
from manihot.report import external_section, page
from manihot.report.results import Results
from manihot.scores.external import Answered, Asked, score_external

TRIALS = [["uganda", "balanced"], ["uganda", "xgboost_8"], ["later", "balanced"]]
RECORD = {
    "dataset": "needles", "listed": 30, "set_aside": 1, "left_out": {"brown spot": 7}, "copies": {"leaves": 2}, "copied": 2,
    "photos": {"1": 8, "3": 12}, "classes": {"streak": "1", "brown spot": None, "3": "3"},
}  # fmt: skip


def tried(results, model, rng):
    """The scores of a model whose answers to 20 photos of two classes are drawn."""
    record = files.read_json(results / "splits/main.json")
    catalogs = read_catalogs([results / f"catalog/{name}.csv" for name in synthetic_results.DATASETS])
    labels = [entry["label"] for entry in record["classes"]]
    priors = [[0.25] * 4] * 3
    known = catalogs[catalogs["dataset"] == "needles"][["dataset", "image_id"]].reset_index(drop=True)
    photos = known.assign(label=["1"] * 8 + ["3"] * 12)
    columns = [f"p{n}" for n in range(4)]
    folds = [photos.join(pd.DataFrame(rng.dirichlet([0.5] * 4, 20), columns=columns)).assign(fold=n) for n in (1, 2, 3)]
    place = results / f"predictions/{model}"
    own, out_of_fold = (
        [read_photos(place / f"fold{n}/{part}.csv") for n in (1, 2, 3)] for part in ("test", "validation")
    )
    known = sets.calibrate(out_of_fold, priors, [1, 2, 3], labels, catalogs, 1)
    asked = Asked(0.9, 1, 100)
    answered = [Answered(tables, priors, 1.0) for tables in (folds, own)]
    found = score_external(*answered, known, catalogs, record["classes"], np.linspace(80, 100, 20), asked)
    return {"kind": "network", "own_part": "test", **found}


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Results:
    folder, rng = Path(tmp_path_factory.mktemp("results")), np.random.default_rng(4)
    settings = synthetic_results.build(folder) | {"trials": TRIALS}
    files.write_json(folder / "settings.json", settings)
    files.write_json(folder / "external/uganda/photos.json", RECORD)
    for name, model in TRIALS[:2]:
        files.write_json(folder / f"external/{name}/{model}/scores.json", tried(folder, model, rng))
    return Results(folder)


def test_every_model_stands_beside_its_own_test(results):
    uganda, later = external_section.external(results, TRIALS, {"xgboost_8": "chosen"})
    assert later == {"name": "later", "missing": "what models make of the photos of later"}
    rows = [[cell.text for cell in cells] for _, cells in uganda["table"].rows]
    assert [row[0] for row in rows] == ["balanced", "xgboost_8"]
    assert {len(row) for row in rows} == {len(uganda["table"].columns)}
    scored = results.json("external/uganda/balanced/scores.json")
    by_title = dict(zip([column.title for column in uganda["table"].columns], rows[0], strict=True))
    here, own = (scored[part]["metrics"]["balanced_accuracy"]["value"] for part in ("tried", "own"))
    assert by_title["Balanced accuracy: here [95\u00a0%]"] == f"{here:.3f}"
    assert by_title["Balanced accuracy: difference [95\u00a0%]"] == f"{here - own:+.3f}".replace("-", "−")
    assert by_title["Unlike"] == f"{scored['unlike']['far']:.3f}"
    # The chosen model is the one that is told of.
    assert "xgboost_8" in uganda["headline"] and uganda["classes"].caption.startswith("xgboost_8")
    assert (
        len(uganda["figures"]) == 1
        and "uganda" in uganda["figure"]["title"]
        and "Own test" in uganda["figure"]["finding"]
    )


def test_what_was_left_out_and_what_is_not_there_is_said(results):
    [uganda] = external_section.external(results, TRIALS[:2], {})
    assert uganda["photos"] == (
        "20 of 30 labelled photos of the data set needles. Labels are taken as classes of the study: streak as 1. Left "
        "out, as the map of labels says: 7 of brown spot. 1 could not be used. 2 show a picture that the study "
        "has too: left out."
    )
    assert "show 2 of the 4 classes; none shows" in uganda["absent"] and "CBB" in uganda["absent"]
    whole = {**results.json("external/uganda/balanced/scores.json"), "absent": []}
    assert external_section.absent_said(whole) == ""


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        ((-0.3, -0.4, -0.2), "Worse than at home. net has"),
        ((0.1, 0.02, 0.2), "Better than at home. net has"),
        ((-0.1, -0.3, 0.1), "Cannot tell whether it is worse than at home. net has"),
    ],
)
def test_a_difference_is_said_in_words(results, gap, said):
    found = results.json("external/uganda/balanced/scores.json")
    found["difference"]["balanced_accuracy"] = dict(zip(("value", "low", "high"), gap, strict=True))
    assert external_section.headline("net", found, "uganda").startswith(said)
    assert "no photo of these classes" in external_section.headline("net", {**found, "own": None}, "uganda")


def test_the_page_has_the_section_where_something_is_tried(results, tmp_path):
    settings = results.json("settings.json")
    about = {"made": "now", "commit": "none", "versions": {}}
    page.build(results.folder, tmp_path / "with.html", settings, figures=tmp_path / "figures", **about)
    page.build(results.folder, tmp_path / "without.html", settings | {"trials": []}, **about)
    shown = (tmp_path / "with.html").read_text()
    assert 'id="external"' in shown and "What this does not show" in shown and "labels are other people" in shown
    assert 'id="external"' not in (tmp_path / "without.html").read_text()
    assert (tmp_path / "figures/external/uganda/xgboost_8.svg").is_file()
