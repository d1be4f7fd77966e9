"""Copies are grouped whatever was done to them, different pictures never."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from manihot.catalog import candidates, confirm, views
from manihot.catalog.duplicates import Photos, duplicate_pairs, group_of, pairs_between, summary_of
from manihot.catalog.fingerprints import Describer
from manihot.catalog.inspect import perceptual_hashes
from manihot.catalog.thumbnails import same_picture

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT.parent / "shared" / "data"
sys.path.append(str(ROOT / "benchmarks"))
import copies  # noqa: E402


def silent(*step):
    pass


def thumbnail(image):
    return np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BILINEAR))


def photos(images, digests=None):
    """What the search knows of pictures in memory."""
    look = Describer()
    for index, image in enumerate(images):
        look(index, image)
    small = np.stack([thumbnail(image) for image in images])
    digests = np.arange(len(images)).astype(str) if digests is None else digests
    shown = [confirm.shown(image) for image in images]
    return Photos(digests, perceptual_hashes(small), look.prints(small), shown.__getitem__)


def found(images, digests=None):
    return duplicate_pairs(photos(images, digests), silent).pairs


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


def cropped(image, share, corner):
    """`share` of each side cut away: from both ends by half, or all of it from one end."""
    width, height = image.size
    across, down = round(width * share), round(height * share)
    left, top = (across // 2, down // 2) if corner is None else (across * corner[0], down * corner[1])
    return image.crop((left, top, left + width - across, top + height - down))


encoded, resized = copies.encoded, copies.resized
# What a copy that is as it was in every way but these has always been found by.
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
# Drawn pictures are of all colours and show something everywhere: these hide much of it, and strong noise all of it. On
# photos they are found: below, and in benchmarks/duplicates.py.
LEAST = {
    "hue": 0.25, "brighter": 0.5, "three boxes": 0.5, "a watermark": 0.5,
    "zoomed to 60 %, mirrored, quality 30": 0.25,
}  # fmt: skip
CHANGES = [(group, kind) for group, kinds in copies.CHANGES.items() for kind in kinds if kind != "gaussian 30"]


def found_share(images, changed):
    """The share of pictures that are found again after a change, the number of wrong pairs, and the kinds."""
    pairs = found(images + changed)
    right = pairs["b"] - pairs["a"] == len(images)
    return right.sum() / len(images), len(pairs) - right.sum(), set(pairs["kind"])


@pytest.mark.parametrize("kind", COPIES)
def test_plain_copies_of_drawn_pictures_are_found(kind):
    images = [drawn(seed) for seed in range(24)]
    share, wrong, kinds = found_share(images, [COPIES[kind](image) for image in images])
    assert share >= 0.95 and wrong == 0 and kinds == {"near"}


@pytest.mark.parametrize("kind", COPIES)
def test_plain_copies_of_real_photos_are_found(kind, sample_photos):
    images = sample_photos[::2]
    share, wrong, kinds = found_share(images, [COPIES[kind](image) for image in images])
    assert share >= 0.95 and wrong == 0 and kinds == {"near"}


@pytest.mark.parametrize(("group", "kind"), CHANGES)
def test_augmented_copies_of_drawn_pictures_are_found(group, kind):
    images = [ImageEnhance.Contrast(resized(drawn(seed), 2)).enhance(1.5) for seed in range(4)]
    share, wrong, kinds = found_share(images, [copies.change(group, kind, n, im) for n, im in enumerate(images)])
    assert wrong == 0 and share >= LEAST.get(kind, 0.75)
    if group == "eight views":
        assert kinds == ({"turned"} if kind.startswith("turned") else {"mirrored"})
    if group in {"encoded again", "colour", "noise", "stamp"}:
        assert kinds == {"near"}
    if group == "crop":
        assert kinds == (
            {"mirrored"} if "mirrored" in kind else {"cropped"} if "60" in kind else {"near", "cropped"} & kinds
        )


@pytest.mark.slow
@pytest.mark.parametrize("group", copies.CHANGES)
def test_augmented_copies_of_real_photos_are_found(group, sample_photos):
    """Each kind on some of 60 photos; benchmarks/duplicates.py has them all on 300."""
    kinds = [kind for kind in copies.CHANGES[group] if kind != "a watermark"]
    changed = [copies.change(group, kinds[n % len(kinds)], n, image) for n, image in enumerate(sample_photos)]
    share, wrong, _ = found_share(sample_photos, changed)
    assert wrong == 0 and share >= (0.97 if group in {"eight views", "encoded again", "colour", "noise"} else 0.9)


@pytest.fixture(scope="module")
def sample_photos():
    if not SAMPLE.is_dir():
        pytest.skip(f"no sample photos in {SAMPLE}")
    opened = [Image.open(path) for path in sorted((SAMPLE / "cassava/images").iterdir())[::25]]
    for photo in opened:
        photo.draft("RGB", (400, 300))
    return [photo.convert("RGB") for photo in opened]


def test_no_two_of_the_sample_photos_are_taken_for_one():
    """Among a fifth of them; benchmarks/duplicates.py looks at all."""
    if not SAMPLE.is_dir():
        pytest.skip(f"no sample photos in {SAMPLE}")
    images = []
    for path in sorted((SAMPLE / "cassava/images").iterdir())[::5]:
        photo = Image.open(path)
        photo.draft("RGB", (400, 300))
        images.append(photo.convert("RGB"))
    assert len(images) == 300 and found(images).empty


def test_photos_of_one_scene_are_not_one_picture():
    assert found([copies.scene(number) for number in range(24)]).empty


def test_one_thing_seen_from_another_place_is_not_a_copy():
    """Nearly all of it agrees, but no turn, scale, shift and squeeze takes all of it along."""
    images = [ImageEnhance.Contrast(resized(drawn(seed), 2)).enhance(1.5) for seed in range(4)]
    seen = [
        image.transform(
            image.size, Image.Transform.PERSPECTIVE, (1, 0, 0, 0, 1, 0, 6e-5, -6e-5), Image.Resampling.BICUBIC
        )
        for image in images
    ]
    assert found(images + seen).empty


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
    images = [Image.fromarray(picture.astype(np.uint8)).convert("RGB") for picture in small]
    pairs = found(images, np.array(["a", "a", "b", "c", "d"]))
    assert pairs[["a", "b", "kind", "distance"]].values.tolist() == [[0, 1, "exact", 0]]


def test_the_first_copy_stands_for_exact_ones():
    pairs = found([drawn(seed) for seed in (1, 2, 1, 1)], np.array(["a", "b", "a", "c"]))
    assert pairs[["a", "b", "kind"]].values.tolist() == [[0, 2, "exact"], [0, 3, "near"]]
    assert group_of(4, pairs["a"].to_numpy(), pairs["b"].to_numpy()).tolist() == [0, 1, 0, 0]


def test_a_pair_says_how_one_photo_lies_on_the_other():
    image = drawn(3)
    middle = image.crop((64, 48, 256, 192))
    pairs = found(
        [image, image.rotate(-30, Image.Resampling.BICUBIC), middle, image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)]
    )
    told = {pair.b: (pair.kind, pair.angle, pair.scale) for pair in pairs.itertuples() if pair.a == 0}
    assert told[1] == ("turned", pytest.approx(30, abs=0.5), pytest.approx(1, abs=0.01))
    assert told[2][0] == "cropped" and told[2][2] == pytest.approx(320 / 192, abs=0.02)
    assert told[3] == ("mirrored", pytest.approx(180, abs=0.5), pytest.approx(1, abs=0.01))


POOL = [
    change(drawn(seed))
    for seed in range(5)
    for change in (lambda i: i, lambda i: encoded(i.rotate(90, expand=True), 60))
]
KNOWN = photos(POOL)


def some(places, digests):
    """The photos of the pool in some places, in their order."""
    prints = KNOWN.prints
    chosen = type(prints)(prints.thumbnails[places], prints.codes[places], prints.places[places])
    return Photos(digests, KNOWN.hashes[places], chosen, lambda number: KNOWN.show(places[number]))


@settings(max_examples=30, deadline=None)
@given(chosen=st.lists(st.integers(0, 9), min_size=1, max_size=12), order=st.randoms())
def test_groups_do_not_depend_on_the_order_of_photos(chosen, order):
    """A group is a picture, however often, however turned and in whatever order it is there."""

    def partition(places):
        known = some([chosen[place] for place in places], np.array([str(chosen[place]) for place in places]))
        pairs = duplicate_pairs(known, silent).pairs
        assert (pairs["a"] < pairs["b"]).all() and not pairs.duplicated(["a", "b"]).any()
        group = group_of(len(places), pairs["a"].to_numpy(), pairs["b"].to_numpy())
        assert (group <= np.arange(len(places))).all() and (group[group] == group).all()
        return {frozenset(rows) for rows in pd.Series(places).groupby(group).apply(list)}

    places = list(range(len(chosen)))
    shuffled = order.sample(places, len(places))
    by_picture = pd.Series(places).groupby([index // 2 for index in chosen]).apply(list)
    assert partition(places) == partition(shuffled) == {frozenset(rows) for rows in by_picture}


@settings(max_examples=20, deadline=None)
@given(sides=st.lists(st.booleans(), min_size=10, max_size=10))
def test_pairs_between_two_sets_are_those_of_both_together_that_cross(sides):
    one, other = (np.flatnonzero(np.array(sides) == side) for side in (False, True))
    digests = np.arange(10).astype(str)
    pairs = pairs_between(some(one, digests[one]), some(other, digests[other]), silent).pairs
    crossing = {tuple(sorted((one[a], other[b]))) for a, b in pairs[["a", "b"]].values}
    assert crossing == {(n, n + 1) for n in range(0, 10, 2) if sides[n] != sides[n + 1]}


def test_an_exact_copy_in_another_set_is_found():
    pairs = pairs_between(some([0, 2], np.array(["x", "y"])), some([2, 4], np.array(["y", "z"])), silent).pairs
    assert pairs[["a", "b", "kind"]].values.tolist() == [[1, 0, "exact"]]


def test_the_same_photos_give_the_same_pairs_with_any_number_of_threads(monkeypatch):
    import cv2

    images = [
        copies.change("angle", "10 to 80, black", n // 2, drawn(n // 2)) if n % 2 else drawn(n // 2) for n in range(8)
    ]
    first = photos(images)
    cv2.setNumThreads(4)
    again = photos(images)
    for name in ("thumbnails", "codes", "places"):
        assert np.array_equal(getattr(first.prints, name), getattr(again.prints, name))
    one, other = (duplicate_pairs(known, silent).pairs for known in (first, again))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_what_was_left_out_is_counted_and_said(monkeypatch):
    """Many photos of one scene: not all pairs are compared, and who has more is told."""
    known = photos([copies.scene(number) for number in range(12)])
    alone = duplicate_pairs(known, silent)
    assert alone.crowded == 0 and summary_of(alone, 12)["remark"] == ""
    monkeypatch.setattr(candidates, "MOST", 2)
    kept = duplicate_pairs(known, silent)
    assert 0 < kept.crowded <= 12 and kept.compared < alone.compared
    assert f"{kept.crowded} of 12 photos look like so many others" in summary_of(kept, 12)["remark"]


def test_a_cap_keeps_the_strongest_pairs_of_each_photo():
    a, b = np.triu_indices(6, 1)
    kept, full = candidates.capped(a, b, -np.abs(a - b), 6, 1)
    assert set(zip(a[kept], b[kept], strict=True)) == {(n, n + 1) for n in range(5)}
    assert full.all()


def test_a_mirrored_code_lies_in_the_bucket_of_its_photo():
    codes = np.random.default_rng(0).integers(0, 1 << 63, 1000, dtype=np.uint64)
    for table in range(candidates.TABLES):
        keys = candidates.bucket_keys(codes, table)
        assert np.array_equal(keys, candidates.bucket_keys(codes ^ candidates.MIRROR, table))
        assert len(np.unique(keys)) > 990


@pytest.mark.parametrize("number", range(8))
def test_the_code_of_a_view_follows_from_that_of_the_thumbnail(number):
    small = np.stack([thumbnail(drawn(seed)) for seed in range(8)])
    seen = views.view(small, np.full(8, number))
    expected = views.signs(small, transposed=number >= 4) ^ views.FLIPS[number % 4]
    assert np.array_equal(views.signs(seen), expected)


def test_pictures_with_few_features_are_found_by_their_thumbnails():
    """Blurred ones, in each view of a square."""
    rng = np.random.default_rng(2)
    blurred = [
        Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)).resize((64, 48), Image.Resampling.BICUBIC)
        for _ in range(7)
    ]
    turned = [image.transpose(Image.Transpose(number)) for number, image in enumerate(blurred)]
    share, wrong, _ = found_share(blurred, turned)
    assert share == 1 and wrong == 0
