"""Sites from the positions in photos: places near each other are one, and no position is told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from manihot.catalog import places


def photo(path, latitude=None, longitude=None, **changed):
    """A photo whose EXIF has a position in degrees, minutes and seconds."""
    exif = Image.Exif()
    if latitude is not None:
        parts = {"Latitude": (latitude, "NS"), "Longitude": (longitude, "EW")}
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
        for name, (degrees, sides) in parts.items():
            minutes = abs(degrees) * 60
            gps[ExifTags.GPS[f"GPS{name}"]] = (minutes // 60, minutes // 1 % 60, minutes % 1 * 60)
            gps[ExifTags.GPS[f"GPS{name}Ref"]] = sides[degrees < 0]
        for name, value in changed.items():
            gps[ExifTags.GPS[name]] = value
    Image.new("RGB", (16, 16)).save(path, exif=exif)
    return path


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(0.3476, 32.5825), (-1.2921, -36.8219), (89.5, 179.9), (-0.001, 0.0)]
)
def test_a_position_is_read_as_it_was_written(tmp_path, latitude, longitude):
    found = places.position(photo(tmp_path / "a.jpg", latitude, longitude))
    assert found == pytest.approx((latitude, longitude), abs=1e-5)


def test_what_is_no_position(tmp_path):
    assert places.position(photo(tmp_path / "none.jpg")) is None
    assert places.position(photo(tmp_path / "zero.jpg", 0.0, 0.0)) is None
    assert places.position(photo(tmp_path / "far.jpg", 0.3, 32.0, GPSLatitude=(91.0, 0.0, 0.0))) is None
    assert places.position(photo(tmp_path / "half.jpg", 0.3, 32.0, GPSLongitude=())) in (
        None,
        (pytest.approx(0.3), 0.0),
    )
    (tmp_path / "text.jpg").write_text("no photo")
    assert places.position(tmp_path / "text.jpg") is None
    content = bytearray(photo(tmp_path / "cut.jpg", 0.3, 32.0).read_bytes())
    content[30:60] = b"\xff" * 30
    (tmp_path / "cut.jpg").write_bytes(content)
    assert places.position(tmp_path / "cut.jpg") is None
    assert places.position(tmp_path / "nowhere.jpg") is None


def test_photos_near_each_other_are_one_place(tmp_path):
    step = 0.8 / 111.2  # degrees: 0.8 km
    where = [(0.30, 32.0), (0.30 + step, 32.0), (0.30 + 2 * step, 32.0), (0.35, 32.0), None, (0.35, 32.0001), (5, 5)]
    names = [photo(tmp_path / f"{n}.jpg", *(place or ())).name for n, place in enumerate(where)]
    seen = []
    found = places.places(tmp_path, names, lambda *step: seen.append(step[:2]))
    assert found == ["place 1", "place 1", "place 1", "place 2", "no position", "place 2", "place 3"]
    assert seen == [(n + 1, 7) for n in range(7)]
    assert places.places(tmp_path, ["4.jpg"], lambda *_: None) == ["no position"]


@given(
    st.lists(st.tuples(st.floats(-80, 80), st.floats(-180, 180)), min_size=1, max_size=20),
    st.randoms(use_true_random=False),
)
def test_places_do_not_depend_on_the_order_and_are_close_together(positions, random):
    names = [f"{n:02}.jpg" for n in range(len(positions))]
    found = dict(zip(names, places._named(np.array(positions), names), strict=True))
    rows = list(range(len(positions)))
    random.shuffle(rows)
    again = places._named(np.array(positions)[rows], [names[row] for row in rows])
    assert dict(zip([names[row] for row in rows], again, strict=True)) == found
    for one, first in zip(names, positions, strict=True):
        for other, second in zip(names, positions, strict=True):
            away = np.radians(np.subtract(second, first)) * places.EARTH * [1, np.cos(np.radians(first[0]))]
            if np.hypot(*away) < 0.7:
                assert found[one] == found[other]
