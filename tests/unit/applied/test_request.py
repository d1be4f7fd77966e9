"""What may be asked of a model, where its answers go, and what is refused in a line that names the mend."""

import contextlib
import shutil
from pathlib import Path

import pytest
import small_study

from manihot import load_model
from manihot.applied import request
from manihot.applied.home import Home, chosen, find_model
from manihot.applied.request import Request
from manihot.core import files
from manihot.core.errors import StudyError


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """The folder of a study with a model that it chose."""
    root = tmp_path_factory.mktemp("study")
    with contextlib.chdir(root):
        small_study.make()
        small_study.network("net")
        small_study.answer("net", "network")
        files.write_json("results/scores/choice/main.json", {"chosen": "net"})
    return root


@pytest.fixture
def study(fitted, tmp_path):
    shutil.copytree(fitted, tmp_path / "study")
    return tmp_path / "study"


def test_best_is_the_model_that_the_study_chose(study):
    models = study / "results/models"
    assert find_model(models / "best") == models / "net" and load_model(models / "best", device="cpu").name == "net"
    files.write_json(study / "results/scores/choice/other.json", {"chosen": "lost"})
    with pytest.raises(StudyError, match=r"several splits, main, other: name one of its models, net"):
        find_model(models / "best")
    told = {"settings": {"models": [{"split": "main"}, {"split": "other"}]}}
    files.write_json(study / "results/settings/build_report/all.json", told)
    assert chosen(study / "results") == "net"
    shutil.rmtree(study / "results/scores/choice")
    with pytest.raises(StudyError, match="no choice"):
        find_model(models / "best")


def test_a_model_is_found_from_the_folder_of_its_answers(study, monkeypatch):
    """`make predict` writes into the results of the study: from there the model is ../../models/net."""
    (study / "results/applied/field").mkdir(parents=True)
    monkeypatch.chdir(study / "results/applied/field")
    home = Home(Path("../../models/net"), "net")
    assert home.find("results/scores/choice/main.json", "it").samefile(study / "results/scores/choice/main.json")
    assert find_model(Path("../../models/best")) == Path("../../models/net")


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"shares": "even"}, "SHARES=even: must be one of equal, as_found, estimated"),
        ({"coverage": 1.0}, "COVERAGE=1.0: must lie between 0 and 1"),
        ({"none_above": 101.0}, "NONE_ABOVE=101.0: must be a percentage"),
        ({"group_pattern": "("}, "is no regular expression"),
        ({"group_pattern": "a.b"}, "needs one group in parentheses, not 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(given, match):
    with pytest.raises(StudyError, match=match):
        Request("photos", "model", **given).check()
    Request("photos", "model", group_pattern="(a)").check()


def test_answers_go_into_a_folder_of_their_own(tmp_path):
    asked, out = Request("../photos", "../model", shards=3), tmp_path / "out"
    asked.write(out)
    assert request.read(out) == asked
    Request("../photos", "../other").write(out)
    with pytest.raises(StudyError, match="holds answers to the photos in .*/photos: name another folder with OUT"):
        Request("../others", "../model").write(out)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("x")
    with pytest.raises(StudyError, match="holds something else .'thesis.txt'.: name another folder with OUT"):
        asked.write(taken)
    with pytest.raises(StudyError, match="is a file"):
        asked.write(taken / "thesis.txt")
    files.write_json(out / request.FILE, files.read_json(out / request.FILE) | {"schema_version": 9})
    with pytest.raises(StudyError, match="schema version 9, this version of Manihot reads 2"):
        request.read(out)


def test_photos_stay_in_their_shards_until_these_have_grown_much(tmp_path):
    assert [request.shards_for(count, tmp_path) for count in (1, 4000, 4001, 10**7)] == [1, 1, 2, 500]
    Request("photos", "model", shards=2).write(tmp_path / "out")
    assert [request.shards_for(count, tmp_path / "out") for count in (10, 32_000, 32_001)] == [2, 2, 9]


def test_a_model_that_is_not_whole_is_refused_before_any_photo_is_answered(study):
    models = study / "results/models"
    assert request.check_model(models / "net") == models / "net"
    with pytest.raises(StudyError, match="holds no model .*did you mean net"):
        request.check_model(models / "nett")
    record = models / "net" / "model.json"
    content = files.read_json(record)
    files.write_json(record, content | {"schema_version": 99})
    with pytest.raises(StudyError, match="schema version 99"):
        request.check_model(models / "net")
    files.write_json(record, content)
    weights = models / "net/fold1/weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(StudyError, match="weights.safetensors is missing or damaged: delete"):
        request.check_model(models / "net")


def test_another_fit_or_other_values_are_other_settings(study):
    def settings(**given):
        asked = Request("../photos", "results/models/net", **given)
        return {rule: content for rule, _, content in asked.jobs(study)}

    before = settings()
    assert settings(none_above=90.0)["predict_new"] == before["predict_new"]
    assert settings(none_above=90.0)["join_new"] != before["join_new"]
    # Shares make other answers of what the members said.
    assert settings(shares="as_found")["predict_new"] == before["predict_new"]
    assert settings(shares="as_found")["join_new"] != before["join_new"]
    record = study / "results/models/net/model.json"
    record.write_text(record.read_text() + "\n")
    assert settings()["predict_new"] != before["predict_new"]


def test_labels_ask_for_an_evaluation_beside_the_model_s_own_test(study):
    def rules(**given):
        asked = Request("../photos", "results/models/net", **given)
        return {rule: content for rule, _, content in asked.jobs(study)}

    assert not {"evaluate_new", "show_evaluation"} & set(rules())
    found = rules(labels="", classes={"rust": "9"})
    assert {"evaluate_new", "show_evaluation"} == set(found) - set(rules())
    told = found["evaluate_new"]
    assert told["own"]["test"][0]["path"] == "results/predictions/net/fold1/test.csv" and len(told["own"]["test"]) == 2
    assert (told["seed"], told["resamples"], told["classes"]) == (42, 2000, {"rust": "9"})
    files.write_json(study / "results/settings/score_model/net.json", {"settings": {"seed": 7, "resamples": 100}})
    shutil.rmtree(study / "results/predictions")
    told = rules(labels="")["evaluate_new"]
    assert told["own"] == {} and (told["seed"], told["resamples"]) == (7, 100)
