"""The view `masked`: a photo without its middle."""

from torch import Tensor

from manihot.pixels.middle import area, middle

VIEW = "masked"


def masked(photos: Tensor) -> Tensor:
    """Square photos float [n, c, size, size] whose middle has one colour: the mean of the pixels around it.

    Nothing of the masked pixels is left, not even their mean.
    """
    size = photos.shape[-1]
    square = middle(size)
    inside = photos[..., square, square].sum(dim=(-2, -1))
    around = (photos.sum(dim=(-2, -1)) - inside) / (size**2 * (1 - area(size)))
    changed = photos.clone()
    changed[..., square, square] = around[..., None, None]
    return changed
