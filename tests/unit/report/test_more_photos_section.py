"""What the report says of more photos: one sentence a verdict, a chart and a table."""

import pytest

from manihot.core import files
from manihot.report import more_photos_section
from manihot.report.results import Results

MEASURED = {"value": 0.61, "low": 0.55, "high": 0.67}


def law(verdict, twice, four):
    """What a law says, with these gains (value, low, high)."""
    ends = ("value", "low", "high")
    more = [
        {"times": times, "photos": 240.0 * times, **dict(zip(ends, (0.61 + g for g in gains), strict=True))}
        | {"gain": dict(zip(ends, gains, strict=True))}
        for times, gains in ((2, twice), (4, four))
    ]
    curve = [{"photos": n, "value": 0.5, "low": 0.4, "high": 0.6} for n in (30.0, 240.0, 960.0)]
    return {"a": 0.1, "b": 0.29, "c": 0.3, "curve": curve, "more": more, "verdict": verdict}


def weighed(*told):
    points = [
        {"share": share, "photos": 240 * share, "balanced_accuracy": MEASURED, "accuracy": MEASURED}
        for share in (0.125, 0.35, 1.0)
    ]
    laws = dict.fromkeys(("balanced_accuracy", "accuracy"), law(*told)) if told else {}
    return {"head": "own_head", "folds": [1, 2], "n": 300, "groups": 290, "points": points, "laws": laws, "margin": 2.0}


BEGIN = "Fitted on 240 photos (those of a fold), own_head reaches 61.0\u00a0% balanced accuracy out of fold."


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (("gain", (0.021, 0.008, 0.04), (0.039, 0.01, 0.075)),
         f"More photos of the same kind would help. {BEGIN} By the curve, twice as many may give +2.1 points "
         "[+0.8 to +4.0], and four times as many +3.9 points [+1.0 to +7.5]."),
        (("little", (0.002, -0.003, 0.009), (0.004, -0.006, 0.014)),
         f"Hardly any gain from more photos of the same kind. {BEGIN} By the curve, four times as many give "
         "+0.4 points [−0.6 to +1.4]: less than the 2 points that count in this study."),
        (("cannot tell", (0.02, -0.03, 0.08), (0.03, -0.05, 0.15)),
         f"Cannot tell whether more photos would help. {BEGIN} By the curve, twice as many may give anything from "
         "−3.0 to +8.0 points, four times as many from −5.0 to +15.0."),
        ((), f"Cannot tell. {BEGIN} These are too few photos for a curve."),
    ],
    ids=["gain", "little", "cannot tell", "too few"],
)  # fmt: skip
def test_each_verdict_in_words(tmp_path, told, said):
    files.write_json(tmp_path / "scores/more_photos/main/curve.json", weighed(*told))
    results = Results(tmp_path)
    [shown] = more_photos_section.more_photos(results, ["main"])
    assert shown["headline"] == said
    rows = [[cell.text for cell in cells] for _, cells in shown["table"].rows]
    assert [row[:3] for row in rows[:3]] == [
        [n, s, "measured"] for n, s in (("30", "0.12"), ("84", "0.35"), ("240", "1.00"))
    ]
    assert [row[:3] for row in rows[3:]] == [[n, t, "by the power law"] for n, t in (("480", "2.00"), ("960", "4.00"))][
        : 2 * bool(told)
    ]
    finding = shown["figure"]["finding"]
    assert "240 photos 61.0 % (55.0 to 67.0)" in finding
    assert ("Continued: 480 photos" in finding) == bool(told) and ("Too few for a curve" in finding) != bool(told)
    assert "more_photos/main.svg" in results.figures


def test_a_curve_that_is_missing_is_named(tmp_path):
    [shown] = more_photos_section.more_photos(Results(tmp_path), ["main"])
    assert shown["missing"] == "what more photos may give in the split main"


def test_of_one_fold_the_intervals_are_said_to_be_too_narrow(tmp_path):
    told = ("gain", (0.021, 0.008, 0.04), (0.039, 0.01, 0.075))
    headlines = []
    for folds in ([1, 2], [1]):
        files.write_json(tmp_path / "scores/more_photos/main/curve.json", weighed(*told) | {"folds": folds})
        [shown] = more_photos_section.more_photos(Results(tmp_path), ["main"])
        headlines.append(shown["headline"])
    assert headlines[1] == f"{headlines[0]} {more_photos_section.ONE_FOLD}"
