"""Sites from the positions that cameras wrote into photos: numbered places, of which no position is kept.

Read only where a study asks for it. A place's number says how many photos it has, and nothing of where it lies.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import ExifTags, Image
from scipy.spatial import cKDTree

from manihot.catalog.duplicates import group_of
from manihot.catalog.inspect import FORMATS

APART = 1.0  # kilometres: photos that are nearer than this, also by way of others, are of one place
UNKNOWN = "no position"
EARTH = 6371.0  # its mean radius, kilometres
# Positions are compared by cells of this size, so that a thousand photos of a field are one point.
CELL = 0.1  # kilometres


def places(root: Path, image_ids: Sequence[str], progress: Callable[[int, int, str], None]) -> list[str]:
    """The place of each photo below `root`: `place 1` has most photos; UNKNOWN without a position that can be read."""
    positions = np.full((len(image_ids), 2), np.nan)
    for index, image_id in enumerate(image_ids):
        positions[index] = position(root / image_id) or (np.nan, np.nan)
        progress(index + 1, len(image_ids), "positions read")
    return _named(positions, image_ids)


def position(path: Path) -> tuple[float, float] | None:
    """Latitude and longitude of a photo in degrees, from its EXIF; None where there is none, or none that can be."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as image:
            gps = image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
        found = (
            _degrees(gps[ExifTags.GPS.GPSLatitude], gps.get(ExifTags.GPS.GPSLatitudeRef), "S"),
            _degrees(gps[ExifTags.GPS.GPSLongitude], gps.get(ExifTags.GPS.GPSLongitudeRef), "W"),
        )
    except Exception:  # whatever a damaged file or damaged metadata raise
        return None
    known = abs(found[0]) <= 90 and abs(found[1]) <= 180 and found != (0.0, 0.0)  # cameras without a fix write zeros
    return found if known else None


def _degrees(parts: Any, side: Any, negative: str) -> float:
    degrees = sum(float(part) / 60**power for power, part in enumerate(parts))
    if not math.isfinite(degrees):
        raise ValueError("no number")
    return -degrees if str(side).strip().upper() == negative else degrees


def _named(positions: NDArray[np.float64], image_ids: Sequence[str]) -> list[str]:
    """The places of positions in degrees [N, 2], NaN where unknown."""
    known = np.flatnonzero(~np.isnan(positions).any(axis=1))
    if not len(known):
        return [UNKNOWN] * len(positions)
    latitude, longitude = np.radians(positions[known]).T
    north = np.cos(latitude)
    points = EARTH * np.stack([north * np.cos(longitude), north * np.sin(longitude), np.sin(latitude)], axis=1)
    cells, cell = np.unique(np.round(points / CELL), axis=0, return_inverse=True)
    one, other = cKDTree(cells * CELL).query_pairs(APART, output_type="ndarray").T
    group = group_of(len(cells), one, other)[cell]
    photos = pd.DataFrame({"group": group, "image_id": np.array(image_ids)[known]})
    sizes = photos.groupby("group")["image_id"].agg(["size", "min"])
    order = sizes.sort_values(["size", "min"], ascending=[False, True]).index
    number = {group: f"place {rank}" for rank, group in enumerate(order, start=1)}
    named = np.full(len(positions), UNKNOWN, dtype=object)
    named[known] = photos["group"].map(number)
    return named.tolist()
