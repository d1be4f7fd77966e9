"""Whole studies: dry runs of every one; the tiny and the demo run whole, the others in part (whole: `make test-full`).

What comes out must come out again, to the same bytes.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from manihot.core import files
from manihot.study.load import load
from manihot.study.plan import Plan

SHARED = ROOT.parent / "shared"
needs_sample = pytest.mark.skipif(
    not (SHARED / "data" / "cassava").is_dir(), reason="the sample photos (../shared/data) are not here"
)


def results(project, *patterns):
    """Each result file's SHA-256, but for what differs from run to run."""
    folder = project.folder / "results"
    left_out = ("costs", "logs", "state", ".run.lock", "report.html")
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for pattern in patterns or ("**/*",)
        for path in folder.glob(pattern)
        if path.is_file()
        and path.relative_to(folder).parts[0] not in left_out
        # The time of a photo's file is one of its facts; the photo itself is compared.
        and path.parent.parent != folder / "photos"
    }


def test_the_tiny_study_gives_every_kind_of_result(finished):
    plan = Plan(load(ROOT / finished.study), ROOT)
    summary = pd.read_csv(finished.folder / "results/summary.csv")
    assert list(summary) == (
        [
            "model",
            "kind",
            "part",
            "n",
            "accuracy",
            "accuracy_low",
            "accuracy_high",
            "balanced_accuracy",
            "macro_f1",
            "log_loss",
            "cost",
            "parameters",
        ]
    )
    assert set(plan.models) <= set(summary["model"])
    kinds = {"network", "tta", "head", "boosting", "fold", "baseline", "corrected", "calibrated"}
    assert kinds == set(summary["kind"])
    for path in (
        "report.html",
        "scores/comparisons.csv",
        "scores/choice/main.json",
        "training/overfit/small_cnn_overfit/result.json",
    ):
        assert (finished.folder / "results" / path).stat().st_size > 0
    inside = summary.dropna(subset=["accuracy_low"])
    assert ((inside["accuracy_low"] <= inside["accuracy"]) & (inside["accuracy"] <= inside["accuracy_high"])).all()


def test_each_score_follows_from_the_predictions_by_other_people_s_code(finished, tmp_path):
    text = (ROOT / "docs/statistics.md").read_text(encoding="utf-8")
    code = re.search(r"<!-- check.py -->\n```python\n(.*)```\n<!-- end of check.py -->", text, re.DOTALL)[1]
    (tmp_path / "check.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-W", "ignore", tmp_path / "check.py", finished.folder / "results"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    apart = {name: float(value) for name, value in map(str.split, said.splitlines())}
    names = {"accuracy", "balanced_accuracy", "macro_f1", "brier", "log_loss", "confusion", "interval"}
    assert set(apart) == names and max(apart.values()) < 1e-9


def test_a_second_run_has_nothing_to_do(finished):
    assert not finished.jobs()


def test_every_artifact_is_a_tracked_file(finished):
    said = finished.run("--summary").stdout.splitlines()[1:]
    tracked = {line.split("\t")[0] for line in said}
    folder = finished.folder / "results"
    own = {"settings", "state", "logs", ".run.lock", "photos"}
    found = {
        f"results/{path.relative_to(folder)}"
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in own and path.name != ".snakemake_timestamp"
    }
    # The main process notes what it expected of the run, for the report; no job waits for it.
    assert found - tracked == {"results/costs/estimate.json"}


# A model of each kind, from photos to predictions.
ONE_OF_EACH = [
    "results/predictions/balanced_tta/fold1/test.csv",
    "results/predictions/squeezenet_head/fold1/test.csv",
    "results/predictions/xgboost_1_refit/fold0/test.csv",
]


@pytest.mark.slow
def test_the_same_study_gives_the_same_bytes_again(finished, fresh):
    fresh.run("--", *ONE_OF_EACH, "results/scores/xgboost_1_refit/test.json")
    again, before = results(fresh), results(finished)
    made = {path.split("/")[0] for path in again}
    assert {"catalog", "pixels", "splits", "features", "models", "predictions", "scores"} <= made
    assert again == {path: before[path] for path in again}


@pytest.mark.full
def test_the_same_study_gives_the_same_bytes_again_in_every_file(finished, fresh):
    fresh.run()
    assert results(finished) == results(fresh)


def test_finished_work_is_emitted_again_when_results_are_lost(finished_copy):
    before = results(finished_copy)
    folder = finished_copy.folder / "results"
    # What has a state, and the predictions that follow from it: the rest is made anew in any case.
    lost = ("models", "pixels", "features", "predictions")
    for name in (*lost, "costs"):
        shutil.rmtree(folder / name)
    done = finished_copy.run("--", *ONE_OF_EACH)
    again = results(finished_copy)
    assert {path.split("/")[0] for path in again} >= set(lost)
    assert again == {path: before[path] for path in again}
    for rule in ("cache_pixels", "extract_features", "train_fold", "fit_head", "fit_booster"):
        costs = pd.concat(map(pd.read_csv, (folder / "costs" / rule).rglob("*.csv")))
        assert (costs["reused"] == 1).all(), f"{rule}\n{done.stderr}"


@pytest.mark.slow
def test_the_demo_study_is_well_above_chance_and_well_below_certain(fresh):
    fresh.study = "config/config.yaml"
    assert jobs_of_the_plan(fresh) <= 64
    fresh.run()
    assert not fresh.jobs()
    summary = pd.read_csv(fresh.folder / "results/summary.csv")
    test = summary[(summary["part"] == "test") & (summary["kind"] != "fold")].set_index("model")
    chance = test.loc["majority_class", "accuracy"]
    models = test[~test["kind"].isin(["baseline", "corrected", "calibrated"])]
    assert len(models) == 7 and (models["accuracy_low"] > chance).all() and (models["accuracy_high"] < 0.98).all()
    report = fresh.folder / "results/report.html"
    assert report.stat().st_size < 15e6
    # The real report in a real browser; skipped there where none is installed.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", str(ROOT / "tests/browser")]
    seen = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"MANIHOT_REPORT": str(report)}, capture_output=True, text=True
    )
    assert seen.returncode == 0, seen.stdout


@pytest.mark.slow
def test_other_people_s_photos_say_the_same_of_a_model_in_the_study_and_after_it(finished_copy, tmp_path):
    """The photos of needles, which no model of the split main knows, as a data set of the study and as a folder."""
    labels = 'classes: {needle: "1", round leaf: "2", lobed leaf: null}'
    finished_copy.edit(
        finished_copy.study, "boosting:\n", f"external:\n  others: {{dataset: needles, {labels}}}\nboosting:\n"
    )
    scores = "results/external/others/{}/scores.json"
    finished_copy.run("--", *(scores.format(model) for model in ("balanced_tta", "xgboost_1_refit")))
    folder = finished_copy.folder / "results"
    (tmp_path / "map.yaml").write_text('needle: "1"\nround leaf: 2\nlobed leaf: null\n')
    photos = folder / "photos/needles"
    command = [sys.executable, "-m", "manihot.study.evaluate", photos / "images", "--labels", photos / "labels.csv"]
    command += ["--classes", tmp_path / "map.yaml", "--model", "balanced_tta", "--out", tmp_path / "out"]
    environment = os.environ | {"PYTHONPATH": str(finished_copy.folder / "src")}
    done = subprocess.run([*command, "--cores", "2"], cwd=finished_copy.folder, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr[-4000:]
    after, before = (
        files.read_json(tmp_path / "out/evaluation.json"),
        files.read_json(folder / scores[8:].format("balanced_tta")),
    )
    assert after["tried"]["n"] == before["tried"]["n"] == 23 and after["own_part"] == before["own_part"] == "test"
    for part in ("tried", "own", "difference", "estimated"):
        assert alike(after[part], before[part]), part
    assert (
        after["unlike"] == pytest.approx(before["unlike"])
        and "Cannot tell" in (tmp_path / "out/evaluation.html").read_text()
    )
    calibrated = pd.read_csv(folder / "external/others/balanced_tta/calibrated.csv")
    answers = pd.read_csv(tmp_path / "out/predictions.csv").set_index("image_id").loc[calibrated["image_id"]]
    np.testing.assert_allclose(answers.filter(regex=r"^p\d"), calibrated.filter(regex=r"^p\d"), atol=1e-6)


def alike(one, other):
    """Whether two records say the same, numbers to 1e-6."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return one == pytest.approx(other, abs=1e-6) if isinstance(one, float) else one == other


@pytest.mark.slow
def test_a_network_is_tuned_from_a_cut(finished_copy):
    """An experiment more in the tiny study, which has its photos in pixels already."""
    finished_copy.edit(
        finished_copy.study,
        "experiments:\n",
        "experiments:\n  from_cut: {draw: balanced, network: shufflenet_v2_x0_5, weights: none, recipe: finetune,"
        " train_from: stage4, views: [identity, hflip]}\n",
    )
    finished_copy.run("--", "results/predictions/from_cut/fold1/test.csv")
    folder = finished_copy.folder / "results"
    assert len(list(folder.glob("features/activations/*/leaves/*.npy"))) == 2
    record = files.read_json(folder / "models/from_cut/fold1/model.json")
    assert 0 < record["trainable"] < record["parameters"]
    table = pd.read_csv(folder / "predictions/from_cut/fold1/test.csv")
    assert list(table["image_id"]) == list(pd.read_csv(folder / "predictions/balanced/fold1/test.csv")["image_id"])


@pytest.mark.full
def test_networks_are_tuned_from_a_cut_from_a_head_and_on_all_folds(fresh):
    fresh.study = "tests/studies/tuned.yaml"
    fresh.run()
    assert not fresh.jobs()
    folder = fresh.folder / "results"
    # Two data sets in two views, once for both experiments of the cut.
    assert len(list(folder.glob("features/activations/*/*/*.npy"))) == 4
    records = {
        f"{path.parts[-3]} {path.parts[-2]}": files.read_json(path) for path in folder.glob("models/*/fold*/model.json")
    }
    networks = {name for name, record in records.items() if record["kind"] == "network"}
    assert networks == {"whole fold1", "from_cut fold1", "from_cut fold2", "from_cut_refit fold0", "other_views fold1"}
    assert records["from_cut fold1"]["trainable"] < records["whole fold1"]["trainable"]
    # Logit adjustment makes the prior even, but for what label smoothing leaves.
    uneven = {
        name: max(records[name]["prior"]) / min(records[name]["prior"]) for name in ("whole fold1", "from_cut fold1")
    }
    assert uneven["whole fold1"] < 2 < uneven["from_cut fold1"]
    tables = {path.parts[-2]: pd.read_csv(path) for path in folder.glob("predictions/*/test.csv")}
    assert {"from_cut", "from_cut_refit", "from_cut_tta", "other_views_tta", "whole"} <= set(tables)
    assert all(len(table) == len(tables["whole"]) for table in tables.values())


@pytest.fixture
def sample(fresh):
    """The study of the real sample photos, with made-up plants and fields; nothing has been run."""
    study = fresh.folder / "tests/studies/sample.yaml"
    study.write_text(study.read_text().replace("../shared", str(SHARED)).replace("PLANTS", str(fresh.folder)))
    made_up_plants(fresh.folder / "plants.csv")
    fresh.study = str(study)
    return fresh


@needs_sample
@pytest.mark.slow
def test_a_head_on_the_real_sample_is_clearly_above_chance(sample):
    jobs_of_the_plan(sample)
    sample.run("--", "results/predictions/squeezenet1_1_head/fold1/test.csv")
    table = pd.read_csv(sample.folder / "results/predictions/squeezenet1_1_head/fold1/test.csv")
    given = table.filter(regex=r"^p\d+$")
    right = given.to_numpy().argmax(axis=1) == table["label"]
    chance = 1 / given.shape[1]  # the test has as many photos of each class
    assert right.mean() > chance + 3 * np.sqrt(chance * (1 - chance) / len(table))
    splits_keep_plants_whole(sample)


@needs_sample
@pytest.mark.full
def test_every_model_of_the_real_sample_is_clearly_above_chance(sample):
    sample.run()
    assert not sample.jobs()
    summary = pd.read_csv(sample.folder / "results/summary.csv").set_index(["model", "part"])
    for model in ("mobilenet_v2_head", "squeezenet1_1_head", "xgboost_mobilenet", "xgboost_squeezenet"):
        assert summary.loc[(model, "test"), "accuracy_low"] > 0.25, model
    scores = pd.read_json(sample.folder / "results/scores/new_class/test.json", typ="series")
    assert scores["new_class"]["recall"] > 0.9
    splits_keep_plants_whole(sample)
    scores = files.read_json(sample.folder / "results/scores/mobilenet_v2_head/validation.json")
    assert len(scores["sites"]) == 6
    # Three photos say more than one.
    assert scores["one_answer"]["accuracy"]["value"] > scores["one_answer"]["each"]["accuracy"]["value"]


def splits_keep_plants_whole(sample):
    duplicates = pd.read_csv(sample.folder / "results/catalog/cassava/duplicates.csv")
    assert duplicates.empty, "the sample holds no duplicates"
    split = pd.read_csv(sample.folder / "results/splits/main.csv", dtype=str)
    split = split.merge(pd.read_csv(sample.folder / "plants.csv", dtype=str)[["image_id", "plant"]], on="image_id")
    used = split[split["role"] != "unused"]
    assert (used.groupby("plant")[["role", "fold"]].nunique() <= 1).all(axis=None)
    assert split["role"].value_counts()["test"] == pytest.approx(200, abs=5 * 4)


def made_up_plants(path):
    """The sample's labels with made-up plants, one to five photos of a class each, in one of six made-up fields."""
    labels = pd.read_csv(SHARED / "data/cassava/train.csv", dtype=str).sort_values(["label", "image_id"])
    sizes = np.random.default_rng(0).integers(1, 6, len(labels))
    number = np.repeat(np.arange(len(sizes)), sizes)[: len(labels)]
    labels["plant"] = labels["label"] + "-" + pd.Series(number, index=labels.index).astype(str)
    labels.assign(field=[f"field {n % 6}" for n in number]).to_csv(path, index=False)


def jobs_of_the_plan(project):
    """How many jobs a dry run lists; each kind of them must be there as often as the plan says."""
    start = sum(os.times()[2:4])  # processor time of children
    rules = project.rules()
    assert sum(os.times()[2:4]) - start < 60
    plan = Plan(load(project.folder / project.study), ROOT)
    assert rules["train_fold"] == sum(len(m.folds) for m in plan.models.values() if m.kind == "network")
    assert rules["ensemble_folds"] == rules["score_model"] == len(plan.models)
    assert rules["predict_fold"] == sum(len(m.folds) for m in plan.models.values() if m.kind in {"network", "tta"})
    assert rules["fit_booster"] == sum(len(m.folds) for m in plan.models.values() if m.kind == "boosting")
    assert rules["fit_head"] == sum(len(m.folds) for m in plan.models.values() if m.kind == "head")
    assert rules["cache_pixels"] == len(plan.shards) * sum(len(plan.sizes(d)) for d in plan.datasets)
    assert rules["check_overfit"] == len(plan.study.overfit)
    assert rules["show_augmentation"] == len(plan.augmented)
    assert rules["draw_reference"] == len(plan.references)
    assert rules["draw_grad_cams"] == bool(plan.looked)
    assert rules["build_report"] == 1
    return rules.total()


@pytest.mark.parametrize("study", ["cassava", "cassava-published", pytest.param("ablations", marks=pytest.mark.full)])
def test_a_dry_run_of_every_study_of_cassava_lists_its_jobs(fresh, study):
    stand_in(fresh.folder / "data")
    fresh.study = f"config/{study}.yaml"
    jobs_of_the_plan(fresh)


def test_a_dry_run_of_the_tuned_study_lists_its_jobs(fresh):
    fresh.study = "tests/studies/tuned.yaml"
    jobs_of_the_plan(fresh)


def test_every_study_of_the_project_has_its_dry_run():
    tried = {"config", "cassava", "cassava-published", "ablations"}
    # What `make study` writes is the user's own.
    found = {path.stem for path in ROOT.glob("config/*.yaml")} - {"mine"}
    assert found == tried | {"cassava-data"}, "the last is only extended"


def stand_in(data: Path) -> None:
    """Folders of empty stand-in photos with the published study's label files beside them."""
    if not (SHARED / "study").is_dir():
        pytest.skip("the published label files (../shared/study) are not here")
    for name, source, folder, prefix in (
        ("cassava", "cassava_train.csv", "train_images", ""),
        ("classify-leaves", "species_train.csv", "images", "images/"),
    ):
        photos = data / name / folder
        photos.mkdir(parents=True)
        lines = (SHARED / "study" / source).read_text().splitlines()[1:]
        header = "image,label" if prefix else "image_id,label"
        (data / name / "train.csv").write_text("\n".join([header, *(prefix + line for line in lines)]) + "\n")
        for line in lines:
            os.close(os.open(photos / line.split(",")[0], os.O_CREAT))
    names = (SHARED / "data/cassava/label_num_to_disease_map.json").read_text()
    (data / "cassava/label_num_to_disease_map.json").write_text(names)


def test_make_report_and_study_are_the_readme_s_commands():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for target in ("report", "test", "study", "predict", "evaluate"):
        assert f"make {target}" in readme and f"\n{target}:" in makefile
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "make report" in listed
