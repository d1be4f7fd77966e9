"""Whether two thumbnails show the same picture: re-encoded, resized, brightened or cropped by a few per cent."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Array = NDArray[Any]

SIDE = 32  # of a thumbnail, pixels
# Chosen on 1,500 field photos, of which 200 were re-encoded, resized, cropped and brightened, and on 580
# scanned leaves that share their backgrounds. No two different field photos leave less than 0.88 unexplained.
UNEXPLAINED_IN_PLACE = 0.12
UNEXPLAINED_ALIGNED = 0.03  # stricter: an alignment is four more chances to agree
FLAT = 2.0  # standard deviation in grey levels below which a halved thumbnail shows nothing to compare
LARGEST_SHIFT = 2.0  # of a thumbnail's edge, pixels: a crop of about 6 % a side
BORDER = 3  # pixels that a crop may have cut away
TILE = 10
NOISE = 2.0  # variance of a tile that is no structure, grey levels squared

_GRID = np.arange(SIDE, dtype=np.float32)
_FROM_CENTRE = (_GRID - (SIDE - 1) / 2) / ((SIDE - 1) / 2)  # -1 to 1
_INSIDE = slice(BORDER, SIDE - BORDER)
_STARTS = np.arange(0, SIDE - 2 * BORDER - TILE + 1, 4)[:, None]  # of the tiles, which overlap
_COLUMNS = np.arange(SIDE - 2 * BORDER)
# Averages over the tiles.
_TILES = ((_STARTS <= _COLUMNS) & (_COLUMNS < _STARTS + TILE)).astype(np.float32) / np.float32(TILE)


def likeness(one: Array, other: Array) -> Array:
    """The correlation float32 [K] of thumbnails uint8 [K, 32, 32], halved: a quick look before `same_picture`."""
    a, b = (_glance(thumbnails) for thumbnails in (one, other))
    return np.einsum("ij,ij->i", a, b)


def _glance(thumbnails: Array) -> Array:
    halved = thumbnails.reshape(-1, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4), dtype=np.float32)
    halved = halved.reshape(len(thumbnails), (SIDE // 2) ** 2)
    halved -= halved.mean(axis=1, keepdims=True)
    spread = np.linalg.norm(halved, axis=1, keepdims=True)
    halved /= np.maximum(spread, 1e-6)
    halved[spread[:, 0] < FLAT * SIDE / 2] = 0  # like nothing, not even itself
    return halved


def same_picture(one: Array, other: Array) -> Array:
    """Whether two thumbnails uint8 [K, 32, 32] show one picture, bool [K], in either order.

    One is fitted to the other by a quadratic tone curve, as it lies and after a small crop; the same picture
    leaves next to nothing unexplained in any part of it.
    """
    a, b = (gaussian_filter(x.astype(np.float32), 0.8, axes=(1, 2)) for x in (one, other))
    source, target = np.concatenate([a, b]), np.concatenate([b, a])
    same = _unexplained(source, target) <= UNEXPLAINED_IN_PLACE
    window = _align(source, target)
    aligned = _unexplained(_resample(source, window), target) <= UNEXPLAINED_ALIGNED
    same |= aligned & _is_crop(window)
    return same[: len(one)] | same[len(one) :]


def _fit(columns: list[Array], target: Array) -> tuple[Array, Array]:
    """Least squares of each `target` [K, S, S] on its `columns`: coefficients [K, C], residuals [K, S, S]."""
    basis = np.stack([np.ones_like(target), *columns], axis=-1).reshape(len(target), -1, len(columns) + 1)
    wanted = target.reshape(len(target), -1, 1)
    transposed = basis.swapaxes(1, 2)
    # The small ridge keeps a thumbnail without structure solvable.
    normal = transposed @ basis + np.float32(0.01) * np.eye(basis.shape[2], dtype=np.float32)
    coefficients = np.linalg.solve(normal.astype(float), (transposed @ wanted).astype(float))
    residual = wanted - basis @ coefficients.astype(np.float32)
    return coefficients[..., 0], residual.reshape(target.shape)


def _tone(image: Array) -> list[Array]:
    """The terms of a quadratic tone curve: contrast, and the bend that clipped highlights make."""
    scaled = (image[:, _INSIDE, _INSIDE] - 128) / 64
    return [scaled, scaled**2]


def _unexplained(source: Array, target: Array) -> Array:
    """The largest share of a tile's variance, float [K], that the tone curve of `source` leaves in `target`.

    A tile at a time: scans that share a background agree almost everywhere but where the leaf lies.
    """
    inside = target[:, _INSIDE, _INSIDE]
    _, residual = _fit(_tone(source), inside)

    def mean(image: Array) -> Array:
        return _TILES @ image @ _TILES.T

    share = mean(residual**2) / (mean(inside**2) - mean(inside) ** 2 + NOISE)
    return share.max(axis=(1, 2))


def _align(source: Array, target: Array) -> Array:
    """The window of `source` that `target` shows, [4, K]: shift and stretch of columns, then of rows.

    In pixels at the edge. Two steps of Lucas and Kanade (1981), the tone curve fitted along.
    """
    window = np.zeros((4, len(source)), np.float32)
    for _ in range(2):
        moved = _resample(source, window)
        down, right = (slope[:, _INSIDE, _INSIDE] for slope in np.gradient(moved, axis=(1, 2)))
        inner = _FROM_CENTRE[_INSIDE]
        motion = [right, right * inner, down, down * inner[:, None]]
        coefficients, _ = _fit([*_tone(moved), *motion], target[:, _INSIDE, _INSIDE])
        contrast = coefficients[:, 1] / 64
        contrast = np.where(np.abs(contrast) < 0.2, 1, contrast)
        step = np.clip(coefficients[:, 3:] / contrast[:, None], -LARGEST_SHIFT, LARGEST_SHIFT)
        window = np.clip(window + step.T, -LARGEST_SHIFT, LARGEST_SHIFT).astype(np.float32)
    return window


def _is_crop(window: Array) -> Array:
    """Whether a window lies inside its source on all four sides, or outside on all four, to 0.2 pixels."""
    before = window[::2] - window[1::2]
    after = window[::2] + window[1::2]
    return (np.minimum(before, -after).min(axis=0) >= -0.2) | (np.maximum(before, -after).max(axis=0) <= 0.2)


def _resample(image: Array, window: Array) -> Array:
    """The `window` [4, K] of `image` [K, 32, 32] on the full grid, by cubic convolution (Keys 1981)."""

    def weights(shift: Array, stretch: Array) -> Array:
        places = np.clip(_GRID + shift[:, None] + stretch[:, None] * _FROM_CENTRE, 0, SIDE - 1)
        x = np.abs(places[:, :, None] - _GRID)
        near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
        kernel = np.where(x < 1, near, np.where(x < 2, far, 0))
        return kernel / kernel.sum(axis=2, keepdims=True)

    return weights(*window[2:]) @ image @ weights(*window[:2]).swapaxes(1, 2)
