"""Copies are grouped whatever was done to them, different pictures never."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from manihot.catalog import duplicates
from manihot.catalog.duplicates import duplicate_pairs, group_of, same_picture
from manihot.catalog.inspect import perceptual_hashes

SAMPLE = Path(__file__).parents[3].parent / "shared" / "data"


def thumbnail(image):
    return np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BILINEAR))


def drawn(seed):
    """A picture with the spectrum of a photo: structure at every scale."""
    rng = np.random.default_rng(seed)
    layers = [
        Image.fromarray(rng.integers(0, 256, (n, n + 1, 3), dtype=np.uint8)).resize(
            (320, 240), Image.Resampling.BICUBIC
        )
        for n in (2, 4, 8, 16, 60)
    ]
    mixed = sum(np.asarray(layer, float) * weight for layer, weight in zip(layers, (5, 4, 3, 2, 1), strict=True))
    return Image.fromarray((40 + (mixed / 15 - 128) * 1.2 + 88).clip(0, 255).astype(np.uint8))


def encoded(image, quality=90):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def resized(image, factor):
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)


def cropped(image, share, corner):
    """`share` of each side cut away: from both ends by half, or all of it from one end."""
    width, height = image.size
    across, down = round(width * share), round(height * share)
    left, top = (across // 2, down // 2) if corner is None else (across * corner[0], down * corner[1])
    return image.crop((left, top, left + width - across, top + height - down))


COPIES = {
    "encoded at 60": lambda image: encoded(image, 60),
    "encoded at 75": lambda image: encoded(image, 75),
    "half the size": lambda image: encoded(resized(image, 0.5)),
    "half as large again": lambda image: encoded(resized(image, 1.5)),
    "2 % cut off": lambda image: encoded(cropped(image, 0.02, None)),
    "4 % cut off": lambda image: encoded(cropped(image, 0.04, None)),
    "4 % cut off at a corner": lambda image: encoded(cropped(image, 0.04, (1, 0))),
    "4 % cut off each side": lambda image: encoded(cropped(image, 0.08, None)),
    "darker": lambda image: encoded(ImageEnhance.Brightness(image).enhance(0.8)),
    "brighter": lambda image: encoded(ImageEnhance.Brightness(image).enhance(1.25)),
}


def found_share(images, change):
    """The share of pictures that are found again after a change, and the wrong pairs."""
    changed = [change(image) for image in images]
    small = np.stack([thumbnail(image) for image in images + changed])
    names = np.arange(len(small)).astype(str)
    pairs = duplicate_pairs(names, perceptual_hashes(small), small)
    right = pairs["b"] - pairs["a"] == len(images)
    return right.sum() / len(images), len(pairs) - right.sum()


@pytest.mark.parametrize("kind", COPIES)
def test_changed_copies_of_drawn_pictures_are_found(kind):
    share, wrong = found_share([drawn(seed) for seed in range(24)], COPIES[kind])
    assert share >= 0.95 and wrong == 0


@pytest.mark.parametrize("kind", COPIES)
def test_changed_copies_of_real_photos_are_found(kind, sample_photos):
    share, wrong = found_share(sample_photos, COPIES[kind])
    assert share >= 0.95 and wrong == 0


@pytest.fixture(scope="module")
def sample_photos():
    if not SAMPLE.is_dir():
        pytest.skip(f"no sample photos in {SAMPLE}")
    paths = sorted((SAMPLE / "cassava/images").iterdir())[::50]
    photos = [Image.open(path) for path in paths]
    for photo in photos:
        photo.draft("RGB", (400, 300))
    return [photo.convert("RGB") for photo in photos]


def test_no_two_of_the_sample_photos_are_taken_for_one():
    if not SAMPLE.is_dir():
        pytest.skip(f"no sample photos in {SAMPLE}")
    small = []
    for path in sorted((SAMPLE / "cassava/images").iterdir()):
        with Image.open(path) as photo:
            photo.draft("L", (100, 75))
            small.append(thumbnail(photo))
    thumbnails = np.stack(small)
    assert len(thumbnails) == 1500
    pairs = duplicate_pairs(np.arange(1500).astype(str), perceptual_hashes(thumbnails), thumbnails)
    assert pairs.empty


def test_leaves_on_one_background_are_not_one_picture():
    """Almost all is the same in scans: what differs is a small part."""
    ground = np.asarray(drawn(1).resize((64, 64)).convert("L"), float)
    leaves = []
    for row, column in ((20, 22), (20, 28), (27, 22)):
        leaf = ground.copy()
        leaf[row : row + 4, column : column + 4] *= 0.7
        leaves.append(thumbnail(Image.fromarray(leaf.astype(np.uint8))))
    one, other = np.stack(leaves), np.roll(leaves, 1, axis=0)
    assert same_picture(one, one).all() and not same_picture(one, other).any()


def test_pictures_without_structure_are_only_copies_of_themselves():
    faint = np.tile(np.linspace(90, 92.4, 32), (32, 1))
    spotted = faint.copy()
    spotted[10:14, 4:8] += 1
    small = np.stack([np.full((32, 32), 0), np.full((32, 32), 0), np.full((32, 32), 200), faint, spotted])
    small = small.astype(np.uint8)
    pairs = duplicate_pairs(np.array(["a", "a", "b", "c", "d"]), np.zeros(5, np.uint64), small)
    assert pairs.to_dict("records") == [{"a": 0, "b": 1, "kind": "exact", "distance": 0}]


def test_the_first_copy_stands_for_exact_ones():
    small = np.stack([thumbnail(drawn(seed)) for seed in (1, 2, 1, 1)])
    pairs = duplicate_pairs(np.array(["a", "b", "a", "c"]), perceptual_hashes(small), small)
    assert pairs[["a", "b", "kind"]].values.tolist() == [[0, 2, "exact"], [0, 3, "near"]]
    assert group_of(4, pairs["a"].to_numpy(), pairs["b"].to_numpy()).tolist() == [0, 1, 0, 0]


def test_blocks_find_what_one_comparison_of_all_would(monkeypatch):
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 1 << 63, 50, dtype=np.uint64)
    hashes = np.concatenate([hashes, hashes ^ rng.integers(0, 1 << 18, 50, dtype=np.uint64)])
    a, b = np.nonzero(np.triu(np.bitwise_count(hashes[:, None] ^ hashes) <= duplicates.HASH_BITS, 1))
    monkeypatch.setattr(duplicates, "ROWS", 16)
    monkeypatch.setattr(duplicates, "COLUMNS", 24)
    found = np.concatenate(list(duplicates._close_hashes(hashes)))
    assert len(a) >= 50 and {tuple(pair) for pair in found.tolist()} == set(zip(a, b, strict=True))


POOL = [thumbnail(change(drawn(seed))) for seed in range(5) for change in (lambda i: i, COPIES["encoded at 60"])]


@settings(max_examples=60, deadline=None)
@given(chosen=st.lists(st.integers(0, 9), min_size=1, max_size=12), order=st.randoms())
def test_groups_do_not_depend_on_the_order_of_photos(chosen, order):
    """A group is a picture, however often and in whatever order it is there."""
    small = np.stack([POOL[index] for index in chosen])
    digests = np.array([str(index) for index in chosen])

    def partition(places):
        pairs = duplicate_pairs(digests[places], perceptual_hashes(small[places]), small[places])
        group = group_of(len(places), pairs["a"].to_numpy(), pairs["b"].to_numpy())
        assert (group <= np.arange(len(places))).all() and (group[group] == group).all()
        return {frozenset(rows) for rows in pd.Series(places).groupby(group).apply(list)}

    places = list(range(len(chosen)))
    shuffled = order.sample(places, len(places))
    by_picture = pd.Series(places).groupby([index // 2 for index in chosen]).apply(list)
    assert partition(places) == partition(shuffled) == {frozenset(rows) for rows in by_picture}
