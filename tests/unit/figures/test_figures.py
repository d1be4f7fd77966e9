"""The charts: the same bytes every time, small, titled, safe to share a page."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic_results

from manihot.figures import answering, fitting, plots, svg
from manihot.report import page
from manihot.scores.answering import answering as answers_of_the_surest
from manihot.scores.calibration import calibration

HEX = re.compile(r"#[0-9a-fA-F]{6}\b")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("figures") / "results"
    settings = synthetic_results.build(results)
    figures = results / "figures"
    page.build(results, results / "report.html", settings, made="", commit="", versions={}, figures=figures)
    return figures


def catalog(labels: list[str], names: list[str]) -> pd.DataFrame:
    table = pd.DataFrame({"label": labels, "name": names, "image_id": [f"{n}.jpg" for n in range(len(labels))]})
    return table.assign(status="ok", width=800, height=600, mode="RGB", bytes=100_000)


def test_every_chart_is_small_titled_and_described_with_numbers(drawn: Path) -> None:
    paths = sorted(drawn.rglob("*.svg"))
    # The summary, two data sets, the probes of two splits, curves of all models but the one of averaged views,
    # confusion of all, and what more photos would give.
    assert len(paths) == 3 + 4 + 2 + 2 * len(synthetic_results.MODELS) - 1
    for path in paths:
        text = path.read_text()
        title, description = svg.text_alternative(text)
        assert len(text) < 40_000 and title and re.search(r"\d", description), path
        assert {color.lower() for color in HEX.findall(text)} <= set(svg.PALETTE.values()), path


def test_the_same_table_gives_the_same_bytes() -> None:
    table = catalog(["0", "0", "1"], ["a", "a", "b"])
    assert plots.class_bars(table, "leaves") == plots.class_bars(table, "leaves")
    assert plots.sizes(table, "leaves") == plots.sizes(table, "leaves")


def test_the_description_states_what_is_there() -> None:
    table = catalog(["2", "2", "2", "10"], ["two", "two", "two", "Mosaic disease (CMD)"])
    _, description = svg.text_alternative(plots.class_bars(table, "leaves"))
    assert description == ("4 usable photos, 2 classes; most in 2 two (3, 75.0%), fewest in 10 CMD (1).")


def test_photos_that_were_set_aside_are_not_counted() -> None:
    table = catalog(["0", "0", "1"], ["a", "a", "b"])
    table.loc[0, "status"] = "missing"
    assert "2 usable photos" in svg.text_alternative(plots.class_bars(table, "leaves"))[1]


def test_labels_are_text_and_never_markup_or_mathematics() -> None:
    text = plots.class_bars(catalog(["$x_", "<b>&"], ["$x_", "<b>&"]), "<script>$")
    shown = ["".join(element.itertext()) for element in ElementTree.fromstring(text).iter(f"{{{svg.SVG}}}text")]
    assert "$x_" in shown and "<b>&" in shown and "<script>" not in text


def test_two_charts_share_no_id_unless_they_are_the_same() -> None:
    table = catalog(["0", "1"], ["a", "b"])
    one, two = (set(re.findall(r' id="([^"]+)"', plots.sizes(table, name))) for name in ("leaves", "needles"))
    assert one and not one & two


def test_a_themed_chart_has_no_colour_of_its_own(drawn: Path) -> None:
    themed = svg.themed((drawn / "summary" / "models.svg").read_text())
    assert not HEX.search(themed) and "var(--figure-ink)" in themed


def test_curves_leave_out_what_was_not_measured() -> None:
    history = pd.DataFrame({"round": [1, 2], "train_loss": [1.0, 0.5], "train_accuracy": [0.4, 0.8]})
    history[["validation_loss", "validation_accuracy"]] = float("nan")
    _, description = svg.text_alternative(fitting.curves({0: history}, "xgboost_8_refit"))
    assert description == "After the last round (2): training loss 0.500 and accuracy 0.800."


def test_the_choice_of_a_penalty_is_drawn_and_said() -> None:
    one = pd.DataFrame({"C": [0.001, 0.01, 0.1], "inner_loss": [1.2, 1.0, 1.1], "inner_accuracy": [0.4, 0.5, 0.5]})
    other = one.assign(inner_loss=[1.2, 1.1, 0.9])
    title, description = svg.text_alternative(fitting.penalties({1: one, 2: other}, "mobilenet_head"))
    assert title == "Choice of the penalty: mobilenet_head"
    assert description == (
        "Of 2 fold(s), a line each: C from 0.01 to 0.1 was chosen, with a log loss of 0.950 on inner folds of the "
        "training photos."
    )
    assert ": C 0.01 was chosen" in svg.text_alternative(fitting.penalties({1: one}, "mobilenet_head"))[1]


def test_a_part_without_photos_is_left_out_of_the_confusion() -> None:
    classes = [{"label": label, "name": label} for label in "ab"]
    score = {"n": 4, "per_class": classes, "confusion": [[2, 0], [1, 1]]}
    _, description = svg.text_alternative(plots.confusion({"test": score, "validation": {"n": 0}}, "m"))
    assert description == "Test: 3 of 4 photos right; recall a 1.00, b 0.50."
    assert plots.confusion({"test": {"n": 0}}, "m")


def test_an_empty_comparison_is_said() -> None:
    empty = pd.DataFrame(columns=["model", "based_on", "part", "metric", "difference", "low", "high"])
    assert "No comparison" in svg.text_alternative(plots.comparisons(empty))[1]


def test_probes_stand_beside_models_and_guessing() -> None:
    rows = [("facts", True, 0.5, 0.4, 0.6), ("balanced", False, 0.9, 0.85, 0.95)]
    table = pd.DataFrame(rows, columns=["name", "hint", "value", "low", "high"])
    title, description = svg.text_alternative(plots.probes(table, 0.25, "main"))
    assert title == "Could it cheat? Split main"
    assert description == "facts 0.500 (0.400 to 0.600); balanced 0.900 (0.850 to 0.950). Guessing: 0.250."
    assert "None. Guessing: 0.250" in svg.text_alternative(plots.probes(table[:0], 0.25, "main"))[1]


def test_calibration_error_weighs_bins_by_their_photos() -> None:
    confidence = np.repeat([0.55, 0.95, 0.999], [30, 10, 0])
    right = np.repeat([True, False, True], [21, 9, 10])
    measured = calibration(confidence, right, seed=1)
    said = svg.text_alternative(plots.calibration(measured, "m"))[1]
    assert "calibration error 0.125; perfect calibration would have 0.0" in said and "on these 40 photos" in said


def test_the_surest_answers_are_said_with_their_threshold() -> None:
    measured = answers_of_the_surest(np.linspace(1, 0.01, 100), np.arange(100) < 70, np.arange(100))
    said = svg.text_alternative(answering.risk_coverage(measured, "m"))[1]
    assert re.match(
        r"At 80 % answered \(those it is surest of, of probability 0\.21 or more\), 88 % are right \(\d+ to \d+\); "
        r"at 100 %, 70 % \(\d+ to \d+\); at 50 %, 100 % \(\d+ to 100\)\. Area",
        said,
    ), said


def test_memory_is_drawn_where_a_batch_size_changes() -> None:
    keys = ["what", "network", "size", "photos", "device", "batch_size", "mb"]
    rows = [("training", "small_cnn", 224, 1000, "cpu", n, 50.0 * n + 100) for n in (96, 32, 64)]
    alone = pd.DataFrame([("features", "resnet18", 224, None, "cpu", 256, 900.0)], columns=keys)
    assert plots.memory(alone) is None
    text = plots.memory(pd.concat([alone, pd.DataFrame(rows, columns=keys)]))
    assert text is not None and svg.text_alternative(text)[1] == (
        "training, small_cnn, 224 px: 1,700 MB at 32 photos a batch, 4,900 MB at 96."
    )
