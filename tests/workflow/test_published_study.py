"""The published study cut down to the sample, run whole: both protocols, and the switches between them one at a time."""

import pandas as pd
import pytest
from conftest import ROOT, copy_project
from sklearn.model_selection import train_test_split

from manihot.core import files
from manihot.core.names import PARTS
from manihot.study.load import load
from manihot.study.plan import Plan

SHARED = ROOT.parent / "shared"
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        not (SHARED / "data" / "cassava").is_dir(), reason="the sample photos (../shared/data) are not here"
    ),
]
# The study's own counts at 224 px, less what its first full layer has fewer of at 64 px.
PARAMETERS = {
    "balanced": 13_218_309 - 256 * 256 * (14**2 - 4**2),
    "balanced_vgg_small": 53_066_245 - 512 * 512 * (14**2 - 4**2),
}


def finished(tmp_path_factory, name):
    """A project in which the study of that name has been run."""
    project = copy_project(tmp_path_factory.mktemp(name) / "project")
    study = project.folder / f"tests/studies/{name}.yaml"
    study.write_text(study.read_text().replace("../shared", str(SHARED)))
    project.study = str(study)
    project.run()
    assert not project.jobs()
    return project.folder / "results"


@pytest.fixture(scope="module")
def corrected(tmp_path_factory):
    return finished(tmp_path_factory, "cassava")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return finished(tmp_path_factory, "cassava-published")


@pytest.fixture(scope="module")
def ablations(tmp_path_factory):
    return finished(tmp_path_factory, "ablations")


@pytest.fixture(params=["corrected", "published"])
def either(request):
    return request.getfixturevalue(request.param)


def photos(path):
    return pd.read_csv(path, dtype="str", keep_default_na=False)


def table(results, name):
    return pd.read_csv(results / "scores" / name)


def test_every_experiment_of_the_study_is_scored_and_counted(either):
    summary = pd.read_csv(either / "summary.csv").set_index(["model", "part"])
    asked = pd.read_csv(ROOT / "config/published/experiments.csv")["experiment"]
    boosters = [f"xgboost_{attempt}" for attempt in range(1, 10)]
    assert {(model, "test") for model in [*asked, *boosters]} <= set(summary.index)
    for model, count in PARAMETERS.items():
        assert summary.loc[(model, "test"), "parameters"] == count


def test_each_published_number_is_beside_a_measured_one_or_says_why_not(either):
    numbers = pd.read_csv(either / "published/numbers.csv")
    assert set(numbers["table"]) == {"experiments", "epochs", "backbones", "xgboost", "confusions", "hardware"}
    assert len(numbers[numbers["table"] == "experiments"]) == 12
    assert numbers["remark"].notna().all()
    ours = numbers[numbers["table"].isin(["experiments", "epochs", "xgboost"])]
    measured = ours[~ours["quantity"].str.startswith("run time")]
    assert measured["measured"].notna().all()
    # Photos of 64 pixels in a few epochs are another setting: nothing may pass for a repetition of the study.
    assert numbers.loc[numbers["table"] != "backbones", "differs"].isna().all()


def test_the_conclusions_have_verdicts_and_the_report_shows_them(either):
    weighed = files.read_json(either / "published/conclusions.json")
    conclusions = {entry["number"]: entry for entry in weighed["conclusions"]}
    # The second is about memory, a cost, which only the report reads.
    assert set(conclusions) | {2} == set(range(1, 11))
    for entry in conclusions.values():
        assert entry["verdict"] in {"for", "against", "cannot tell"} and entry["evidence"].endswith(".")
        assert "Not in this study" not in entry["evidence"]
    assert {row["part"] for row in weighed["balancing"]} >= {"test"}
    report = (either / "report.html").read_text()
    assert "Beside the published numbers" in report
    assert report.count('class="statement"') == 10


def test_the_published_splits_are_the_studys(published):
    split = photos(published / "splits/main.csv")
    pool = split[split["role"] == "pool"]
    _, validation = train_test_split(pool["image_id"], test_size=1 / 3, random_state=42)
    assert set(pool[pool["fold"] == "1"]["image_id"]) == set(validation)
    assert not (split["role"] == "test_as_found").any()
    drawn = photos(published / "splits/main/imbalanced.csv")
    assert drawn["image_id"].isin(split[split["role"] == "test"]["image_id"]).any(), "the leak"
    added = photos(published / "splits/with_new_class.csv").query("dataset == 'species' and role == 'pool'")
    assert (added["fold"] == "0").all()


def test_the_corrected_splits_keep_the_tests_apart(corrected):
    split = photos(corrected / "splits/main.csv")
    tested = split[split["role"].isin(["test", "test_as_found"])]["image_id"]
    assert len(tested) == 300
    for draw in (corrected / "splits/main").glob("*.csv"):
        assert not photos(draw)["image_id"].isin(tested).any(), draw.stem


def test_each_switch_is_weighed_over_three_seeds(ablations):
    plan = Plan(load(ROOT / "tests/studies/ablations.yaml"), ROOT)
    switches = table(ablations, "switches.csv")
    asked = {model.name for model in plan.models.values() if model.based_on and not model.repeat_of}
    assert set(switches["model"]) == asked
    assert (switches["seeds"] == 3).all()
    assert set(switches["part"]) == set(PARTS[1:])
    for key in ("leak", "fold_kind", "normalisation", "frozen_mode", "flips_at_validation"):
        assert switches["switch"].str.contains(key).any(), key
    assert ((switches["low"] <= switches["difference"]) & (switches["difference"] <= switches["high"])).all()
    # Flips at validation change what is validated on, and nothing that is fitted.
    flips = switches[switches["switch"].str.contains("flips")].set_index("part")
    assert flips.loc[["test", "test_as_found"], "difference"].eq(0).all()
    leak = switches[switches["switch"].str.contains("leak")]
    assert leak["remark"].str.contains("were drawn").all()
    assert "What each switch of the protocol is worth" in (ablations / "report.html").read_text()
