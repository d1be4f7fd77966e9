"""Every kind of photo is accepted and made right, or set aside with its reason; nothing in a file raises."""

import io
import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from manihot.catalog.fingerprints import Describer
from manihot.catalog.inspect import COLUMNS, UnusableError, catalog_shard, open_photo
from manihot.catalog.table import build_catalog, copies_between, photos_of, read_properties
from manihot.core import files
from manihot.core.errors import StudyError

LIMIT = 50_000


def picture(width=60, height=40, seed=0):
    """A smooth colour picture whose corners differ."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def save(folder, name, image, **options):
    image.save(folder / name, **options)
    return name


def shard(folder, names, limit=LIMIT, look=None):
    listing = folder.parent / f"{folder.name}.csv"
    files.write_rows(listing, ("image_id", "bytes", "mtime_ns"), [(name, "", "") for name in names])
    seen = []
    rows, thumbnails = catalog_shard(listing, folder, limit, lambda *step: seen.append(step[:2]), look)
    assert [row["image_id"] for row in rows] == list(names) and thumbnails.shape == (len(names), 32, 32)
    assert seen == [(done + 1, len(names)) for done in range(len(names))]
    assert all(tuple(row) == COLUMNS for row in rows)
    return rows, thumbnails


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def difference(image, expected):
    return np.abs(np.asarray(image, int) - np.asarray(expected, int)).max()


def test_formats_and_modes_are_made_right(folder):
    image = picture()
    grey, clear = image.convert("L"), image.copy()
    clear.putalpha(Image.linear_gradient("L").resize(image.size))
    white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), clear).convert("RGB")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    palette = image.quantize(16)
    frames = [picture(seed=1).quantize(16)]
    transparent = image.quantize(16)
    transparent.info["transparency"] = 3
    seen_through = transparent.convert("RGBA")
    on_white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), seen_through).convert("RGB")
    cases = {
        "rgb.png": (image, {}, "RGB", image, 0),
        "grey.png": (grey, {}, "L", grey.convert("RGB"), 0),
        "grey.jpg": (grey, {"quality": 95}, "L", grey.convert("RGB"), 12),
        "cmyk.jpg": (image.convert("CMYK"), {"quality": 95}, "CMYK", image, 12),
        "cmyk.tif": (image.convert("CMYK"), {}, "CMYK", image, 1),
        "deep.png": (deep, {}, "I;16", grey.convert("RGB"), 0),
        "deep.tif": (deep, {}, "I;16", grey.convert("RGB"), 0),
        "deep.pgm": (deep, {}, "I", grey.convert("RGB"), 0),
        "clear.png": (clear, {}, "RGBA", white, 0),
        "clear.webp": (clear, {"lossless": True, "exact": True}, "RGBA", white, 0),
        "palette.png": (palette, {}, "P", palette.convert("RGB"), 0),
        "see-through.png": (transparent, {"transparency": 3}, "P", on_white, 0),
        "two colours.png": (image.convert("1"), {}, "1", image.convert("1").convert("RGB"), 0),
        "moving.gif": (palette, {"save_all": True, "append_images": frames}, "P", palette.convert("RGB"), 0),
        "plain.bmp": (image, {}, "RGB", image, 0),
        "wavelet.jp2": (image, {}, "RGB", image, 0),
        "blätter/größe 1.png": (image, {}, "RGB", image, 0),
    }
    (folder / "blätter").mkdir()
    for name, (stored, options, *_) in cases.items():
        save(folder, name, stored, **options)
    rows, thumbnails = shard(folder, cases)
    for row, small, (name, (_, _, mode, expected, allowed)) in zip(rows, thumbnails, cases.items(), strict=True):
        assert (row["status"], row["mode"], row["width"], row["height"]) == ("ok", mode, 60, 40), name
        assert row["bytes"] == (folder / name).stat().st_size and row["sha256"] == files.sha256(folder / name)
        assert difference(open_photo(folder / name, LIMIT), expected) <= allowed, name
        resized = expected.convert("L").resize((32, 32), Image.Resampling.BILINEAR)
        assert difference(small, resized) <= allowed, name


@pytest.mark.parametrize("name", ["turned.jpg", "turned.png", "turned.tif", "turned.webp"])
def test_every_exif_orientation_is_turned_upright(folder, name):
    upright = picture()
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition a camera leaves undone
    for value, undo in back.items():
        exif = Image.Exif()
        exif[0x0112] = value
        stored = upright if undo is None else upright.transpose(Image.Transpose(undo))
        lossless = {"lossless": True} if name.endswith("webp") else {}
        save(folder, name, stored, exif=exif, **lossless)
        rows, _ = shard(folder, [name])
        assert (rows[0]["status"], rows[0]["width"], rows[0]["height"]) == ("ok", 60, 40), value
        assert difference(open_photo(folder / name, LIMIT), upright) <= (40 if name.endswith("jpg") else 0)


def test_what_cannot_be_used_is_set_aside_with_its_reason(folder):
    image = picture(200, 150)
    save(folder, "whole.jpg", image)
    save(folder, "whole.png", image)
    for whole in ("whole.jpg", "whole.png"):
        content = (folder / whole).read_bytes()
        (folder / f"cut.{whole[-3:]}").write_bytes(content[: len(content) // 2])
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("no photo at all")
    (folder / "script.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\nshowpage\n")
    (folder / "folder.jpg").mkdir()
    os.mkfifo(folder / "pipe.jpg")
    save(folder, "dot.png", Image.new("RGB", (1, 1)))
    save(folder, "large.png", Image.new("1", (1000, 51)))
    save(folder, "limit.png", Image.new("1", (1000, 50)))
    save(folder, "float.tif", Image.new("F", (20, 20)))
    save(folder.parent, "secret.png", image)
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    (folder / "inside.png").symlink_to("whole.png")
    expected = {
        "whole.jpg": "ok", "limit.png": "ok", "inside.png": "ok",
        "cut.jpg": "truncated", "cut.png": "truncated",
        "empty.jpg": "empty file", "text.jpg": "not an image", "script.eps": "not an image",
        "folder.jpg": "not a file", "pipe.jpg": "not a file",
        "whole.jpg/a.jpg": "missing", "gone.jpg": "missing", "float.tif": "32-bit pixels",
        "dot.png": "too small (1x1 px)", "large.png": "larger than 50000 pixels",
        "link.png": "outside the photo folder", "../secret.png": "outside the photo folder",
        str(folder.parent / "secret.png"): "outside the photo folder",
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows, thumbnails = shard(folder, expected)
    assert {row["image_id"]: row["status"] for row in rows} == expected
    for row, small in zip(rows, thumbnails, strict=True):
        if row["status"] != "ok":
            assert not small.any() and (row["width"], row["height"], row["hash"]) == (0, 0, "")
    with pytest.raises(UnusableError, match="truncated"):
        open_photo(folder / "cut.jpg", LIMIT)


def test_a_bomb_is_refused_before_it_is_decoded(folder, monkeypatch):
    header = b"P6 60000 60000 255\n"  # 10 GB once decoded
    (folder / "bomb.ppm").write_bytes(header + bytes(100))
    bomb = io.BytesIO()
    Image.new("1", (5000, 5000)).save(bomb, "PNG")
    (folder / "bomb.png").write_bytes(bomb.getvalue())
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("decoded"))
    rows, _ = shard(folder, ["bomb.ppm", "bomb.png"], limit=1_000_000)
    assert {row["status"] for row in rows} == {"larger than 1000000 pixels"}


def test_threads_have_each_their_own_limit(folder):
    """Pillow has one for the whole process."""
    Image.new("RGB", (100, 80)).save(folder / "a.png")
    before = Image.MAX_IMAGE_PIXELS

    def taken(limit):
        try:
            return open_photo(folder / "a.png", limit).size == (100, 80)
        except UnusableError as error:
            assert str(error) == "larger than 5000 pixels"
            return False

    limits = [5000, 10**6] * 100
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(taken, limits)) == [limit > 5000 for limit in limits]
    assert before == Image.MAX_IMAGE_PIXELS


def test_damaged_metadata_do_not_cost_the_photo(folder):
    save(folder, "a.png", picture(), exif=b"Exif\0\0neither II nor MM")
    assert shard(folder, ["a.png"])[0][0]["status"] == "ok"


@pytest.fixture(scope="module")
def whole_files():
    contents = []
    options = ({}, {"progressive": True}, {}, {}, {"compression": "tiff_lzw"}, {})
    for format_name, option in zip(("JPEG", "JPEG", "PNG", "GIF", "TIFF", "WEBP"), options, strict=True):
        buffer = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 6
        picture().save(buffer, format_name, exif=exif, **option)
        contents.append(buffer.getvalue())
    return contents


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_damage_to_a_file_raises(whole_files, tmp_path_factory, data):
    content = bytearray(data.draw(st.sampled_from(whole_files)))
    for _ in range(data.draw(st.integers(1, 8))):
        # Headers are where decoders trip.
        span = data.draw(st.sampled_from([64, 256, len(content)]))
        content[data.draw(st.integers(0, min(span, len(content)) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, 2 * len(content)))]
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "a.jpg").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows, _ = shard(folder, ["a.jpg"])
        try:
            assert open_photo(folder / "a.jpg", LIMIT).size == (rows[0]["width"], rows[0]["height"])
        except UnusableError as error:
            assert str(error) == rows[0]["status"]


def make_catalog(folder, names, shards=2, max_set_aside=0.5, **facts):
    labels = pd.DataFrame({"image_id": names, "label": [str(i % 3) for i in range(len(names))], **facts})
    tables, fingerprints = [], []
    for index in range(shards):
        look = Describer()
        rows, small = shard(folder, [name for i, name in enumerate(names) if i % shards == index], look=look)
        files.write_rows(folder.parent / "properties.csv", COLUMNS, rows)
        tables.append(read_properties(folder.parent / "properties.csv"))
        fingerprints.append(look.packed(small))
    settings = {"root": str(folder), "max_pixels": LIMIT, "max_set_aside": max_set_aside}
    labels = labels.assign(name=labels["label"])
    return build_catalog(labels, tables, fingerprints, "leaves", **settings, progress=lambda *step: None)


def test_groups_are_joined_with_near_duplicates(folder):
    names = [save(folder, f"{seed}.png", picture(64, 64, seed=seed)) for seed in range(8)]
    for copy, original in ((6, 1), (7, 2)):
        (folder / names[copy]).write_bytes((folder / names[original]).read_bytes())
    plants = ["x", "y", "x", "", "z", "", "z", ""]
    catalog, *_ = make_catalog(folder, names, given_group=plants, site=["north"] * 8)
    assert catalog["copies"].tolist() == [0, 1, 2, 3, 4, 5, 1, 2]
    # x has 0 and 2, a copy of which is 7; y has 1, a copy of which is 6, which is of z, as 4 is. 3 and 5 are of none.
    assert catalog["group"].tolist() == [0, 1, 0, 3, 1, 5, 1, 0]
    assert catalog["given_group"].tolist() == plants and set(catalog["site"]) == {"north"}
    assert set(catalog["given_role"]) == set(catalog["given_fold"]) == {""}


def test_the_catalog_keeps_the_order_of_labels_and_says_where_each_photo_lies(folder):
    names = [f"{i:04}.png" for i in (7, 3, 1, 9, 4, 2)]
    for seed, name in enumerate(names):
        save(folder, name, picture(64, 64, seed=seed))
    (folder / names[2]).unlink()
    (folder / names[3]).write_bytes((folder / names[0]).read_bytes())
    save(folder, names[5], picture(96, 96, seed=4))
    catalog, pairs, summary = make_catalog(folder, names)
    assert catalog["image_id"].tolist() == names and set(catalog["dataset"]) == {"leaves"}
    assert catalog["shard"].tolist() == [0, 1, 0, 1, 0, 1] and catalog["row"].tolist() == [0, 0, 1, 1, 2, 2]
    assert catalog["status"].tolist() == ["ok", "ok", "missing", "ok", "ok", "ok"]
    assert catalog["group"].tolist() == [0, 1, 2, 0, 4, 4]
    pairs = pairs[["image_id_a", "image_id_b", "label_a", "label_b", "kind"]]
    assert pairs.values.tolist() == [
        [names[0], names[3], "0", "0", "exact"],
        [names[4], names[5], "1", "2", "near"],
    ]
    assert summary["pairs"] == {"exact": 1, "near": 1, "mirrored": 0, "turned": 0, "cropped": 0}
    assert (summary["photos"], summary["crowded"], summary["remark"]) == (5, 0, "")


def test_the_catalog_does_not_depend_on_the_shards(folder):
    names = [f"{i}.png" for i in range(9)]
    for seed, name in enumerate(names):
        save(folder, name, picture(64, 64, seed=seed % 6).rotate(90 * (seed // 6)))
    (one, pairs, summary), (other, *rest) = (make_catalog(folder, names, shards=shards) for shards in (1, 4))
    pd.testing.assert_frame_equal(one.drop(columns=["shard", "row"]), other.drop(columns=["shard", "row"]))
    pd.testing.assert_frame_equal(pairs, rest[0])
    assert summary == rest[1] and pairs["kind"].tolist() == ["turned"] * 3


def test_too_many_set_aside_stop_the_run_and_name_the_first(folder):
    names = ["a.png", "b.png", "c.png"]
    save(folder, "a.png", picture())
    (folder / "b.png").write_text("text")
    make_catalog(folder, names, max_set_aside=0.67)
    with pytest.raises(StudyError, match=r"2 of 3 .*b.png \(not an image\), c.png \(missing\).*max_set_aside"):
        make_catalog(folder, names, max_set_aside=0.66)
    (folder / "a.png").unlink()
    with pytest.raises(StudyError, match="none of its 3 photos"):
        make_catalog(folder, names, max_set_aside=1)


def test_copies_between_two_data_sets(folder):
    """A turned copy, and one of the same bytes, in another folder of another order."""
    here, there = folder / "here", folder / "there"
    tables, photos = [], []
    for place in (here, there):
        place.mkdir()
    names = [save(here, f"{seed}.png", picture(320, 240, seed=seed)) for seed in range(6)]
    others = [save(there, f"{seed}.png", picture(320, 240, seed=seed)) for seed in range(10, 14)]
    (there / "a.png").write_bytes((here / names[1]).read_bytes())
    save(there, "b.png", picture(320, 240, seed=4).transpose(Image.Transpose.ROTATE_180))
    for place, ids in ((here, names), (there, ["b.png", *others, "a.png"])):
        look = Describer()
        rows, small = shard(place, ids, limit=100_000, look=look)
        files.write_rows(folder.parent / "properties.csv", COLUMNS, rows)
        table = read_properties(folder.parent / "properties.csv").assign(shard=0, row=range(len(ids)), label="x")
        tables.append(table)
        photos.append(photos_of(table, [look.packed(small)], str(place), 100_000))
    pairs = copies_between(*tables, tuple(photos), lambda *step: None)
    found = pairs[["image_id_a", "image_id_b", "kind"]].to_numpy().tolist()
    assert found == [["1.png", "a.png", "exact"], ["4.png", "b.png", "turned"]]
