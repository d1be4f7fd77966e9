"""The synthetic data sets."""

import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from manihot.core.errors import StudyError
from manihot.photos import demo
from manihot.photos.facts import Label


def rendered(folder: Path, **changed: Any) -> list[Label]:
    arguments: dict[str, Any] = {
        "photos": 6, "kind": "leaves", "seed": 7, "label_noise": 0.0, "duplicates": 0, "damaged": 0,
    }  # fmt: skip
    asked = {"processes": changed.pop("processes", 2), "progress": changed.pop("progress", lambda done, total: None)}
    return demo.render_demo(folder, demo.Demo(**arguments | changed), **asked)


def read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def small(content: bytes) -> np.ndarray:
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("L")
    return np.asarray(picture.resize((32, 24), Image.Resampling.BOX), dtype=float)


def test_a_photo_depends_on_its_seed_and_number_only(tmp_path: Path) -> None:
    first = rendered(tmp_path / "first", photos=6, processes=1)
    again = rendered(tmp_path / "again", photos=3, processes=2)
    assert first[:3] == again
    photos = read(tmp_path / "first")
    assert len(set(photos.values())) == 6
    assert {name: photos[name] for name in read(tmp_path / "again")} == read(tmp_path / "again")
    rendered(tmp_path / "again", photos=3, seed=8)
    assert not set(read(tmp_path / "again").values()) & set(photos.values())


def test_photos_are_400_by_300_and_one_lies_on_its_side(tmp_path: Path) -> None:
    rendered(tmp_path / "photos", photos=2)
    sizes = [Image.open(tmp_path / "photos" / f"leaves_0000{number}.jpg").size for number in (0, 1)]
    assert sizes == [(300, 400), (400, 300)]
    upright = ImageOps.exif_transpose(Image.open(tmp_path / "photos" / "leaves_00000.jpg"))
    assert upright.size == (400, 300)
    expected = demo._render(0, "leaves", 7, 0.0)
    assert np.abs(np.asarray(upright, dtype=float) - np.asarray(expected)).mean() < 8


def test_classes_keep_their_shares() -> None:
    for seed, count in [(1, 600), (42, 600), (42, 100)]:
        classes = Counter(demo._class_of(index, "leaves", seed) for index in range(count))
        for number, share in enumerate((0.051, 0.102, 0.112, 0.615, 0.120)):
            assert abs(classes[number] - share * count) < 3
    needles = Counter(demo._class_of(index, "needles", 42) for index in range(24))
    assert needles[0] >= 19


def test_label_noise_shows_other_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = [
        kind._replace(render=lambda rng, number=number: Image.new("L", (1, 1), number))
        for number, kind in enumerate(demo.KINDS["leaves"])
    ]
    monkeypatch.setitem(demo.KINDS, "leaves", kinds)

    def wrong(noise: float) -> float:
        shown = [demo._render(index, "leaves", 3, noise).getpixel((0, 0)) for index in range(1000)]
        return float(np.mean([pixel != demo._class_of(index, "leaves", 3) for index, pixel in enumerate(shown)]))

    assert wrong(0.0) == 0
    assert 0.07 < wrong(0.1) < 0.13
    assert wrong(1.0) == 1


def test_duplicates_and_damaged_files(tmp_path: Path) -> None:
    labels = rendered(tmp_path / "photos", photos=17, duplicates=5, damaged=2)
    photos = list(read(tmp_path / "photos").items())
    contents = [content for _, content in sorted(photos)]
    assert [label.image_id for label in labels] == sorted(name for name, _ in photos)
    originals = [small(content) for content in contents[:10]]
    for number, content in enumerate(contents[10:15]):
        copy = small(content)
        # A slight crop moves the picture a little; brighter is brighter.
        correlations = [np.corrcoef(copy.ravel(), original.ravel())[0, 1] for original in originals]
        source = int(np.argmax(correlations))
        assert correlations[source] > 0.95
        assert content not in contents[:10]
        same_label = labels[10 + number].label == labels[source].label
        assert same_label == (number < 4)
    assert Image.open(io.BytesIO(contents[15])).size == (400, 300)
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(contents[15])).load()
    assert contents[16] == b""


def test_the_other_kind_of_leaf(tmp_path: Path) -> None:
    labels = rendered(tmp_path / "photos", kind="needles", photos=12)
    assert {"needle"} < {label.label for label in labels} <= {"needle", "round leaf", "lobed leaf"}
    # Paper is pale where leaves in a field have soil and grass around them.
    assert np.mean([small(content).mean() for content in read(tmp_path / "photos").values()]) > 150


def test_no_room_for_photos(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="8 leave no room beside 6 duplicates and 2 damaged"):
        rendered(tmp_path / "photos", photos=8, duplicates=6, damaged=2)
    assert not list(tmp_path.iterdir())
