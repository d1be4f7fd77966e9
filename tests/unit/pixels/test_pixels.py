"""Cached pixels are those of Pillow, survive a kill, and are checked whenever they are read."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms import Resize

from manihot.catalog.inspect import COLUMNS, catalog_shard
from manihot.core import files
from manihot.core.errors import StudyError
from manihot.core.state import State
from manihot.pixels import cache as pixel_cache
from manihot.pixels import store

SAMPLE = Path(__file__).parents[3].parent / "shared" / "data"
SIZE = 48


class KilledError(Exception):
    """Stands for the signal that ends a job."""


def picture(seed, width=130, height=100):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC), int)
    return Image.fromarray((smooth + rng.integers(-20, 20, smooth.shape)).clip(0, 255).astype(np.uint8))


def reference(path, size=SIZE):
    """The study's own pixels: Pillow's decode, then torchvision's resize of the Pillow image."""
    return np.asarray(Resize((size, size))(Image.open(path).convert("RGB")), int)


def tabulate(folder, names):
    table = folder.parent / "catalog.csv"
    files.write_rows(table, ("image_id",), [(name,) for name in names])
    rows, _ = catalog_shard(table, folder, 1_000_000, lambda *_: None)
    files.write_rows(table, COLUMNS, rows)
    return table


def cache(folder, table, root, size=SIZE, decode="exact", progress=lambda *_: None):
    """What the script does: the state's folder, with its array and manifest."""
    with State(root, "cache_pixels", {"size": size, "decode": decode}, "code", files.sha256(table)) as state:
        if not state.finished():
            pixel_cache.cache_shard(table, folder, size, decode, state, progress)
            state.finish(pixel_cache.ARRAY, pixel_cache.MANIFEST)
        target = root / "leaves" / f"{size}px"
        state.emit({pixel_cache.ARRAY: target / "0.npy", pixel_cache.MANIFEST: target / "0.json"})
    return target / "0.json"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def drawn_photos(folder, count):
    names = [f"{index}.jpg" for index in range(count)]
    for index, name in enumerate(names):
        picture(index).save(folder / name, quality=85, subsampling=index % 3, progressive=index % 2 == 1)
    return names


def catalog_of(names):
    rows = range(len(names))
    return pd.DataFrame({"dataset": "leaves", "image_id": names, "shard": 0, "row": rows, "status": "ok"})


def test_exact_pixels_are_within_one_grey_level_of_the_study(folder, tmp_path):
    names = drawn_photos(folder, 12)
    manifest = cache(folder, tabulate(folder, names), tmp_path)
    array = np.load(manifest.with_suffix(".npy"))
    assert array.shape == (12, SIZE, SIZE, 3) and array.dtype == np.uint8
    for row, name in zip(array, names, strict=True):
        assert np.abs(row - reference(folder / name)).max() <= 1


@pytest.mark.parametrize("size", [96, 224])
def test_exact_pixels_of_real_photos_are_within_one_grey_level(size):
    if not SAMPLE.is_dir():
        pytest.skip(f"no sample photos in {SAMPLE}")
    paths = [
        *sorted((SAMPLE / "cassava/images").iterdir())[::75],
        *sorted((SAMPLE / "species/images").iterdir())[::60],
    ]
    for path in paths:
        got = pixel_cache.new_square(path, size, "exact", 10**8)
        assert np.abs(got - reference(path, size)).max() <= 1, path.name


@pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")
def test_the_decoder_gives_what_torchvisions_gives(folder):
    for name in drawn_photos(folder, 6):
        data = (folder / name).read_bytes()
        expected = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)
        assert (pixel_cache._decode_jpeg(data, None) == expected.permute(1, 2, 0).numpy()).all()


def test_every_other_kind_of_photo_is_made_right(folder, tmp_path):
    image = picture(1)
    clear = image.copy()
    clear.putalpha(Image.linear_gradient("L").resize(image.size))
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    image.convert("L").save(folder / "grey.jpg", quality=95)
    image.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    image.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", quality=95, exif=exif)
    deep.save(folder / "deep.png")
    clear.save(folder / "clear.png")
    image.save(folder / "plain.webp", lossless=True)
    (folder / "text.jpg").write_text("no photo")
    white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), clear)
    expected = {
        "grey.jpg": image.convert("L"), "cmyk.jpg": image, "turned.jpg": image,
        "deep.png": image.convert("L"), "clear.png": white, "plain.webp": image,
    }  # fmt: skip
    manifest = cache(folder, tabulate(folder, [*expected, "text.jpg"]), tmp_path)
    array = np.load(manifest.with_suffix(".npy"))
    for row, (name, right) in zip(array[:-1], expected.items(), strict=True):
        resized = np.asarray(right.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR), int)
        assert np.abs(row - resized).max() <= (12 if name.endswith("jpg") else 0), name
    assert not array[-1].any()
    record = json.loads(manifest.read_text())
    assert record["statuses"] == ["ok"] * 6 + ["not an image"] and record["shape"] == [7, SIZE, SIZE, 3]
    # A photo that no catalog has is seen alike.
    for row, name in zip(array[:-1], expected, strict=True):
        assert (pixel_cache.new_square(folder / name, SIZE, "exact", 10**6) == row).all(), name


def test_fast_pixels_come_from_a_smaller_decode_and_look_the_same(folder, tmp_path):
    picture(0, 800, 600).save(folder / "large.jpg", quality=90)
    picture(0, 100, 90).save(folder / "small.jpg", quality=90)
    data = (folder / "large.jpg").read_bytes()
    assert pixel_cache._decode_jpeg(data, 224).shape == (300, 400, 3)
    assert pixel_cache._decode_jpeg(data, 96).shape == (150, 200, 3)
    assert pixel_cache._decode_jpeg(data, 301).shape == (600, 800, 3)
    table = tabulate(folder, ["large.jpg", "small.jpg"])
    fast, exact = (
        np.load(cache(folder, table, tmp_path / decode, 64, decode).with_suffix(".npy")).astype(int)
        for decode in ("fast", "exact")
    )
    assert 0 < np.abs(fast[0] - exact[0]).mean() < 3 and (fast[1] == exact[1]).all()
    assert (pixel_cache.new_square(folder / "large.jpg", 64, "fast", 10**6) == fast[0]).all()


def killed_after_two_blocks(folder, table, root):
    """The half-made array of a job that ended after two blocks."""

    def kill(done, total, text):
        if done >= 128:
            raise KilledError

    with pytest.raises(KilledError):
        cache(folder, table, root, 8, progress=kill)
    (array,) = root.glob("*/pixels.npy")
    return array


def test_a_killed_job_goes_on_and_ends_with_the_same_bytes(folder, tmp_path):
    names = drawn_photos(folder, 200)
    table = tabulate(folder, names)
    whole = cache(folder, table, tmp_path / "whole", 8)

    array = killed_after_two_blocks(folder, table, tmp_path / "killed")
    with array.open("ab") as handle:
        handle.write(bytes(100 * 8 * 8 * 3))  # more than is still to come
    for name in names[:128]:
        (folder / name).unlink()  # finished blocks are not decoded again
    resumed = cache(folder, table, tmp_path / "killed", 8)
    for suffix in (".npy", ".json"):
        assert resumed.with_suffix(suffix).read_bytes() == whole.with_suffix(suffix).read_bytes()


def test_a_damaged_block_is_decoded_again(folder, tmp_path):
    table = tabulate(folder, drawn_photos(folder, 140))
    whole = cache(folder, table, tmp_path / "whole", 8)

    array = killed_after_two_blocks(folder, table, tmp_path / "killed")
    content = bytearray(array.read_bytes())
    content[-5] ^= 1
    array.write_bytes(content)
    seen = []
    resumed = cache(folder, table, tmp_path / "killed", 8, progress=lambda done, *_: seen.append(done))
    assert seen == [128, 140]
    assert resumed.with_suffix(".npy").read_bytes() == whole.with_suffix(".npy").read_bytes()


def test_damage_after_the_end_is_noticed_and_mended(folder, tmp_path):
    names = drawn_photos(folder, 5)
    table = tabulate(folder, names)
    manifest = cache(folder, table, tmp_path)
    array = manifest.with_suffix(".npy")
    right = array.read_bytes()
    photos = catalog_of(names)
    before = store.digest(photos, [manifest], photos)
    damaged = bytearray(right)
    damaged[-SIZE * SIZE * 3 - 1] ^= 4  # in the last but one photo
    array.write_bytes(damaged)
    with pytest.raises(StudyError, match="0.npy is damaged at photo 3.jpg: delete"):
        store.gather(photos, photos, [manifest], SIZE)
    store.gather(photos.drop(index=3), photos, [manifest], SIZE)  # nobody else's photos are looked at
    array.write_bytes(right[:-100])
    with pytest.raises(StudyError, match="missing or damaged"):
        store.gather(photos, photos, [manifest], SIZE)
    array.unlink()
    with pytest.raises(StudyError, match="missing or damaged"):
        store.gather(photos, photos, [manifest], SIZE)
    assert cache(folder, table, tmp_path).with_suffix(".npy").read_bytes() == right
    assert store.digest(photos, [manifest], photos) == before


def test_a_photo_that_changed_since_the_catalog_stops_the_job(folder, tmp_path):
    names = drawn_photos(folder, 3)
    table = tabulate(folder, names)
    picture(99).save(folder / names[1])
    with pytest.raises(StudyError, match=r"1\.jpg .*content changed.*again"):
        cache(folder, table, tmp_path)
    (folder / names[1]).unlink()
    with pytest.raises(StudyError, match=r"1\.jpg .*again"):
        cache(folder, table, tmp_path)


def test_gather_gives_the_asked_photos_in_the_asked_order(folder, tmp_path):
    names = drawn_photos(folder, 7)
    manifest = cache(folder, tabulate(folder, names), tmp_path)
    other = cache(folder, tabulate(folder, names), tmp_path, 16)
    array = np.load(manifest.with_suffix(".npy"))
    catalog = catalog_of(names)
    order = [5, 0, 5, 2]
    asked = catalog.iloc[order][["dataset", "image_id"]]
    gathered = store.gather(asked, catalog, [other, manifest], SIZE)
    assert gathered.shape == (4, SIZE, SIZE, 3) and gathered.nbytes == array[order].nbytes
    assert (gathered[:] == array[order]).all() and (gathered[np.array([3, 1])] == array[[2, 0]]).all()
    assert store.gather(asked[:0], catalog, [manifest], SIZE).shape == (0, SIZE, SIZE, 3)
    with pytest.raises(StudyError, match="no pixels of shard 0"):
        store.gather(asked, catalog, [manifest], 64)
    with pytest.raises(StudyError, match="x.jpg of leaves is in no catalog"):
        store.gather(asked.assign(image_id="x.jpg"), catalog, [manifest], SIZE)
    shifted = catalog.assign(row=(catalog["row"] + 1) % 7)
    with pytest.raises(StudyError, match="does not go with the catalog"):
        store.gather(asked, shifted, [manifest], SIZE)
    manifest.write_text("{}")
    with pytest.raises(StudyError, match=r"0\.json is missing or damaged"):
        store.gather(asked, catalog, [manifest], SIZE)


def test_photos_of_several_shards_are_one_array(folder, tmp_path):
    names = drawn_photos(folder, 9)
    whole = np.load(cache(folder, tabulate(folder, names), tmp_path / "whole").with_suffix(".npy"))
    manifests = []
    for shard in range(3):
        made = cache(folder, tabulate(folder, names[shard::3]), tmp_path / str(shard))
        for suffix in (".json", ".npy"):
            files.write_bytes(tmp_path / f"leaves/{SIZE}px/{shard}{suffix}", made.with_suffix(suffix).read_bytes())
        manifests.append(tmp_path / f"leaves/{SIZE}px/{shard}.json")
    catalog = catalog_of(names).assign(shard=np.arange(9) % 3, row=np.arange(9) // 3)
    order = np.array([8, 0, 4, 3, 0])
    gathered = store.gather(catalog, catalog, manifests, SIZE)
    assert (gathered[order] == whole[order]).all() and (gathered[2:7] == whole[2:7]).all()
    assert gathered[:0].shape == (0, SIZE, SIZE, 3)


def test_the_digest_is_that_of_the_photos_content(folder, tmp_path):
    names = drawn_photos(folder, 4)
    catalog = catalog_of(names)
    manifest = cache(folder, tabulate(folder, names), tmp_path / "a")
    whole, some = (store.digest(photos, [manifest], catalog) for photos in (catalog, catalog[:2]))
    assert whole != some != store.digest(catalog[:2].iloc[::-1], [manifest], catalog)
    picture(50).save(folder / names[3])
    changed = cache(folder, tabulate(folder, names), tmp_path / "b")
    assert store.digest(catalog, [changed], catalog) != whole
    assert store.digest(catalog[:2], [changed], catalog) == some


def test_a_shard_without_photos_is_an_empty_array(folder, tmp_path):
    manifest = cache(folder, tabulate(folder, []), tmp_path)
    assert np.load(manifest.with_suffix(".npy")).shape == (0, SIZE, SIZE, 3)


def test_a_jpeg_with_a_flaw_is_left_to_pillow(folder):
    """A decoder that gives up politely would fill the rest with grey; Pillow refuses."""
    buffer = io.BytesIO()
    picture(3).save(buffer, "JPEG")
    assert pixel_cache._decode_jpeg(buffer.getvalue()[:-600], None) is None
