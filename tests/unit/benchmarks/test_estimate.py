"""The estimate of the published study's time (benchmarks/estimate.py) follows the rates of a machine."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))
import estimate  # noqa: E402

from manihot.study.tasks import Task  # noqa: E402

ROWS = {
    "job_start": 4.0, "pixels_exact": 500.0, "step_224": 40.0, "boosting": 5.0,
    "backbone_forward/efficientnet_b0": 250.0, "backbone_forward/resnet18": 200.0,
}  # fmt: skip


def rates(**changed):
    return estimate.Rates({key: {"ours": value} for key, value in (ROWS | changed).items()})


def seconds(cores=2, path=estimate.SMALL, **changed):
    found = estimate.estimated(rates(**changed).rows, cores, path)
    return {stage.rule: stage.wall_seconds for stage in found}


def test_a_photo_takes_what_was_measured_and_others_as_their_flop_say():
    measured = rates()
    step = Task("train", "small_cnn", 224, 96)
    network = Task("features", "resnet18", 224, 256)
    found = estimate.speeds(measured, [estimate.Amount("any", "any", work=((step, 1), (network, 1)))], 1.0)
    assert found.unit(step) == pytest.approx(1 / 40)
    assert found.unit(network) == pytest.approx(1 / 200)
    half = estimate.speeds(measured, [estimate.Amount("any", "any", work=((step, 1),))], 0.5)
    assert half.unit(step) == pytest.approx(2 / 40)


def test_the_nine_settings_take_as_long_as_they_did():
    settings = estimate.files.read_rows(estimate.ROOT / "config/published/xgboost.csv")
    rounds = {
        Task("trees", "resnet18", 224, rows=480, classes=5, depth=int(row["max_depth"])): int(row["n_estimators"])
        for row in settings
    }
    found = rates()
    whole = sum(
        0.2 * int(row["n_estimators"])
        * found.round(Task("trees", "resnet18", 224, rows=480, classes=5, depth=int(row["max_depth"])))
        for row in settings
    )  # fmt: skip
    assert rounds and whole == pytest.approx(5.0)


def test_a_faster_stage_takes_less_time():
    usual, faster = seconds(job_start=0.0), seconds(job_start=0.0, step_224=80.0)
    assert faster["train_fold"] == pytest.approx(usual["train_fold"] / 2)


def test_a_small_study_is_reckoned_beside_its_run():
    rows = rates().rows | {"study": {"ours": 170.0}}
    whole = sum(seconds().values())
    assert estimate.beside_a_run(rows, 2) == f"`benchmarks/study.yaml`, reckoned so: {whole:.0f} s. It took 170."


def test_the_longest_stage_is_in_bold_and_the_whole_is_their_sum():
    found = [estimate.Stage("one", 2, 60.0, 60.0, 0), estimate.Stage("two", 1, 14400.0, 7200.0, 2_000_000_000)]
    assert estimate.table(found).splitlines()[2:] == [
        "| `one` | 2 | 1.0 min | 1% | 0.0 GB |",
        "| **`two`** | 1 | 2.00 h | 99% | 2.0 GB |",
        "| the whole | 3 | 2.02 h | | 2.0 GB |",
    ]


def test_a_gpus_rates_go_before_a_processors():
    found = estimate.Rates({"step_224": {"ours": 40.0}, "train/small_cnn/batch_96": {"value": 20_000.0}})
    assert found.training() == 20_000 * estimate.flops(Task("train", "small_cnn", 224))
