"""Kaggle's competitions, without Kaggle."""

import json
from pathlib import Path

import pytest
import requests
from kagglehub.exceptions import KaggleApiHTTPError

from manihot.core.errors import StudyError
from manihot.photos import kaggle
from manihot.photos.facts import Label

COMPETITION = "some-leaves"


def fetched(folder: Path, photos: str = "photos") -> list[Label]:
    return kaggle.fetch_competition(
        folder / "images", COMPETITION, "train.csv", photos, "names.json", only=["0"], prefix=""
    )


@pytest.mark.parametrize("photos", ["photos", "."])
def test_labelled_photos_are_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photos: str) -> None:
    source = tmp_path / "cache"
    (source / photos).mkdir(parents=True)
    for name in ("1.jpg", "2.jpg", "unlabelled.jpg"):
        (source / photos / name).write_bytes(b"photo")
    (source / "train.csv").write_text("image_id,label\n1.jpg,0\n2.jpg,1\ngone.jpg,0\n")
    (source / "names.json").write_text(json.dumps({"0": "Blight"}))
    monkeypatch.setattr(kaggle, "competition_download", lambda handle: str(source))
    assert fetched(tmp_path, photos) == [Label("1.jpg", "0", "Blight"), Label("gone.jpg", "0", "Blight")]
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["1.jpg"]
    assert (tmp_path / "images" / "1.jpg").samefile(source / photos / "1.jpg")


def test_without_credentials_one_line_says_where_they_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    with pytest.raises(StudyError) as caught:
        fetched(tmp_path)
    assert COMPETITION in str(caught.value)
    assert "~/.kaggle/access_token or KAGGLE_API_TOKEN" in str(caught.value)
    assert "\n" not in str(caught.value)


def answer(status: int) -> KaggleApiHTTPError:
    response = requests.Response()
    response.status_code = status
    return KaggleApiHTTPError("a\nlong\nstory", response=response)


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (answer(403), "Kaggle answers 403: accept the rules at www.kaggle.com/competitions/some-leaves"),
        (answer(404), "Kaggle answers 404: mend `competition`"),
        (
            requests.ConnectionError("a\nlong\nstory"),
            "cannot be reached .ConnectionError.: check the network",
        ),
        (ValueError("Invalid Kaggle credentials file"), "Invalid Kaggle credentials file.: make a token"),
    ],
)
def test_refusals_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception, message: str
) -> None:
    def fail(handle: str) -> str:
        raise failure

    monkeypatch.setattr(kaggle, "competition_download", fail)
    with pytest.raises(StudyError, match=message) as caught:
        fetched(tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
