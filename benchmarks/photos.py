"""The photos that are measured on: the sample's where they are, synthetic ones elsewhere."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import SAMPLE
from numpy.typing import NDArray
from PIL import Image

from manihot.catalog import inspect
from manihot.core import files
from manihot.core.state import State
from manihot.pixels.cache import ARRAY, MANIFEST, cache_shard

CLASSES, SHARD = 5, 0


@cache
def paths(count: int) -> list[Path]:
    """So many photos of the sample, or noise as 800x600 JPEG files."""
    if SAMPLE.is_dir():
        return sorted(SAMPLE.iterdir())[:count]
    folder = Path(tempfile.gettempdir()) / "manihot-synthetic-photos"
    folder.mkdir(exist_ok=True)
    for index in range(count):
        path = folder / f"{index:05}.jpg"
        if not path.exists():
            coarse = np.random.default_rng(index).integers(0, 256, (75, 100, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((800, 600)).save(path, quality=90)
    return [folder / f"{index:05}.jpg" for index in range(count)]


def labelled(count: int) -> list[tuple[Path, int]]:
    """The photos with a class each."""
    return [(path, index % CLASSES) for index, path in enumerate(paths(count))]


def look(count: int, folder: Path) -> Path:
    """The catalog's table of the photos, in `folder`."""
    listing, table = folder / "listing.csv", folder / "table.csv"
    files.write_rows(listing, ("image_id",), [(path.name,) for path in paths(count)])
    rows, _ = inspect.catalog_shard(listing, paths(count)[0].parent, 50_000_000, lambda *_: None)
    files.write_rows(table, inspect.COLUMNS, rows)
    return table


def cache_pixels(count: int, size: int, folder: Path) -> Path:
    """The manifest of the photos' pixels, cached by the stages themselves: `folder`/photos/{size}px/0.json."""
    table, root = look(count, folder), paths(count)[0].parent
    target = folder / "photos" / f"{size}px" / f"{SHARD}"
    with State(folder / "state", "cache_pixels", {"size": size}, "", "") as state:
        cache_shard(table, root, size, "exact", state, lambda *_: None)
        state.finish(ARRAY, MANIFEST)
        state.emit({ARRAY: f"{target}.npy", MANIFEST: f"{target}.json"})
    return target.with_suffix(".json")


def cataloged(count: int) -> pd.DataFrame:
    """The photos as a catalog has them; fold 2 is every fifth five of them."""
    table = pd.DataFrame({"image_id": [path.name for path in paths(count)]})
    index = np.arange(count)
    table["dataset"], table["shard"], table["row"], table["status"] = "photos", SHARD, index, "ok"
    table["label"], table["fold"] = (index % CLASSES).astype(str), np.where(index // CLASSES % 5 == 4, 2, 1)
    return table


@cache
def pixels(count: int, size: int) -> NDArray[np.uint8]:
    """The photos' pixels uint8 [n, size, size, 3], as the study has them."""
    from theirs import JpegFiles

    photos = JpegFiles(labelled(count), size)
    return np.stack([(photos[i][0] * 255).round().byte().permute(1, 2, 0).numpy() for i in range(count)])
