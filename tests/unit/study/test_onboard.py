"""`make study`: the study that fits into the time, what is told of it, and what a mistake says."""

from pathlib import Path

import pytest
from photo_folders import classes, photo, table

from manihot.core.errors import StudyError
from manihot.networks import packages
from manihot.study import onboard
from manihot.study.load import load
from manihot.study.rates import Speeds
from manihot.study.tasks import Task

# Seconds that a job takes to begin, and those of a photo in a training step of the upper part of a network.
START, STEP = 1.0, 0.05


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """A machine of known speed with one core, and a package index; what it was asked to measure."""
    asked: list[dict[str, object]] = []

    def measure(what: dict[str, object]) -> Speeds:
        asked.append(what)
        starts = dict.fromkeys(("tables", "probes", "torch", "heads", "networks", "boosting", "report"), START)
        return Speeds(starts, {Task("upper", "any", 64): STEP}, {Task("row", "any", 64): 5e3}, {})

    monkeypatch.setattr(onboard, "measure", measure)
    monkeypatch.setattr(onboard, "cores", lambda: 1)
    monkeypatch.setattr(packages, "out_of_reach", lambda _: "")
    return asked


def told(photos: Path, out: Path, *given: object) -> str:
    lines: list[str] = []
    onboard.write_study(photos, None, out, *given, say=lines.append)
    return "\n".join(lines)


@pytest.fixture(scope="module")
def leaves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folder") / "Meine Blätter"
    classes(folder, rust=60, healthy=60)
    return folder


def test_what_is_written_can_be_loaded_and_is_told(leaves: Path, tmp_path: Path, machine) -> None:
    said = told(leaves, tmp_path / "mine.yaml")
    for words in (
        "120 labelled photos of 2 classes", "tf_efficientnet_lite0, from the package index",
        "The study: tuned heads on lite0's features", "train_fold", "the whole", "TIME=30m: it fits", "make report STUDY=",
    ):  # fmt: skip
        assert words in said
    study = load(tmp_path / "mine.yaml")
    assert study.data["Meine_Blatter"].source == "folder" and Path(study.data["Meine_Blatter"].photos) == leaves
    assert study.title == "A study of Meine_Blatter"
    [asked] = machine
    assert 64 <= len(asked["photos"]) <= 120 and all(Path(path).is_file() for path in asked["photos"])


def test_the_richest_study_that_fits_into_the_time(leaves: Path, tmp_path: Path) -> None:
    for time, folds, refit in (("10m", None, False), ("2m50s", [1], True)):
        told(leaves, tmp_path / f"{time}.yaml", time)
        tuned = load(tmp_path / f"{time}.yaml").experiments["lite0_finetuned"]
        assert (tuned.run_folds, tuned.refit) == (folds, refit), time
    told(leaves, tmp_path / "short.yaml", "35s")
    assert not load(tmp_path / "short.yaml").experiments and load(tmp_path / "short.yaml").backbones["lite0"].head
    said = told(leaves, tmp_path / "none.yaml", "1s")
    assert "TIME=1s: no study of these photos is shorter here; this is the shortest" in said
    assert not load(tmp_path / "none.yaml").experiments and not load(tmp_path / "none.yaml").boosting


def test_without_a_package_index_or_files_the_photos_have_to_do(
    leaves: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "out_of_reach", lambda _: "no answer within 60 s")
    said = told(leaves, tmp_path / "mine.yaml")
    [line] = [line for line in said.splitlines() if line.startswith("No published weights are in reach")]
    assert "(no answer within 60 s)" in line and "as WEIGHTS, and run `make study` again" in line
    assert {entry.network for entry in load(tmp_path / "mine.yaml").experiments.values()} == {"small_cnn"}


def test_files_of_weights_are_taken(leaves: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "resnet18-f37072fd.pth"
    file.touch()
    monkeypatch.setattr("manihot.networks.weights.fetch", lambda *_, seed: None)
    monkeypatch.setattr(packages, "out_of_reach", pytest.fail)
    said = told(leaves, tmp_path / "mine.yaml", "1h", tmp_path)
    assert f"Published weights: {file} for resnet18" in said
    study = load(tmp_path / "mine.yaml")
    assert {entry.weights for entry in study.backbones.values()} == {str(file)}
    assert study.experiments["resnet18_finetuned"].train_from == "layer4"


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("2h", 7200), ("90s", 90), ("1h30m", 5400), (" 1h2m3s ", 3723)]
)
def test_times(text: str, seconds: float) -> None:
    assert onboard.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "0s", "1.5h", "30 minutes", "5m1h", "-3m"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(StudyError, match="write it as 30m, 2h, 90s or 1h30m"):
        onboard.seconds_of(text)


def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    classes(tmp_path / "small", a=30, b=5)
    classes(tmp_path / "tables", a=10, b=10)
    for name in ("a.csv", "b.csv"):
        table(tmp_path / "tables" / name, "image,label", ["x.jpg,1"])
    photo(tmp_path / "flat" / "1.png")
    table(tmp_path / "strange.csv", "image,label", ["elsewhere.jpg,1"])
    table(tmp_path / "unlabelled.csv", "image,remark", ["a/0.png,x", "a/1.png,y", "a/2.png,z", "a/3.png,w"])
    (tmp_path / "there.yaml").write_text("precious")
    out = ["--out", str(tmp_path / "mine.yaml")]
    for arguments, words in [
        (["gone"], "no such folder"),
        (["small"], "two classes of at least 10 photos, found 1"),
        (["tables"], "which of a.csv, b.csv labels the photos"),
        (["flat"], "no photos in its sub-folders"),
        (["small", "--labels", str(tmp_path / "strange.csv")], "no column names files in"),
        (["small", "--labels", str(tmp_path / "unlabelled.csv")], "no column has labels that repeat"),
        (["small", "--labels", str(tmp_path / "gone.csv")], "no such file"),
        (["small", "--out", str(tmp_path / "there.yaml")], "is there already"),
        (["small", "--time", "soon"], "TIME=soon: is no time"),
        (["small", "--weights", str(tmp_path / "gone")], "give the folder with the files of weights as WEIGHTS"),
    ]:
        folder, *more = arguments
        assert onboard.main([str(tmp_path / folder), *out, *more]) == 1
        said = capsys.readouterr().err
        assert said.startswith("error: ") and said.count("\n") == 1
        assert words in said
    assert (tmp_path / "there.yaml").read_text() == "precious"
    assert not (tmp_path / "mine.yaml").exists()
