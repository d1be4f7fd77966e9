"""What a photo's EXIF data say of how it was taken: by which camera, on which day, at which hour.

Nobody checked these data: they may be damaged, missing, wrong, or written to attack who reads them. Positions (GPS) are
not read.
"""

import re
from datetime import date
from typing import Any

from PIL import ExifTags, Image

LONGEST = 60  # characters of a camera's name
COLUMNS = ("camera", "taken")

_TIME = re.compile(r"(\d{4})[:\-](\d\d)[:\-](\d\d)[ T](\d\d)", re.ASCII)
# What a spreadsheet takes for a formula when a field begins with it.
_FORMULA = "=+-@'\""


def camera_and_time(image: Image.Image) -> dict[str, str]:
    """`camera` (make and model) and `taken` (`YYYY-MM-DDTHH`) of an open photo, as its EXIF data say; no photo raises.

    What is not there, or cannot be read, is empty. The camera is one line of at most `LONGEST` printable characters
    that no spreadsheet takes for a formula. The time is that of the camera's clock, whatever its time zone.
    """
    return {"camera": _camera(image), "taken": _taken(image)}


def _camera(image: Image.Image) -> str:
    make, model = (_text(_value(image, tag)) for tag in (ExifTags.Base.Make, ExifTags.Base.Model))
    named = model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()
    return named[:LONGEST].strip()


def _taken(image: Image.Image) -> str:
    found = _TIME.match(_text(_value(image, ExifTags.Base.DateTimeOriginal, ExifTags.IFD.Exif)))
    if not found:
        return ""
    year, month, day, hour = map(int, found.groups())
    try:
        return f"{date(year, month, day).isoformat()}T{hour:02d}" if hour < 24 else ""
    except ValueError:
        return ""


def _value(image: Image.Image, tag: int, folder: int | None = None) -> Any:
    """The value of a tag of the main folder of the EXIF data, or of one below it; None where it cannot be read."""
    try:
        exif = image.getexif()
        return (exif if folder is None else exif.get_ifd(folder)).get(tag)
    except Exception:  # damaged metadata say nothing about the pixels
        return None


def _text(value: Any) -> str:
    """A text of the EXIF data as one printable line; empty where the value is no text."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if not isinstance(value, str):
        return ""
    # Cut first: a hostile text may be as long as its file.
    shown = "".join(letter if letter.isprintable() and letter != "�" else " " for letter in value[: 4 * LONGEST])
    return " ".join(shown.split()).lstrip(_FORMULA + " ")
