"""Parts of photos that are larger than what a network sees, resized on the device."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_augment import EVERYTHING, KEYS, smooth
from torch.nn import functional
from torchvision.transforms import functional as torchvision

from manihot.networks.augment import Augmentation, Changes, resized
from manihot.networks.batches import Batches
from manihot.networks.build import PIXELS

SIZES = st.integers(4, 20)
WHOLE = torch.tensor([[0.0], [0.0], [1.0], [1.0]])


def noise(n, size, seed=0):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


@st.composite
def boxes(draw):
    """The middle and half the width and height of a part that lies in the photo."""
    half = [draw(st.floats(0.2, 1)) for _ in "xy"]
    return torch.tensor([*((1 - side) * draw(st.floats(-1, 1)) for side in half), *half])[:, None]


@settings(max_examples=40, deadline=None)
@given(SIZES, SIZES)
def test_a_whole_photo_is_resized_as_torch_does_it(side, size):
    expected = functional.interpolate(noise(2, side), size, mode="bilinear", antialias=True)
    ours = resized(noise(2, side), size, WHOLE.expand(4, 2))
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(resized(noise(2, side), size), expected, atol=1e-5, rtol=0)


@settings(max_examples=40, deadline=None)
@given(boxes(), SIZES, SIZES)
def test_every_new_pixel_is_a_mean_of_the_photos(box, side, size):
    """A tone stays that tone, wherever the part lies, and nothing is brighter or darker than what it is made of."""
    assert torch.allclose(resized(torch.full((1, 3, side, side), 7.0), size, box), torch.tensor(7.0))
    made = resized(noise(1, side), size, box)
    assert made.shape == (1, 3, size, size) and made.min() >= 0 and made.max() <= 1


@settings(max_examples=40, deadline=None)
@given(boxes(), SIZES)
def test_at_the_photos_own_size_it_is_the_crop_that_is_made_at_once(box, size):
    changes = Changes(torch.zeros(3, 1, dtype=torch.bool), None, box)
    at_once = changes.resample(noise(1, size), torch.arange(1), size)
    torch.testing.assert_close(resized(noise(1, size), size, box), at_once, atol=1e-4, rtol=0)


def test_a_part_of_a_larger_photo_is_torchvisions():
    side, size = 96, 24
    top, left, height, width = 8, 4, 60, 84
    middle = [(2 * left + width) / side - 1, (2 * top + height) / side - 1]
    box = torch.tensor([*middle, width / side, height / side])[:, None]
    expected = torchvision.resized_crop(noise(1, side), top, left, height, width, [size, size], antialias=True)
    ours = resized(noise(1, side), size, box)
    # At its border a crop is filled from beside it, not with its own edge.
    inside = slice(1, -1)
    torch.testing.assert_close(ours[..., inside, inside], expected[..., inside, inside], atol=1e-5, rtol=0)


def test_what_the_new_pixels_cannot_show_is_lost():
    """Stripes of single pixels become their mean; taken point by point they would be new, broad stripes."""
    stripes = torch.zeros(1, 3, 64, 64)
    stripes[..., ::2] = 1.0
    part = torch.tensor([0.1, -0.1, 0.85, 0.85])[:, None]
    inside = resized(stripes, 12, part)[..., 1:-1, 1:-1]
    torch.testing.assert_close(inside, torch.full_like(inside, 0.5), atol=0.05, rtol=0)


def seen(photos, size, augmentation):
    """What a network of `size` pixels gets of float photos 0..255 [n, 3, side, side]."""
    pixels = photos.round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    changes = augmentation.draw(KEYS[: len(pixels)], 5, 2)
    ((batch, _),) = Batches(pixels, torch.device("cpu"), PIXELS, size)(np.arange(len(pixels)), len(pixels), changes)
    assert batch.shape[-1] == size and batch.is_contiguous(memory_format=torch.channels_last)
    return batch


def test_a_larger_photo_gets_the_same_changes_as_a_small_one():
    """The same part, turned alike, in the same colours: draws know nothing of sizes."""
    large = smooth(8, 96)
    small = functional.interpolate(large, 32, mode="bilinear", antialias=True)
    for augmentation in (Augmentation(horizontal_flip=True, random_crop=0.3), EVERYTHING):
        there, here = seen(large, 32, augmentation), seen(small, 32, augmentation)
        assert (there - here).abs()[..., 2:-2, 2:-2].mean() < 0.01
        others = seen(large, 32, augmentation).roll(1, 0)
        assert (others - here).abs().mean() > 0.1
    whole = seen(large, 32, Augmentation())
    torch.testing.assert_close(whole, small / 255, atol=0.01, rtol=0)


def test_a_part_of_a_larger_photo_shows_more():
    """What resizing the whole photo lost is still in its part."""
    large = noise(8, 96) * 255
    small = functional.interpolate(large, 24, mode="bilinear", antialias=True)
    crops = Augmentation(random_crop=0.1)
    assert seen(large, 24, crops).std() > 1.3 * seen(small, 24, crops).std()
