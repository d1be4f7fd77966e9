"""What is measured of this machine, and how what was not measured is scaled from it."""

import time

import pytest
import torch

from manihot.networks import build
from manihot.study import other_speeds
from manihot.study.estimate import measure
from manihot.study.network_speeds import Known, Networks
from manihot.study.tasks import Task

SMALL, LARGE = Task("train", "small_cnn", 32, 8), Task("train", "small_cnn", 64, 8)
FORWARD = Task("predict", "small_cnn", 32, 8)
WEIGHTS = Task("weights", "small_cnn", 32)


def networks(*tasks, units=100.0):
    return Networks(dict.fromkeys(tasks, units), torch.device("cpu"), torch.float32, time.process_time)


def test_without_time_each_network_is_still_timed_once_and_the_rest_is_scaled():
    found = networks(LARGE, SMALL, FORWARD)
    found.measure(1e-6)
    assert list(found.timed) == [SMALL]
    seconds = found.seconds()
    assert seconds[FORWARD] == pytest.approx(seconds[SMALL] / 3)
    assert seconds[LARGE] == pytest.approx(seconds[SMALL] * found.work[LARGE] / found.work[SMALL])
    assert seconds[Task("build", "small_cnn", 64)] == seconds[Task("build", "small_cnn", 32)] > 0


def test_with_time_every_size_is_timed():
    found = networks(LARGE, SMALL)
    found.measure(0.5)
    assert set(found.timed) == {SMALL, LARGE} and found.timed[LARGE] > found.timed[SMALL]


def test_a_network_is_known_without_its_numbers():
    known = Known("resnet18", 64)
    whole = build.classifier("resnet18", 5, 64, 0.0, None, False, 0)
    assert known.bytes(Task("weights")) == 4 * build.parameter_counts(whole)["parameters"]
    assert known.width == 512 and known.bytes(Task("width")) == 2048
    frozen = Task("train", "resnet18", 64, 8, frozen=True)
    assert known.flops(frozen) == known.forward == known.flops(Task("train", "resnet18", 64, 8)) // 3


def test_the_two_parts_of_a_network_do_what_the_whole_does():
    known = Known("resnet18", 64)
    done, row = known.cut("layer4")
    assert done["store"] + done["upper_predict"] == pytest.approx(known.forward)
    assert row == 2 * 256 * 4 * 4, "a photo's activations before layer4 in 16 bits"


def test_trees_and_heads_are_timed_on_drawn_features():
    task = Task("trees", "resnet18", 64, rows=40, classes=3, depth=2)
    took, size = other_speeds.tree_speed(task, 16, 1, time.process_time, 0.01)
    assert took > 0 and size > 0
    head = Task("logistic", "resnet18", 64, rows=400, classes=3)
    assert other_speeds.logistic_speed(head, 8, time.process_time, most=60) > 0
    assert other_speeds.adam_speed(Task("adam", classes=3), 8, time.process_time, 0.01) > 0


def test_units_are_counted_and_no_time_is_enough_for_one_step():
    now = iter(range(100))
    assert other_speeds.repeated(lambda: 4.0, lambda: next(now), 0) == pytest.approx(0.5)


@pytest.mark.slow
def test_a_process_of_its_own_answers_with_every_task():
    tasks = [SMALL, FORWARD, WEIGHTS, Task("look"), Task("decode", size=32), Task("chart"), Task("measure")]
    asked = {
        "compute": {"device": "cpu", "precision": "float32", "threads": 1, "gpu_slots": 1},
        "decode": "exact", "max_pixels": 1_000_000, "photos": [], "starts": ["tables", "networks"],
        "tasks": [{"task": vars(task), "units": 10.0} for task in tasks],
    }  # fmt: skip
    speeds = measure(asked, 0.2)
    assert all(speeds.tasks[task] > 0 for task in tasks if task != WEIGHTS)
    assert speeds.disk[WEIGHTS] > 1e6
    assert 0 < speeds.starts["bare"] < speeds.starts["tables"] < speeds.starts["networks"]
