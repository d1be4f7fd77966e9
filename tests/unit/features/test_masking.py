"""A photo without its middle: nothing of the middle is left, everything else is as it was."""

import pytest
import torch

from manihot.features.masking import masked
from manihot.pixels.middle import area, middle


@pytest.mark.parametrize("size", [16, 33, 64, 224, 225])
def test_the_middle_is_a_centred_square_of_a_third_of_the_area(size):
    square = middle(size)
    assert abs((square.start + square.stop) - size) <= 1
    assert area(size) == pytest.approx(0.36, abs=0.05) and (size < 200 or area(size) == pytest.approx(0.36, abs=0.004))


def test_the_middle_has_the_mean_colour_of_what_is_around_it():
    photos = torch.rand(3, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    changed, square = masked(photos), middle(40)
    around = torch.ones((40, 40), dtype=torch.bool)
    around[square, square] = False
    assert torch.equal(changed[..., around], photos[..., around])
    inside = changed[..., square, square]
    expected = photos[..., around].mean(dim=-1)
    torch.testing.assert_close(inside, expected[..., None, None].expand_as(inside))


def test_nothing_of_the_middle_is_left():
    photos = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    other = photos.clone()
    other[..., middle(32), middle(32)] = 5.0
    torch.testing.assert_close(masked(photos), masked(other), atol=1e-5, rtol=1e-5)
    before = photos.clone()
    masked(photos)
    assert torch.equal(photos, before), "the given photos are changed"
