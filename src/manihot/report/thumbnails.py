"""Photos in the report: small WebP pictures inside the page itself."""

import base64
import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from manihot.catalog.inspect import UnusableError, open_photo

SIDE = 150
QUALITY = 62


class Photos:
    """The photos of a study's data sets, `roots` gives each its folder."""

    def __init__(self, roots: Mapping[str, str], max_pixels: int):
        self.roots = {name: Path(root) for name, root in roots.items()}
        self.max_pixels = max_pixels

    def show(self, dataset: str, image_id: str, *captions: str, tone: str = "") -> dict[str, Any]:
        """A photo for the template: picture (None where it cannot be opened any more), name, captions."""
        root = self.roots.get(dataset)
        source = None if root is None else thumbnail(root, image_id, self.max_pixels)
        return {"source": source, "name": image_id, "captions": captions, "tone": tone}


@cache
def thumbnail(root: Path, image_id: str, max_pixels: int) -> str | None:
    """A photo as a data URI, at most 150 pixels wide and high; None if unreadable or outside `root`."""
    path = (root / image_id).resolve()
    if not path.is_relative_to(root.resolve()):
        return None
    try:
        photo = open_photo(path, max_pixels)
    except UnusableError:
        return None
    photo.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    photo.save(buffer, "WEBP", quality=QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def examples(catalog: pd.DataFrame, label: str, number: int, seed: int) -> pd.DataFrame:
    """Some usable photos of a class, drawn with `seed`."""
    usable = catalog[(catalog["status"] == "ok") & (catalog["label"] == label)]
    return usable.sample(min(number, len(usable)), random_state=np.random.default_rng([seed, len(usable)]))
