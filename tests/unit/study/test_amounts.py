"""What each job has to do, counted from a study file and the photos a class, and the time and disk that follow."""

from pathlib import Path

import pytest

from manihot.applied import looked, strange, unlike
from manihot.core.errors import StudyError
from manihot.study import amounts as counting
from manihot.study.amounts import amounts, drawn
from manihot.study.estimate import Stage, estimate, stages, whole
from manihot.study.jobs import all_jobs
from manihot.study.load import build
from manihot.study.plan import Plan
from manihot.study.rates import Speeds, asked
from manihot.study.tasks import MOST_SECONDS, SECONDS_A_PHOTO, Amount, Task

COUNTS = {"leaves": {"a": 300, "b": 100}, "other": {"new": 50, "old": 10}}
STUDY = {
    "threads": 2,
    "data": {
        "leaves": {"source": "csv", "photos": "photos", "labels": "labels.csv"},
        "other": {"source": "demo", "photos": 60, "kind": "needles"},
    },
    "photos": {"shards": 4},
    "splits": {
        "main": {"dataset": "leaves", "folds": 5, "test": 40, "test_as_found": 40, "per_class": 60},
        "mixed": {"like": "main", "new_class": {"dataset": "other", "label": "new", "photos": 30, "test": 10}},
    },
    "experiments": {
        "found": {"split": "main", "draw": "as_found", "epochs": 3, "size": 64, "batch_size": 16},
        "even": {"based_on": "found", "draw": "balanced", "tta": ["identity", "hflip"], "refit": True},
        "mixed": {"based_on": "even", "split": "mixed", "refit": False, "tta": []},
        "cut": {
            "split": "main", "network": "resnet18", "weights": "none", "train_from": "layer4", "epochs": 2, "size": 64,
            "views": ["identity", "hflip"], "tta": ["identity", "hflip"],
        },
    },
    "backbones": {"rest": {"network": "resnet18", "split": "main", "size": 64, "head": {"views": ["identity", "hflip"]}}},
    "boosting": {"trees": {"backbone": "rest", "n_estimators": 1000, "learning_rate": 0.1}},
}  # fmt: skip


@pytest.fixture(scope="module")
def plan():
    return Plan(build(STUDY, Path("mine.yaml")), Path("/project"))


@pytest.fixture(scope="module")
def jobs(plan):
    return {job.label: job for job in amounts(plan, COUNTS)}


def units(job, kind):
    return sum(count for task, count in job.work if task.kind == kind)


def test_a_split_by_numbers(plan):
    """Of 300 and 100 photos each class loses 20 to the balanced test, and a tenth of its own to the test as found."""
    split = drawn(plan, COUNTS, "main")
    assert split.pool == {"a": 250, "b": 70} and split.tested == 80 and split.new == 0
    mixed = drawn(plan, COUNTS, "mixed")
    assert (mixed.new, mixed.tested, mixed.classes) == (20, 90, 3)


def test_a_fold_trains_on_the_sample_of_the_other_folds(jobs):
    """As found 320 photos are left; balanced, 60 of each class, and the new class's 20 come whole."""
    for name, sample in (("found", 320), ("even", 120), ("mixed", 140)):
        job = jobs[f"train_fold {name} 1"]
        assert units(job, "train") == pytest.approx(3 * sample * 0.8)
        assert units(job, "predict") == pytest.approx(3 * sample * 0.2)
    assert units(jobs["train_fold even_refit 0"], "train") == 3 * 120


def test_predictions_are_of_every_part_and_view(jobs):
    once = 120 * 0.8 + 320 / 5 + 80
    assert units(jobs["predict_fold even 1"], "predict") == pytest.approx(once)
    assert units(jobs["predict_fold even_tta 1"], "predict") == pytest.approx(2 * once)


def test_from_a_cut_the_lower_part_runs_once_a_view(jobs, plan):
    stored = [label for label in jobs if label.startswith("store_activations")]
    assert [label.rsplit(" ", 2)[1:] for label in stored] == [["leaves", "identity"], ["leaves", "hflip"]]
    assert all(units(jobs[label], "store") == 400 for label in stored)
    assert units(jobs["train_fold cut 1"], "upper") == pytest.approx(2 * 120 * 0.8)
    assert units(jobs["train_fold cut 1"], "train") == 0
    assert units(jobs["predict_fold cut_tta 1"], "upper_predict") > 0


def test_every_job_of_the_engine_is_counted(plan, jobs):
    rules = {rule for rule, _, _ in all_jobs(plan)}
    assert {job.rule for job in jobs.values()} == rules
    assert sum(job.rule == "catalog_shard" for job in jobs.values()) == 8
    assert (
        sum(job.rule == "extract_features" for job in jobs.values()) == 3
    )  # identity, hflip, and masked for the probe
    assert "find_copies leaves other" in jobs and "list_photos other" in jobs and "list_photos leaves" not in jobs


def test_pixels_and_trees(jobs):
    assert jobs["cache_pixels leaves 64 0"].bytes == 3 * 64**2 * 100
    [(task, grown)] = jobs["fit_booster trees 1"].work
    assert (task.rows, task.classes, task.depth) == (96, 2, 4)
    assert grown == 2 * 12 / 0.1 + 20  # two fits, and what early stopping looks at in vain


def test_on_joined_features_there_is_more_to_do():
    joined = {"split": "main", "join": ["rest", "two"], "head": {"views": ["identity", "vflip"]}}
    two = {"network": "alexnet", "weights": "none", "split": "main", "size": 96, "head": None}
    content = {**STUDY, "backbones": {**STUDY["backbones"], "two": two, "both": joined}}
    content["boosting"] = {"trees": {**STUDY["boosting"]["trees"], "backbone": "both"}}
    jobs = {job.label: job for job in amounts(Plan(build(content, Path("mine.yaml")), Path("/project")), COUNTS)}
    for label in ("fit_head both_head 1", "fit_booster trees 1"):
        assert [(task.network, task.size) for task, _ in jobs[label].work] == [("resnet18", 64), ("alexnet", 96)]
    views = {label.split()[-1] for label in jobs if label.startswith("extract_features two")}
    assert views == {"identity", "vflip"}


def test_a_head_on_fewer_photos_sees_all_shares_of_them(jobs):
    [(_, once)] = jobs["fit_head rest_head 1"].work
    work = jobs["fit_fewer_photos main"].work
    assert sum(units for _, units in work) == pytest.approx(5 * once * (8**-1 + 8**-0.75 + 8**-0.5 + 8**-0.25))


def test_a_reference_costs_a_pass_over_the_strange_pictures(jobs):
    job = jobs["draw_reference main"]
    assert units(job, "features") == counting.STRANGE == 2 * strange.DRAWN + strange.PHOTOS
    [(task, kept)] = job.disk
    # No more photos than the pool has.
    assert task.kind == "width" and kept == 320 and counting.REFERENCE == unlike.MOST
    assert "draw_reference mixed" not in jobs


def test_grad_cams_cost_a_pass_over_a_few_photos_of_each_network(jobs, plan):
    job = jobs["draw_grad_cams"]
    passed = [n for task, n in job.work if task.kind in {"predict", "features"}]
    assert passed == [counting.LOOKED] * len(plan.looked) and counting.LOOKED == 3 * looked.SHOWN
    assert sum(task.kind == "build" for task, _ in job.work) == len(plan.looked)


def test_without_the_photos_of_a_data_set_nothing_is_counted(plan):
    with pytest.raises(StudyError, match="how many photos other has is not known yet"):
        list(amounts(plan, {"leaves": COUNTS["leaves"]}))


SPEEDS = Speeds(
    {"tables": 1.0, "networks": 3.0, "bare": 0.5},
    {Task("look"): 0.1, Task("train", "small_cnn", 64, 16): 0.01, Task("chart"): 2.0},
    {Task("weights", "small_cnn", 64): 1000.0},
    {},
)


def test_a_job_takes_its_start_and_its_units():
    job = Amount("any", "any 1", "networks", ((Task("look"), 20),), 1, 7.0, ((Task("weights", "small_cnn", 64), 3),))
    assert SPEEDS.seconds(job) == pytest.approx(3 + 2)
    assert SPEEDS.bytes(job) == 3007


@pytest.mark.parametrize(
    ("task", "seconds"),
    [
        (Task("train", "small_cnn", 64, 32), 0.01),  # another batch size
        (Task("train", "small_cnn", 128, 16), 0.04),  # four times the pixels
    ],
)
def test_what_was_not_measured_is_taken_from_the_likest(task, seconds):
    assert SPEEDS.unit(task) == pytest.approx(seconds)


def test_what_is_not_known_is_named():
    work = [Amount("any", "any", work=((Task("trees", rows=10), 5.0), (Task("look"), 1.0)))]
    assert SPEEDS.missing(work) == ["trees"]
    assert SPEEDS.unit(Task("trees", rows=10)) == 0


def test_trees_and_heads_are_scaled_by_their_rows():
    known = Speeds(
        {}, {Task("trees", rows=100, classes=5, depth=4): 1.0, Task("logistic", rows=100, classes=5): 1.0}, {}, {}
    )
    assert known.unit(Task("trees", rows=400, classes=5, depth=4)) == pytest.approx(2)
    assert known.unit(Task("trees", rows=100, classes=5, depth=6)) == pytest.approx(2)
    assert known.unit(Task("logistic", rows=400, classes=5)) == pytest.approx(4)


def test_a_stage_takes_at_least_as_long_as_its_longest_job():
    short, long = (Amount("any", f"any {n}", "tables", ((Task("look"), n),)) for n in (10, 70))
    [stage] = stages([short, long], SPEEDS, cores=4)
    assert stage == Stage("any", 2, pytest.approx(2 + 8), pytest.approx(8), 0)
    [two] = stages([short, short, short], SPEEDS, cores=2)
    assert two.wall_seconds == pytest.approx(3)


def test_a_job_takes_no_more_cores_than_there_are():
    job = Amount("any", "any 1", "tables", threads=8)
    [stage] = stages([job], SPEEDS, cores=2)
    assert (stage.core_seconds, stage.wall_seconds) == (2, 1)


def test_jobs_on_a_gpu_wait_for_each_other():
    speeds = Speeds({"networks": 3.0}, {}, {}, {"gpu_jobs": 2})
    [stage] = stages([Amount("any", f"any {n}", "networks") for n in range(8)], speeds, cores=16)
    assert stage.wall_seconds == 12


def test_the_estimate_of_a_study_adds_up(plan):
    found = estimate(plan, COUNTS, SPEEDS, 2)
    assert whole(found).jobs == len(list(amounts(plan, COUNTS)))
    assert whole(found).wall_seconds == pytest.approx(sum(stage.wall_seconds for stage in found))
    [looked] = [stage for stage in found if stage.rule == "catalog_shard"]
    assert looked.core_seconds == pytest.approx(8 * 1 + 460 * 0.1)


def test_what_is_asked_for_has_each_task_once(plan):
    work = list(amounts(plan, COUNTS))
    question = asked(plan, [*work, *work], ["a.jpg"])
    tasks = [Task(**entry["task"]) for entry in question["tasks"]]
    assert len(set(tasks)) == len(tasks) and question["photos"] == ["a.jpg"]
    [looked] = [entry["units"] for entry in question["tasks"] if entry["task"]["kind"] == "look"]
    assert looked == 2 * 460


def test_a_run_measures_for_as_long_as_its_photos_are_worth(jobs):
    assert units(jobs["measure_speeds"], "measure") == pytest.approx(460 * SECONDS_A_PHOTO)
    assert SECONDS_A_PHOTO * 100_000 > MOST_SECONDS


def settings_of(content):
    [settings] = [
        s
        for rule, _, s in all_jobs(Plan(build(content, Path("mine.yaml")), Path("/project")))
        if rule == "measure_speeds"
    ]
    return settings


@pytest.mark.parametrize("change", [{"epochs": 9}, {"batch_size": 8}, {"learning_rate": 1e-2}, {"train_photos": 90}])
def test_how_a_network_is_trained_is_no_reason_to_measure_anew(change):
    found = STUDY["experiments"]["found"]
    assert settings_of({**STUDY, "experiments": {**STUDY["experiments"], "found": {**found, **change}}}) == settings_of(
        STUDY
    )


@pytest.mark.parametrize("change", [{"size": 96}, {"network": "vgg_small"}])
def test_another_network_or_size_is_a_reason(change):
    found = STUDY["experiments"]["found"]
    assert settings_of({**STUDY, "experiments": {**STUDY["experiments"], "found": {**found, **change}}}) != settings_of(
        STUDY
    )


def test_without_early_stopping_every_round_is_grown(plan):
    booster = plan.study.boosting["trees"]
    assert counting.boosted(booster) == 120
    assert counting.boosted(booster.model_copy(update={"early_stopping": None})) == 1000
    assert counting.boosted(booster.model_copy(update={"n_estimators": 50})) == 50
