"""The estimate of the published study's time (benchmarks/estimate.py) follows the rates of a machine."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))
import estimate  # noqa: E402

ROWS = {
    "job_start": 4.0, "pixels_exact": 500.0, "step_224": 40.0, "boosting": 5.0,
    "backbone_forward/efficientnet_b0": 250.0, "backbone_forward/resnet18": 200.0,
}  # fmt: skip


PHOTOS = estimate.PHOTOS[estimate.PUBLISHED]


def seconds(cores=2, **changed):
    rows = {key: {"ours": value} for key, value in (ROWS | changed).items()}
    return {stage.rule: stage.seconds for stage in estimate.estimated(rows, cores)}


def test_a_fold_takes_its_photos_at_the_measured_rate():
    """A fold of `balanced`: ten epochs of 4,000 photos, and a forward pass of 1,000 in each."""
    study = estimate.load(estimate.PUBLISHED)
    assert estimate.shown(study, study.experiments["balanced"], PHOTOS) == (4000, 1000)
    entry = study.experiments["balanced"]
    assert (entry.epochs, entry.network, entry.size) == (10, "small_cnn", 224)
    stages = list(estimate.stages(estimate.Rates({key: {"ours": value} for key, value in ROWS.items()}), 2))
    [folds] = [stage for stage in stages if stage.rule == "train_fold"]
    one = 10 * (4000 + 1000 / 3) / 40
    of_its_size = [
        name
        for name, other in study.experiments.items()
        if (other.network, other.size, other.epochs) == ("small_cnn", 224, 10)
        and estimate.shown(study, other, PHOTOS) == (4000, 1000)
    ]
    assert "balanced_augmented" in of_its_size
    assert folds.seconds > len(of_its_size) * 5 * one * 0.98


@pytest.mark.parametrize(
    ("row", "stage"),
    [("pixels_exact", "cache_pixels"), ("step_224", "train_fold"), ("backbone_forward/resnet18", "extract_features")],
)
def test_a_faster_stage_takes_less_time_and_no_other_changes(row, stage):
    usual, faster = seconds(job_start=0.0), seconds(job_start=0.0, **{row: 2 * ROWS[row]})
    assert faster[stage] < usual[stage]
    with_training = {"train_fold", "predict_fold", "check_overfit"}
    alike = with_training if stage in with_training else {stage}
    assert all(faster[other] == usual[other] for other in usual if other not in alike)


def test_the_nine_settings_take_as_long_as_they_did():
    """Five folds of them: 5,600 photos (1,400 a class, four folds of five) for 480, 1,280 features for 512."""
    assert seconds(job_start=0.0)["fit_booster"] == pytest.approx(5.0 / 0.2 * 5 * 5600 / 480 * 1280 / 512, rel=0.05)


def test_a_small_study_is_reckoned_beside_its_run():
    rows = {key: {"ours": value} for key, value in (ROWS | {"study": 170.0}).items()}
    found = {stage.rule: stage for stage in estimate.estimated(rows, 2, estimate.SMALL)}
    # 320 photos train, and a third as much work goes into each of 80 validated.
    work = 5 * 8 * (320 + 80 / 3) * estimate.flops("small_cnn", 96, True) / estimate.flops("small_cnn", 224, True) / 40
    assert found["train_fold"].seconds == pytest.approx(work + 5 * 4.0 / 2, rel=0.01)
    whole = sum(stage.seconds for stage in found.values())
    assert estimate.beside_a_run(rows, 2) == f"`benchmarks/study.yaml`, reckoned so: {whole:.0f} s. It took 170."


def test_the_longest_stage_is_in_bold_and_the_whole_is_their_sum():
    found = [estimate.Stage("one", 2, 60.0), estimate.Stage("two", 1, 7200.0)]
    assert estimate.table(found).splitlines()[2:] == [
        "| `one` | 2 | 1.0 min | 1% |",
        "| **`two`** | 1 | 2.00 h | 99% |",
        "| the whole | 3 | 2.02 h | |",
    ]


def test_a_gpus_rates_go_before_a_processors():
    rates = estimate.Rates({"step_224": {"ours": 40.0}, "train/small_cnn/batch_96": {"value": 20_000.0}})
    assert rates.training() == 20_000 * estimate.flops("small_cnn", 224, True)
