"""What `make plan` says, and what a run expects of its jobs once the speeds are measured."""

import re
from pathlib import Path

import pytest
import yaml

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.study import estimate, foresee
from manihot.study.estimate import Stage, likely
from manihot.study.load import build
from manihot.study.plan import Plan
from manihot.study.rates import Speeds

STUDY = {
    "data": {"leaves": {"source": "demo", "photos": 200}, "own": {"source": "folder", "photos": "own"}},
    "splits": {
        "main": {"dataset": "leaves", "folds": 2, "test": 10},
        "mine": {"dataset": "own", "folds": 2, "test": 2, "keep_for_training": 2},
    },
    "experiments": {"one": {"split": "main", "size": 32}, "two": {"split": "mine", "size": 32}},
}
STARTS = {"bare": 1.0, "tables": 2.0, "probes": 2.0, "networks": 3.0, "torch": 3.0, "report": 4.0}
SPEEDS = {"starts": STARTS, "seconds": [], "bytes": [], "about": {"cores": 2}}


def of(content):
    return Plan(build(content, Path("mine.yaml")), Path.cwd())


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for label, count in (("a", 6), ("b", 4)):
        for number in range(count):
            files.write_bytes(Path("own") / label / f"{number}.jpg", b"photo")
    return tmp_path


def test_photos_are_counted_where_they_lie_and_as_the_study_says(place):
    counts, photos = foresee.counts_of(of(STUDY))
    assert counts["own"] == {"a": 6, "b": 4} and len(photos) == 10
    assert sum(counts["leaves"].values()) == pytest.approx(200, abs=2)
    assert counts["leaves"]["3"] > counts["leaves"]["0"]


def test_photos_that_a_run_has_listed_are_counted_there(place):
    files.write_rows(Path("results/photos/leaves/labels.csv"), ["image_id", "label"], [("x.jpg", "0"), ("y.jpg", "1")])
    assert foresee.counts_of(of(STUDY))[0]["leaves"] == {"0": 1, "1": 1}


def test_photos_that_nobody_knows_yet_end_in_one_line(place):
    fetched = {"source": "kaggle", "competition": "leaves"}
    with pytest.raises(StudyError, match=r"^data.leaves: how many photos it has is not known before"):
        foresee.counts_of(of({**STUDY, "data": {**STUDY["data"], "leaves": fetched}}))


def test_of_a_stage_that_is_half_done_half_is_told():
    found = [Stage("train_fold", 4, 8.0, 4.0, 100), Stage("score_model", 2, 2.0, 1.0, 0)]
    assert foresee.still(found, {"train_fold": 2, "build_report": 1}) == [Stage("train_fold", 2, 4.0, 2.0, 50)]


def test_the_table_adds_up():
    found = [Stage("train_fold", 4, 8.0, 4.0, 2_500_000), Stage("score_model", 2, 2.0, 1.0, 1_500_000_000)]
    lines = [line.split() for line in foresee.table(found).splitlines()]
    assert lines[1] == ["train_fold", "4", "4.0", "s", "2.5", "MB"]
    assert lines[-1] == ["the", "whole", "6", "5.0", "s", "1.5", "GB"]


def test_a_disk_that_is_too_small_is_told(place, monkeypatch):
    monkeypatch.setattr(foresee, "measure", lambda asked: Speeds.read(SPEEDS))
    own = {"source": "folder", "photos": str(place / "own")}
    Path("mine.yaml").write_text(yaml.safe_dump({**STUDY, "data": {**STUDY["data"], "own": own}}))
    told = foresee.foretell(Path("mine.yaml"), 2)
    assert (
        re.match(r"mine.yaml: 2\d\d photos, on 2 cores", told) and "Free on this disk" in told and "warning" not in told
    )
    monkeypatch.setattr(foresee.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    told = foresee.foretell(Path("mine.yaml"), 2)
    assert "warning: the disk lacks" in told and "DIR=" in told
    assert "Not in the time: " in told and "train" in told


def test_a_run_expects_of_its_jobs_what_the_speeds_say(place):
    plan = of(
        {**STUDY, "splits": {"main": STUDY["splits"]["main"]}, "experiments": {"one": {"split": "main", "size": 32}}}
    )
    assert likely(plan) == {}, "nothing is measured yet"
    files.write_json(Path("results/costs/speeds.json"), SPEEDS)
    assert likely(plan) == {}, "nothing is listed yet"
    rows = [(f"{n}.jpg", str(n % 5)) for n in range(200)]
    files.write_rows(Path("results/photos/leaves/labels.csv"), ["image_id", "label"], rows)
    found = likely(plan)
    assert found["train_fold one 2"] == 3.0 and found["build_report"] == 4.0
    stages = {row["stage"]: row for row in files.read_json(Path("results/costs/estimate.json"))["stages"]}
    assert (stages["train_fold"]["jobs"], stages["train_fold"]["seconds"]) == (2, 4.0), "without the bare start"


@pytest.mark.parametrize("content", ["{}", "[]", "no JSON", '{"starts": {}}', '{"seconds": [{}]}'])
def test_speeds_that_failed_or_are_damaged_are_as_good_as_none(place, content):
    Path("results/costs").mkdir(parents=True)
    Path("results/costs/speeds.json").write_text(content)
    assert likely(of(STUDY)) == {}


def test_a_measurement_that_fails_says_why(monkeypatch):
    monkeypatch.setattr(estimate.sys, "executable", "false")
    with pytest.raises(StudyError, match="this machine's speeds could not be measured"):
        estimate.measure({"tasks": []})
