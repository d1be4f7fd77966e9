"""What is exported, what its checks need of the study, and what is refused before anything is made."""

import argparse

import pandas as pd
import pytest

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.export import card, layout, photos
from manihot.export.request import Request, check_whole, read
from manihot.study import export


@pytest.fixture
def run(tmp_path):
    """The folder of a run that knows a model `net`, and the folder where its export is made, which is not there yet."""
    results = tmp_path / "results"
    files.write_json(results / "models/net/model.json", {"name": "net", "unlike": None})
    study = {"resamples": 200, "photos": {"max_pixels": 10**6}, "external": {"uganda": {}, "kenya": {}}}
    known = {"title": "Leaves", "seed": 1, "study": study, "datasets": {"leaves": {"root": "photos"}}}
    known["models"] = [{"name": "net", "split": "main"}]
    files.write_json(results / "settings/build_report/all.json", {"settings": known})
    files.write_text(results / "splits/main.csv", "dataset,image_id,label,group,role,fold\n")
    for part in ("test", "test_as_found"):
        files.write_json(results / f"scores/net/{part}.json", {"n": 0})
    # The model was not tried on the other one.
    files.write_json(results / "external/uganda/net/scores.json", {"tried": {"n": 5}})
    return tmp_path, results / "exporting/net"


def test_a_request_finds_what_the_checks_need_of_the_study(run):
    folder, work = run
    asked = Request("../../models/net", "../../export/net")
    told = asked.study(work)
    assert told["title"] == "Leaves" and told["resamples"] == 200 and not work.exists()
    asked.write(work)
    assert read(work) == asked
    assert (work / told["split"]).samefile(folder / "results/splits/main.csv")
    jobs = {rule: settings for rule, _, settings in asked.jobs(work)}
    assert set(jobs) == {"export_graph", "quantise_graph", "check_export", "write_export"}
    assert list(told["external"]) == ["uganda"] == list(jobs["write_export"]["external"])
    files.write_json(work / "request.json", {"schema_version": 2})
    with pytest.raises(StudyError, match="damaged or of a later version"):
        read(work)


def test_what_is_not_there_is_named(run):
    folder, work = run
    asked = Request("../../models/net", "../../export/net")
    (folder / "results/scores/net/test.json").unlink()
    with pytest.raises(StudyError, match=r"test\.json is missing, on which an export is checked: run the study"):
        asked.study(work)
    (folder / "results/settings/build_report/all.json").unlink()
    with pytest.raises(StudyError, match="does not tell them: export the model in the folder of its study"):
        asked.study(work)


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(export, "NEEDED", ("onnx_of_nobody",))
    given = argparse.Namespace(model="best", dir=".", out="", engine=[])
    with pytest.raises(StudyError, match="onnx_of_nobody is not installed, which an export needs: run make export"):
        export.prepare(given)
    # Jobs that have environments of their own bring it along.
    given.engine = ["--sdm", "conda"]
    with pytest.raises(StudyError, match="which model the study chose cannot be told"):
        export.prepare(given)


def test_an_export_that_lost_a_file_is_written_anew(tmp_path):
    check_whole(tmp_path / "none")
    (tmp_path / "model.onnx").write_bytes(b"whole")
    with pytest.raises(StudyError, match="holds something else than an export"):
        check_whole(tmp_path)
    told = layout.with_files({"schema_version": 1}, {"model.onnx": tmp_path / "model.onnx"})
    files.write_json(tmp_path / layout.ABOUT, told)
    check_whole(tmp_path)
    assert (tmp_path / layout.ABOUT).is_file()
    (tmp_path / "model.onnx").write_bytes(b"other")
    check_whole(tmp_path)
    assert not (tmp_path / layout.ABOUT).exists()
    files.write_json(tmp_path / layout.ABOUT, told | {"schema_version": 2})
    with pytest.raises(StudyError, match="has the schema version 2, and this version of Manihot writes 1"):
        check_whole(tmp_path)
    assert (tmp_path / layout.ABOUT).is_file()


def test_an_export_is_checked_on_the_tests_or_where_there_are_none_on_the_pool(tmp_path):
    table = pd.DataFrame({"dataset": "leaves", "image_id": [f"{n}.jpg" for n in range(6)], "label": ["a", "b"] * 3})
    table = table.assign(group=range(6), role=["pool", "pool", "pool", "test", "test_as_found", "unused"], fold=1)
    shown = {"roots": {"leaves": str(tmp_path)}, "seed": 1}
    files.write_table(tmp_path / "split.csv", table)
    for n in range(6):
        (tmp_path / f"{n}.jpg").touch()
    assert list(photos.tests(str(tmp_path / "split.csv"), shown)["image_id"]) == ["3.jpg", "4.jpg"]
    files.write_table(tmp_path / "none.csv", table.assign(role="pool"))
    assert len(photos.tests(str(tmp_path / "none.csv"), shown)) == 6
    (tmp_path / "4.jpg").unlink()
    with pytest.raises(StudyError, match=r"4\.jpg is missing: an export is checked on all test photos"):
        photos.tests(str(tmp_path / "split.csv"), shown)


def test_the_card_says_what_was_measured(run):
    folder, _ = run
    model = folder / "results/models/net"
    origin = {"source": "timm/x", "license": "apache-2.0"}
    files.write_json(model / "fold0/model.json", {"network": "timm/x", "initial_weights": origin})
    record = {"name": "net", "kind": "network", "parameters": 1234, "views": ["identity"]}
    record["members"] = [{"record": "results/models/net/fold0/model.json"}]
    classes = [{"label": "a", "name": "A|B"}]
    about = {"name": "net", "input": {"sizes": [224]}, "classes": classes, "sets": None, "unlike": None}
    about |= {"calibration": {"temperature": 1.5, "shares": {"a": 1.0}}, "outputs": {"probabilities": "float32"}}
    about |= {"files": {"model.onnx": {"bytes": 12345}}}
    value = {"value": 0.5, "low": 0.4, "high": 0.6}
    metrics = {name: value for name in ("accuracy", "balanced_accuracy", "log_loss")}
    scored = {"n": 20, "answers": {"calibrated": {"metrics": metrics}}, "sites": []}
    fine = {"n": 20, "largest": 1e-6, "changed": 0, "ties": 0, "passed": True}
    checks = {"photos": {"test": 20}, "pixels": {"n": 0, "reason": "several sizes"}, "files": fine, "predict": fine}
    checks |= {"int8": {"passed": False, "reason": "it loses 3.0 points"}}
    speed = {"photo": [600, 800, 3], "milliseconds": {"model.onnx": 20.5}}
    told = {"checks": checks, "speed": speed, "model": record, "scores": [scored, {"n": 0}]}
    told["external"] = {"uganda": {"tried": {"n": 7, "metrics": metrics}, "absent": ["b"]}}
    text = card.text(about, told, "Leaves", model)
    for said in (
        "# net, of the study “Leaves”", "| a | A\\|B | 100.0% |", "| the test | 20 | 0.500 (0.400 to 0.600) |",
        "| `model.onnx` | 12,345 | 20.5 |", "not comparable, several sizes", "is not here: it loses 3.0 points",
        "timm/x: started from published weights (timm/x; licence: apache-2.0)", "1,234 parameters; 1 member;",
        "| uganda | 7 | 0.500 (0.400 to 0.600) | 0.500 (0.400 to 0.600) | 0.500 (0.400 to 0.600) | b |",
    ):  # fmt: skip
        assert said in text, said
    unknown = card.text(about, told | {"scores": [{"n": 0}] * 2, "external": {}}, "Leaves", model)
    assert "how good the model is, is not known" in unknown and "elsewhere: none were tried" in unknown
