"""New photos that show the same picture as a photo of the study are told, each of them."""

import numpy as np
from PIL import Image, ImageEnhance

from manihot.applied import copies
from manihot.catalog import inspect
from manihot.catalog.fingerprints import Describer
from manihot.core import files


def picture(path, seed):
    """A picture with structure at every scale, as a photo has."""
    random = np.random.default_rng(seed)
    mixed = np.zeros((240, 320, 3))
    for size, weight in ((2, 5), (4, 4), (8, 3), (16, 2), (60, 1)):
        layer = Image.fromarray(random.integers(0, 256, (size, size + 1, 3), dtype=np.uint8))
        mixed += np.asarray(layer.resize((320, 240), Image.Resampling.BICUBIC), float) * weight / 15
    Image.fromarray((128 + (mixed - 128) * 1.2).clip(0, 255).astype(np.uint8)).save(path, quality=95)


def catalogued(folder, target, names):
    """Write the catalog of some photos, and their fingerprints."""
    target.mkdir()
    files.write_rows(target / "listing.csv", ["image_id"], [[name] for name in names])
    look = Describer()
    rows, thumbnails = inspect.catalog_shard(target / "listing.csv", folder, 10**7, lambda *_: None, look)
    np.save(target / "0.npy", look.packed(thumbnails))
    return rows


def test_each_copy_of_a_photo_of_the_study_is_told(tmp_path):
    study, new = tmp_path / "study", tmp_path / "new"
    study.mkdir(), new.mkdir()
    for number in range(6):
        picture(study / f"{number}.jpg", number)
    for name in ("same.jpg", "twin.jpg"):
        (new / name).write_bytes((study / "2.jpg").read_bytes())
    bright = ImageEnhance.Brightness(Image.open(study / "4.jpg")).enhance(1.1)
    for name in ("bright.jpg", "bright_twin.jpg"):
        bright.save(new / name, quality=80)
    picture(new / "other.jpg", 99)
    (new / "empty.jpg").touch()

    rows = catalogued(study, tmp_path / "s", [f"{number}.jpg" for number in range(6)])
    catalog = [row | {"dataset": "leaves", "label": "a", "shard": 0, "row": n} for n, row in enumerate(rows)]
    files.write_rows(tmp_path / "leaves.csv", ["dataset", "label", "shard", "row", *inspect.COLUMNS], catalog)
    names = sorted(path.name for path in new.iterdir())
    files.write_rows(tmp_path / "new.csv", inspect.COLUMNS, catalogued(new, tmp_path / "n", names))

    known = {"catalog": tmp_path / "leaves.csv", "fingerprints": [tmp_path / "s/0.npy"], "root": str(study)}
    photos = copies.read_shards([tmp_path / "new.csv"])
    prints = [np.load(tmp_path / "n/0.npy")]
    found = copies.find(photos, prints, str(new), {"leaves": known}, 10**7, lambda *_: None)
    assert dict(zip(found["image_id"], found["copy_of"], strict=True)) == {
        "bright.jpg": "leaves/4.jpg", "bright_twin.jpg": "leaves/4.jpg", "same.jpg": "leaves/2.jpg", "twin.jpg": "leaves/2.jpg",
    }  # fmt: skip
    assert list(found["kind"]) == ["near", "near", "exact", "exact"]
    assert list(copies.find(photos, prints, str(new), {}, 10**7, lambda *_: None)) == copies.COLUMNS
