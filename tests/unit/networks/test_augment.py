"""Augmentation: what a photo gets depends on seed, epoch and photo alone."""

import hashlib

import numpy as np
import pandas as pd
import pytest
import torch
from torchvision.transforms import functional as torchvision

from manihot.networks import augment
from manihot.networks.augment import Augmentation
from manihot.networks.batches import Batches
from manihot.networks.build import IMAGENET, PIXELS
from manihot.networks.mixing import Mixing
from manihot.study import schema

TURNS = Augmentation(horizontal_flip=True, vertical_flip=True, right_angles=True, rotation=20.0)
EVERYTHING = Augmentation(True, True, True, 20.0, random_crop=0.3, brightness=0.4, contrast=0.4, hue=0.2)


def keys_of(n):
    return augment.photo_keys(pd.DataFrame({"dataset": "d", "image_id": [f"{i}.jpg" for i in range(n)]}))


KEYS = keys_of(64)


def photos(n=64, size=9):
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def changed(batch_size, order, augmentation=EVERYTHING, keys=KEYS, pixels=None, seed=5, epoch=2):
    """Each photo after its changes, in the photos' own order."""
    pixels = photos() if pixels is None else pixels
    batches = Batches(pixels, torch.device("cpu"), PIXELS)
    result = torch.empty(len(pixels), 3, *pixels.shape[1:3])
    for batch, index in batches(order, batch_size, augmentation.draw(keys, seed, epoch)):
        result[index] = batch
    return result


def test_neither_batch_size_nor_order_changes_what_a_photo_gets():
    expected = changed(64, np.arange(64))
    for batch_size in (1, 7, 32):
        assert torch.equal(changed(batch_size, augment.random_order(1, 1, 64)), expected)
    half = np.arange(0, 64, 2)
    alone = changed(5, np.arange(32), keys=KEYS[half], pixels=photos()[half])
    assert torch.equal(alone, expected[half])


def test_every_channel_gets_its_own_mean_and_deviation():
    pixels = photos(5)
    expected = (pixels / 255 - IMAGENET[0]) / IMAGENET[1]
    turned = Augmentation(horizontal_flip=True).draw(KEYS[:5], 5, 2)
    batches = Batches(pixels, torch.device("cpu"), IMAGENET)
    for changes in (None, turned):
        for photo, index in batches(np.array([3, 0, 4, 1, 2]), 2, changes):
            wanted = torch.from_numpy(expected[index.numpy()]).permute(0, 3, 1, 2)
            if changes is not None:
                wanted = changes.turn(wanted, index)
            assert photo.is_contiguous(memory_format=torch.channels_last)
            torch.testing.assert_close(photo.double(), wanted, atol=1e-5, rtol=0)


def test_epoch_and_seed_change_it():
    expected = changed(64, np.arange(64))
    assert not torch.equal(changed(64, np.arange(64), epoch=3), expected)
    assert not torch.equal(changed(64, np.arange(64), seed=6), expected)
    # So it is with every amount that is drawn.
    drawn, *others = (EVERYTHING.draw(KEYS, *place) for place in ((5, 2), (6, 2), (5, 3)))
    for other in others:
        for name in ("angles", "boxes", "brightness", "contrast", "hue"):
            assert (getattr(drawn, name) != getattr(other, name)).float().mean() > 0.9, name


def test_nothing_asked_for_is_nothing_drawn():
    assert Augmentation().draw(KEYS, 1, 1) is None


@pytest.mark.parametrize(
    ("augmentation", "views"),
    [
        (Augmentation(horizontal_flip=True), {"identity", "hflip"}),
        (Augmentation(vertical_flip=True), {"identity", "vflip"}),
        (Augmentation(right_angles=True), {"identity", "rot90", "rot180", "rot270"}),
        (Augmentation(True, True), {"identity", "hflip", "vflip", "rot180"}),
    ],
)
def test_changes_are_the_views_and_equally_frequent(augmentation, views):
    pixels = np.repeat(photos(1), 4000, axis=0)
    result = changed(500, np.arange(4000), augmentation, keys_of(4000), pixels)
    original = torch.from_numpy(pixels[0] / np.float32(255)).permute(2, 0, 1)
    seen = {name: 0 for name in augment.VIEWS}
    for photo in result:
        seen[next(name for name in seen if torch.allclose(photo, augment.view(original, name)))] += 1
    assert {name for name, count in seen.items() if count} == views
    expected = 4000 / len(views)
    # Five standard deviations of a binomial count.
    assert all(abs(seen[name] - expected) < 5 * (expected * (1 - 1 / len(views))) ** 0.5 for name in views)


def test_all_eight_changes_of_a_square_are_reached():
    pixels = np.repeat(photos(1), 64, axis=0)
    result = changed(64, np.arange(64), Augmentation(True, True, True), pixels=pixels)
    assert len({photo.numpy().tobytes() for photo in result}) == 8


def test_rotations_are_small_and_by_the_angle_drawn():
    pixels = np.zeros((64, 65, 65, 3), np.uint8)
    pixels[:, 32, 56] = 255  # a dot 24 pixels right of the middle
    changes = Augmentation(rotation=20.0).draw(KEYS, 5, 2)
    result = changed(64, np.arange(64), Augmentation(rotation=20.0), pixels=pixels)[:, 0]
    weight = result / result.sum((1, 2), keepdim=True)
    line = torch.arange(65.0) - 32
    angles = torch.atan2(-(weight.sum(2) @ line), weight.sum(1) @ line)
    assert torch.allclose(angles, changes.angles, atol=0.02)
    assert angles.abs().max() <= np.radians(20) + 0.02
    assert angles.min() < -0.2 and angles.max() > 0.2


def test_rotation_by_nothing_is_the_photo():
    changes = augment.Changes(torch.zeros(3, 2, dtype=torch.bool), torch.zeros(2))
    batch = torch.rand(2, 3, 17, 17)
    assert torch.allclose(changes.resample(batch, torch.arange(2)), batch, atol=1e-5)


def test_order_is_a_permutation_of_its_own_for_every_epoch():
    first, second = augment.random_order(3, 1, 100), augment.random_order(3, 2, 100)
    assert sorted(first) == list(range(100)) and not np.array_equal(first, second)
    assert np.array_equal(first, augment.random_order(3, 1, 100))


def test_keys_tell_data_sets_apart():
    photos = pd.DataFrame({"dataset": ["a", "b", "a"], "image_id": ["1.jpg", "1.jpg", "2.jpg"]})
    assert len(set(augment.photo_keys(photos).tolist())) == 3


def test_views_turn_counter_clockwise():
    photo = torch.tensor([[1, 2], [3, 4]])[None]
    assert augment.view(photo, "rot90").tolist() == [[[2, 4], [1, 3]]]
    assert torch.equal(augment.view(augment.view(photo, "rot90"), "rot270"), photo)


def test_flips_and_turns_are_drawn_as_ever():
    """What a study drew before there were crops and colours, bit by bit, and beside them."""
    for augmentation in (TURNS, EVERYTHING):
        changes = augmentation.draw(KEYS, 5, 2)
        drawn = changes.steps.numpy().tobytes() + changes.angles.numpy().tobytes()
        assert hashlib.sha256(drawn).hexdigest() == "db4114e853c6e287f9d128fe12a81434ec7ae4522b7b7936d022733a38b6da0e"
    assert EVERYTHING.at_validation() == TURNS


def test_each_change_has_draws_of_its_own():
    """No two amounts go together, and each fills its range."""
    changes = EVERYTHING.draw(keys_of(4000), 5, 2)
    left, top, width, height = changes.boxes
    amounts = torch.stack([
        changes.angles, changes.brightness, changes.contrast, changes.hue, left / (1 - width), top / (1 - height),
        width * height, width / height,
    ])  # fmt: skip
    # Crops that do not fit are drawn again: area and ratio are not quite free of each other.
    correlations = torch.corrcoef(amounts)[:7, :7] - torch.eye(7)
    assert correlations.abs().max() < 5 / 4000**0.5
    for drawn, low, high in (
        (changes.brightness, 0.6, 1.4), (changes.contrast, 0.6, 1.4), (changes.hue, -0.2, 0.2), (width * height, 0.3, 1.0),
        (width / height, 3 / 4, 4 / 3),
    ):  # fmt: skip
        assert low - 1e-6 <= drawn.min() < low + 0.03 and high - 0.06 < drawn.max() <= high + 1e-6
    assert (left.abs() + width).max() <= 1 + 1e-6 and (top.abs() + height).max() <= 1 + 1e-6


def test_a_crop_that_never_fits_is_the_whole_photo():
    boxes = Augmentation(random_crop=1.0).draw(KEYS, 5, 2).boxes
    assert torch.equal(boxes, torch.tensor([0.0, 0, 1, 1])[:, None].expand(4, 64))


def smooth(n, size):
    """Float photos 0..255 without detail, so that ways of resampling agree."""
    line = torch.linspace(0, 3, size)
    waves = [
        torch.sin(line[:, None] * (1 + i % 3) + c) * torch.cos(line * (1 + i % 2) - c)
        for i in range(n)
        for c in range(3)
    ]
    return (torch.stack(waves).view(n, 3, size, size) + 1) * 127.5


def test_a_crop_is_torchvisions():
    size, batch = 48, smooth(3, 48)
    boxes, expected = [], []
    for photo, (top, left, height, width) in zip(
        batch, [(3, 5, 30, 36), (0, 0, 48, 48), (10, 20, 24, 28)], strict=True
    ):
        middle = [(2 * left + width) / size - 1, (2 * top + height) / size - 1]
        boxes.append([*middle, width / size, height / size])
        cut = torchvision.resized_crop(photo, top, left, height, width, [size, size], antialias=False)
        expected.append(cut)
    changes = augment.Changes(torch.zeros(3, 3, dtype=torch.bool), None, torch.tensor(boxes).T)
    ours = changes.resample(batch, torch.arange(3))
    # At its border a crop is filled from beside it, not with its own edge.
    inside = slice(1, -1)
    torch.testing.assert_close(ours[..., inside, inside], torch.stack(expected)[..., inside, inside], atol=1e-2, rtol=0)


def test_a_turn_and_a_crop_at_once_are_torchvisions_one_after_the_other():
    size, batch = 64, smooth(1, 64)
    angle, (top, left, height, width) = 12.0, (18, 16, 28, 32)
    box = torch.tensor([(2 * left + width) / size - 1, (2 * top + height) / size - 1, width / size, height / size])
    changes = augment.Changes(
        torch.zeros(3, 1, dtype=torch.bool), torch.tensor([np.radians(angle)]).float(), box[:, None]
    )
    ours = changes.resample(batch, torch.arange(1))
    turned = torchvision.rotate(batch, angle, torchvision.InterpolationMode.BILINEAR)
    theirs = torchvision.resized_crop(turned, top, left, height, width, [size, size], antialias=False)
    inside = slice(2, -2)
    torch.testing.assert_close(ours[..., inside, inside], theirs[..., inside, inside], atol=1.0, rtol=0)


@pytest.mark.parametrize(("name", "amounts"), [
    ("brightness", (0.5, 1.0, 1.7)), ("contrast", (0.0, 0.6, 2.0)), ("hue", (-0.5, 0.13, 0.4)),
])  # fmt: skip
def test_colours_are_torchvisions(name, amounts):
    batch = torch.from_numpy(photos(3, 16)).permute(0, 3, 1, 2).float()
    batch[0, :, :4] = 99.0  # a grey has no hue
    changes = augment.Changes(torch.zeros(3, 3, dtype=torch.bool), **{name: torch.tensor(amounts)})
    ours = changes.recolour(batch, torch.arange(3)) / 255
    change = getattr(torchvision, f"adjust_{name}")
    theirs = [change(photo / 255, amount) for photo, amount in zip(batch, amounts, strict=True)]
    torch.testing.assert_close(ours, torch.stack(theirs), atol=1e-5, rtol=0)


def test_colours_change_before_pixels_are_normalised():
    pixels = photos(4)
    changes = Augmentation(brightness=0.9, contrast=0.5).draw(KEYS[:4], 5, 2)
    ((seen, _),) = Batches(pixels, torch.device("cpu"), IMAGENET)(np.arange(4), 4, changes)
    for place in range(4):
        photo = torch.from_numpy(pixels[place] / np.float32(255)).permute(2, 0, 1)
        photo = torchvision.adjust_brightness(photo, float(changes.brightness[place]))
        photo = torchvision.adjust_contrast(photo, float(changes.contrast[place]))
        torch.testing.assert_close(seen[place], torchvision.normalize(photo, *IMAGENET), atol=1e-4, rtol=0)


def test_what_a_study_asks_for_is_of_a_photo_or_of_a_batch():
    asked = {"horizontal_flip": True, "random_crop": 0.5, "mixup": 0.2, "cutmix": 1.0}
    assert augment.parts(asked) == (Augmentation(True, random_crop=0.5), Mixing(0.2, 1.0))
    assert augment.parts({}) == (Augmentation(), Mixing())
    assert augment.parts(schema.Augment().model_dump()) == augment.parts({})
