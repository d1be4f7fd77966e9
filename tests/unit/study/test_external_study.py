"""`external` in a study file: what is tried on other people's photos, and that nothing else knows of them."""

from pathlib import Path

import pytest

from manihot.core.errors import StudyError
from manihot.photos.facts import Label
from manihot.study import checks
from manihot.study.amounts import amounts
from manihot.study.jobs import all_jobs
from manihot.study.load import build
from manihot.study.paths import Paths
from manihot.study.plan import Plan

ROOT = Path(__file__).parents[3]
FILE = Path("mine.yaml")
STUDY = {
    "data": {
        "leaves": {"source": "csv", "photos": "photos", "labels": "labels.csv"},
        "needles": {"source": "demo", "kind": "needles"},
        "theirs": {"source": "demo", "kind": "needles", "photos": 40},
    },
    "photos": {"shards": 2},
    "splits": {
        "main": {"dataset": "leaves", "test": 100, "folds": 2},
        "more": {"like": "main", "new_class": {"dataset": "needles", "label": "needle", "photos": 10, "test": 3}},
    },
    "defaults": {"split": "main", "size": 64},
    "experiments": {
        "first": {"tta": ["identity", "hflip"], "refit": True},
        "second": {"split": "more", "size": 96},
        "cut": {"network": "resnet18", "weights": "none", "train_from": "layer4", "size": 80},
    },
    "backbones": {
        "frozen": {"network": "squeezenet1_1", "weights": "none", "size": 48, "head": {"views": ["identity", "hflip"]}},
        "other": {"network": "resnet18", "weights": "none", "size": 56, "head": None},
        "both": {"join": ["frozen", "other"]},
    },
    "boosting": {"trees": {"backbone": "frozen"}},
}
MAP = {"needle": "0", "round leaf": None, "lobed leaf": None}
THEIRS = {"dataset": "theirs", "classes": MAP}
COUNTS = {"leaves": {"0": 300, "1": 300}, "needles": {"needle": 60}, "theirs": {"needle": 40}}
NEW = {"map_external", "predict_external", "score_external"}


def plan_of(**external):
    return Plan(build(STUDY | {"external": external}, FILE), ROOT)


def told(plan):
    return {(rule, name): settings for rule, name, settings in all_jobs(plan)}


def test_nothing_else_knows_of_other_people_s_photos():
    """No job that fits, tunes, splits or chooses, nor one that measures this machine, is told of them."""
    before, after = told(plan_of()), told(plan_of(theirs=THEIRS, again={**THEIRS, "dataset": "needles"}))
    assert {key for key in before if before[key] != after[key]} == {("build_report", "all")}
    added = {(rule, name) for rule, name in after if (rule, name) not in before}
    looked = {
        *((rule, "theirs") for rule in ("list_photos", "catalog_shard", "build_catalog")),
        *(("find_copies", pair) for pair in ("leaves@theirs", "needles@theirs")),
        *(("cache_pixels", f"theirs_{size}px") for size in (48, 56, 64, 80, 96)),
        # What models of the split main see; that of the split more has its own photos of needles.
        *(("cache_pixels", f"needles_{size}px") for size in (48, 56, 64, 80)),
    }
    assert {(rule, name) for rule, name in added if rule not in NEW} == looked
    one, other = Paths(plan_of()), Paths(plan_of(theirs=THEIRS))
    for split in ("main", "more"):
        assert one.catalogs(split) == other.catalogs(split) and one.strangers(split) == other.strangers(split)
    assert one.plan.datasets == other.plan.datasets == ["leaves", "needles"]
    assert other.plan.catalogued == ["leaves", "needles", "theirs"]


def test_every_model_is_tried_but_those_whose_split_has_such_photos():
    plan = plan_of(theirs=THEIRS, again={"dataset": "needles"}, few={**THEIRS, "models": ["trees", "first_tta"]})
    assert plan.tried_on("theirs") == list(plan.models) and {"first_refit", "trees_refit"} <= set(plan.models)
    assert plan.tried_on("again") == [name for name in plan.models if name != "second"]
    assert plan.tried_on("few") == ["first_tta", "trees"]
    assert (plan.splits_beside("again"), plan.datasets_beside("again")) == (["main"], ["leaves"])
    assert plan.datasets_beside("theirs") == ["leaves", "needles"]
    assert set(plan.external_backbones("theirs")) == {"frozen", "other"}


def test_a_model_reads_of_other_photos_what_it_reads_of_its_own():
    paths = Paths(plan_of(theirs=THEIRS))
    assert paths.external_copies("theirs") == [
        "results/catalog/leaves/copies_of_theirs.csv", "results/catalog/needles/copies_of_theirs.csv",
    ]  # fmt: skip
    assert paths.external_shown("theirs", "cut")["arrays"] == [f"results/pixels/theirs/80px/{n}.npy" for n in (0, 1)]
    assert paths.external_shown("theirs", "both_head") == {
        "manifests": [f"results/features/{name}px/identity.json" for name in ("frozen/theirs/48", "other/theirs/56")],
        "arrays": [],
        "features": [f"results/features/{name}px/identity.npy" for name in ("frozen/theirs/48", "other/theirs/56")],
    }
    assert paths.external_unlike("theirs", "first") == {
        "reference": ["results/features/unlike/main.npy"],
        "features": ["results/features/frozen/theirs/48px/identity.npy"],
        "manifests": ["results/features/unlike/main.json", "results/features/frozen/theirs/48px/identity.json"],
    }
    assert paths.external_unlike("theirs", "second") == {"reference": [], "features": [], "manifests": []}
    read = paths.report_inputs()
    assert len(read["external"]) == 1 + len(paths.plan.models)
    assert "results/figures/external/theirs/trees.svg" in [path for path, *_ in paths.figures()]
    assert "results/catalog/theirs.csv" in read["catalogs"]


def test_every_job_on_other_photos_is_counted():
    plan = plan_of(theirs=THEIRS, again=THEIRS)
    jobs = {job.label: job for job in amounts(plan, COUNTS)}
    assert {rule for rule, _, _ in all_jobs(plan)} == {job.rule for job in jobs.values()}
    work = {task.kind: units for task, units in jobs["predict_external theirs first_tta 1"].work}
    assert work["predict"] == 2 * 40 and jobs["predict_external theirs trees 2"].work == ()
    labels = [job.label for job in amounts(plan, COUNTS)]
    assert labels.count("extract_features frozen theirs 48 identity") == 1
    assert {"map_external again", "score_external again trees_refit", "find_copies leaves theirs"} <= set(labels)


@pytest.mark.parametrize(
    ("external", "said"),
    [
        ({"dataset": "thiers"}, "external.x.dataset: no data set is called thiers; did you mean theirs?"),
        ({"dataset": "theirs", "models": ["tree"]}, "external.x.models: no model is called tree; did you mean trees?"),
        ({"dataset": "theirs", "models": []}, "external.x.models: should"),
        ({"dataset": "theirs", "class": {}}, "external.x.class: unknown key; did you mean classes?"),
        ({"dataset": "leaves"}, "external.x.dataset: every split has photos of leaves: name another data set"),
        (
            {"dataset": "needles", "models": ["trees", "second"]},
            "external.x.models: the split of second has photos of needles, which would be no test of it",
        ),
    ],
)
def test_what_cannot_be_tried_is_refused_in_one_line(external, said):
    with pytest.raises(StudyError) as refused:
        plan_of(x=external)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_labels_are_held_against_the_classes_before_a_run():
    study = build(STUDY | {"external": {"theirs": THEIRS}}, FILE)
    labels = {"leaves": [Label(f"{n}.jpg", "01"[n % 2], "") for n in range(600)]}
    labels["theirs"] = [Label(f"{n}.jpg", label, "") for n, label in enumerate(MAP)]
    checks.check_labels(study, FILE, labels)
    labels["theirs"].append(Label("more.jpg", "cone", ""))
    with pytest.raises(StudyError, match=r"mine.yaml: external.theirs.classes: the label cone is not named"):
        checks.check_labels(study, FILE, labels)
    # Of photos that are still to be fetched it is asked once they are there.
    del labels["theirs"]
    checks.check_labels(study, FILE, labels)
