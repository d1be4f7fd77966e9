"""Camera and time as EXIF says them; damaged and hostile EXIF data cost neither the photo nor the catalog."""

import csv
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from manihot.catalog.exif import LONGEST, camera_and_time
from manihot.catalog.inspect import COLUMNS, catalog_shard
from manihot.core import files

LIMIT = 50_000
MAKE, MODEL, TAKEN = ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.DateTimeOriginal


def exif(make=None, model=None, taken=None, orientation=None):
    data = Image.Exif()
    for tag, value in ((MAKE, make), (MODEL, model), (ExifTags.Base.Orientation, orientation)):
        if value is not None:
            data[tag] = value
    if taken is not None:
        data.get_ifd(ExifTags.IFD.Exif)[TAKEN] = taken
    return data


def cataloged(folder, name, data, kind=None):
    if name.endswith("tif") and data.get_ifd(ExifTags.IFD.Exif):
        data[ExifTags.IFD.Exif] = 0  # Pillow then writes that folder too
    (folder / "photos").mkdir(exist_ok=True)
    Image.new("RGB", (40, 30), "green").save(folder / "photos" / name, kind, exif=data)
    files.write_rows(folder / "list.csv", ("image_id",), [(name,)])
    [row], _ = catalog_shard(folder / "list.csv", folder / "photos", LIMIT, lambda *_: None)
    assert tuple(row) == COLUMNS
    return row


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
@pytest.mark.parametrize("orientation", [None, 6])
def test_the_catalog_has_camera_and_hour(tmp_path, name, orientation):
    row = cataloged(tmp_path, name, exif("Canon", "EOS 5D", "2019:05:03 14:07:59", orientation))
    assert (row["status"], row["camera"], row["taken"]) == ("ok", "Canon EOS 5D", "2019-05-03T14")
    assert (row["width"], row["height"]) == ((30, 40) if orientation else (40, 30))


def test_a_photo_without_exif_or_that_is_set_aside_names_neither(tmp_path):
    row = cataloged(tmp_path, "a.png", Image.Exif())
    assert (row["status"], row["camera"], row["taken"]) == ("ok", "", "")
    files.write_rows(tmp_path / "list.csv", ("image_id",), [("gone.png",)])
    [row], _ = catalog_shard(tmp_path / "list.csv", tmp_path / "photos", LIMIT, lambda *_: None)
    assert (row["status"], row["camera"], row["taken"]) == ("missing", "", "")


def read(**tags):
    image = Image.new("RGB", (9, 9))
    image.getexif().update(exif(**tags))
    if "taken" in tags:
        image.getexif().get_ifd(ExifTags.IFD.Exif)[TAKEN] = tags["taken"]
    return camera_and_time(image)


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("NIKON CORPORATION", "NIKON D90", "NIKON CORPORATION NIKON D90"),
        ("Canon", "Canon EOS", "Canon EOS"),
        ("Apple", None, "Apple"),
        (None, "  iPhone\t6 \0\0", "iPhone 6"),
        ("=cmd|'/c calc'!A1", "x", "cmd|'/c calc'!A1 x"),
        ("@SUM(1)", "-2+3", "SUM(1) 2+3"),
        ("a\nb\r\nc", "\x1b[2Jd\u202ee", "a b c [2Jd e"),
        (b"Sony\0\xff\xfe", 7, "Sony"),
        ("\x00\x01", "\ud800", ""),
        ("x" * 10**6, None, "x" * LONGEST),
        ((1, 2), {"a": 1}, ""),
    ],
)  # fmt: skip
def test_a_camera_is_one_plain_line(make, model, camera):
    assert read(make=make, model=model)["camera"] == camera


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        ("2019:05:03 14:07:59", "2019-05-03T14"),
        ("2019-05-03T00:07", "2019-05-03T00"),
        (b"2019:05:03 14:07:59\0", "2019-05-03T14"),
        ("0000:00:00 00:00:00", ""),
        ("    :  :     :  :  ", ""),
        ("2019:02:30 10:00:00", ""),
        ("2019:05:03 24:00:00", ""),
        ("2019:05:03", ""),
        ("٢٠١٩:٠٥:٠٣ ١٤:٠٠:٠٠", ""),
        ("=2019:05:03 14:00", "2019-05-03T14"),
        (20190503, ""),
    ],
)  # fmt: skip
def test_a_time_is_a_day_and_an_hour_or_nothing(taken, said):
    assert read(taken=taken)["taken"] == said


def test_exif_that_raises_is_no_exif():
    class Broken(Image.Image):
        def getexif(self):
            raise struct.error("unpack requires a buffer")

    assert camera_and_time(Broken()) == {"camera": "", "taken": ""}


@settings(deadline=None)
@given(st.text(max_size=300) | st.binary(max_size=300), st.text(max_size=100))
def test_whatever_a_camera_says_it_stays_one_field_that_no_spreadsheet_runs(make, model):
    camera = read(make=make, model=model)["camera"]
    assert len(camera) <= LONGEST and camera.isprintable() and camera == camera.strip()
    assert not camera.startswith(("=", "+", "-", "@"))
    assert next(csv.reader([f"{camera.replace(chr(34), '')},end"]))[-1] == "end"


def test_positions_are_not_read(tmp_path):
    data = exif("Canon", "EOS", "2019:05:03 14:07:59")
    data.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (52.0, 30.0, 59.0)
    row = cataloged(tmp_path, "a.jpg", data)
    assert row["camera"] == "Canon EOS" and not any(
        "52" in str(value) for key, value in row.items() if key in ("camera", "taken", "mode")
    )
