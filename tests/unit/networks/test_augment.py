"""Augmentation: what a photo gets depends on seed, epoch and photo alone."""

import numpy as np
import pandas as pd
import pytest
import torch

from manihot.networks import augment
from manihot.networks.augment import Augmentation
from manihot.networks.batches import Batches
from manihot.networks.build import IMAGENET, PIXELS

EVERYTHING = Augmentation(horizontal_flip=True, vertical_flip=True, right_angles=True, rotation=20.0)


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
    assert torch.allclose(changes.rotate(batch, torch.arange(2)), batch, atol=1e-5)


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
