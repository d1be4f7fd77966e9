"""What the report says of a model's answers for other class shares than those of its training."""

from typing import Any

from manihot.core.classes import class_title
from manihot.core.names import PART_TITLES, PARTS
from manihot.figures import plots
from manihot.report.results import Results, chart
from manihot.report.tables import ABSENT, Cell, Column, Table, metric, number, signed

KINDS = {"raw": "its own", "corrected": "corrected", "calibrated": "calibrated"}
HINTS = {
    "as found": "the accuracy that the recalls of these photos would give where classes have the shares of all photos",
    "error": "expected calibration error; beside it what a perfectly calibrated model would have on these photos",
    "surer": "mean probability of the answers minus the share right: above 0 it is too sure",
}


def answers(results: Results, model: str, split: str) -> dict[str, Any] | None:
    """A model's own answers beside the corrected and the calibrated ones: a table, its text and a chart, or None."""
    shown = Table(f"answers-{model}", f"Answers of {model} for the class shares of each part")
    shown.columns = [
        Column("Photos of", False),
        Column("Answers", False),
        Column("Accuracy [95\u00a0%]"),
        Column("Balanced accuracy [95\u00a0%]"),
        Column("Accuracy as found [95\u00a0%]", hint=HINTS["as found"]),
        Column("Log loss [95\u00a0%]"),
        Column("Brier score [95\u00a0%]"),
        Column("Calibration error", hint=HINTS["error"]),
        Column("Surer than right", hint=HINTS["surer"]),
    ]
    for part in PARTS[1:]:
        score = results.score(model, part)
        for kind, found in ((kind, score["answers"][kind]) for kind in KINDS if score):
            error, right = found["calibration"], found["metrics"]["accuracy"]["value"]
            shown.add(
                PART_TITLES[part].capitalize(),
                KINDS[kind],
                *(metric(found["metrics"], measure) for measure in ("accuracy", "balanced_accuracy")),
                metric(found, "as_found") if found["as_found"] else Cell(ABSENT),
                *(metric(found["metrics"], measure) for measure in ("log_loss", "brier")),
                number(error["ece"], note=f"perfect: {error['perfect']['mean']:.3f}"),
                signed(found["confidence"] - right),
            )
    if not shown.rows:
        return None
    test = results.score(model, "test")
    figure = test and chart(plots.calibration(test["answers"]["calibrated"]["calibration"], f"{model}, calibrated"))
    return {"table": shown, "text": _said(results, model, split), "figure": figure}


def _said(results: Results, model: str, split: str) -> str:
    record, whole = results.split_record(split), results.json(f"models/{model}/model.json")
    if record is None or whole is None:
        return ""
    most = max(record["classes"], key=lambda entry: record["shares"][entry["label"]])
    share = 100 * record["shares"][most["label"]]
    said = (
        "“Corrected” answers allow for the class shares that the model was fitted on. Out of fold they take classes to "
        "be equally common, and are scored as if they were; "
        + ("on the test that was drawn, as common as there; " if record["asked"].get("test") else "")
        + f"elsewhere, as common as among all photos ({share:.0f}\u00a0% {class_title(most['label'], most['name'])}). "
    )
    temperature = whole["calibration"]["temperature"]
    if temperature is None:
        return f"{said}No photo was held out to fit a temperature on: “calibrated” is the same here."
    side, wrong = ("above", "sure") if temperature > 1 else ("below", "unsure")
    source = whole["calibration"]["temperature_from"]
    whose = "" if source == model else f" on the answers of {source}, since no photo was held out from this one"
    return (
        f"{said}In “calibrated” ones a temperature, {temperature:.2f}, fitted out of fold{whose}, comes first: "
        f"{side} 1, the fold models were too {wrong}. Models are chosen by them, so that balanced training and "
        "training as found compete alike. "
        "A mean of several fold models is softer than one of them: what that leaves is in the last column."
    )
