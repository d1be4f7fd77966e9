"""Random order and random changes of training photos, and the fixed views of test-time augmentation.

What a photo gets follows from an integer hash of (seed, epoch, photo) alone: neither the batch size nor its
place in a batch nor a resumed run changes it. Changes are made to whole batches on their device.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda photos: photos,
    "hflip": lambda photos: photos.flip(-1),
    "vflip": lambda photos: photos.flip(-2),
    "rot90": lambda photos: photos.rot90(1, (-2, -1)),
    "rot180": lambda photos: photos.rot90(2, (-2, -1)),
    "rot270": lambda photos: photos.rot90(3, (-2, -1)),
}


def view(photos: Tensor, name: str) -> Tensor:
    """Square photos [..., size, size] as seen in one of `VIEWS`; rotations are counter-clockwise."""
    return VIEWS[name](photos)


def derive(*parts: int) -> int:
    """A seed (64 bits) that depends on every one of `parts`."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0])


def random_order(seed: int, epoch: int, n: int) -> NDArray[np.int64]:
    """The order in which an epoch sees `n` photos, int64 [n]."""
    return np.random.default_rng([seed, epoch, zlib.crc32(b"order")]).permutation(n)


def photo_keys(photos: pd.DataFrame) -> NDArray[np.uint64]:
    """An integer for each photo (columns dataset, image_id), uint64 [n], the same in every table."""
    names = zip(photos["dataset"], photos["image_id"], strict=True)
    return np.array([zlib.crc32(f"{dataset}/{image_id}".encode()) for dataset, image_id in names], np.uint64)


@dataclass(frozen=True)
class Augmentation:
    """Which changes are drawn: flips (probability 1/2), quarter turns, turns within +- `rotation` degrees."""

    horizontal_flip: bool = False
    vertical_flip: bool = False
    right_angles: bool = False
    rotation: float = 0.0

    def draw(
        self, keys: NDArray[np.uint64], seed: int, epoch: int, device: torch.device | None = None
    ) -> "Changes | None":
        """What each photo of `keys` gets in an epoch, on `device`; None where nothing is ever changed."""
        if self == Augmentation():
            return None
        bits = _mix(keys ^ np.uint64(derive(seed, epoch, zlib.crc32(b"augment"))))
        # A quarter turn is a transposition and a flip: three steps make any of the eight changes of a square.
        turns = (bits >> np.uint64(2)) & np.uint64(3) if self.right_angles else np.zeros_like(bits)
        horizontal = (turns >= 2) ^ (self.horizontal_flip & (bits & np.uint64(1) > 0))
        vertical = ((turns == 1) | (turns == 2)) ^ (self.vertical_flip & (bits & np.uint64(2) > 0))
        share = (bits >> np.uint64(32)).astype(np.float64) / 2**32
        angles = np.radians(self.rotation) * (2 * share - 1)
        steps = torch.from_numpy(np.stack([turns % 2 == 1, vertical, horizontal])).to(device)
        return Changes(steps, torch.from_numpy(angles).float().to(device) if self.rotation else None)


@dataclass(frozen=True)
class Views:
    """In which of some stored views each photo is seen, int64 [n]."""

    which: NDArray[np.int64]


@dataclass(frozen=True)
class DrawnViews:
    """Draws one of the first `count` stored views for each photo and epoch."""

    count: int

    def draw(self, keys: NDArray[np.uint64], seed: int, epoch: int, device: torch.device | None = None) -> Views | None:
        """In which view each photo of `keys` is seen in an epoch; None where there is but one."""
        if self.count == 1:
            return None
        bits = _mix(keys ^ np.uint64(derive(seed, epoch, zlib.crc32(b"view"))))
        return Views((bits % np.uint64(self.count)).astype(np.int64))


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014): each bit of a value changes each bit of its hash."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@dataclass(frozen=True)
class Changes:
    """What each photo gets: to transpose, flip vertically, horizontally, bool [3, n]; radians float32 [n]."""

    steps: Tensor
    angles: Tensor | None

    def turn(self, photos: Tensor, index: Tensor) -> Tensor:
        """Flips and quarter turns of photos [b, c, size, size]; `index`, int64 [b], is their place."""
        transpose, vertical, horizontal = self.steps[:, index][..., None, None, None]
        photos = torch.where(transpose, photos.mT, photos)
        photos = torch.where(vertical, photos.flip(-2), photos)
        return torch.where(horizontal, photos.flip(-1), photos)

    def rotate(self, photos: Tensor, index: Tensor) -> Tensor:
        """Small rotations of float photos [b, c, size, size], bilinear; corners are filled by reflection."""
        if self.angles is None:
            return photos
        angles = self.angles[index][:, None, None]
        size = photos.shape[-1]
        line = (torch.arange(size, device=photos.device) * 2 + 1) / size - 1
        x, y = line[None, None, :], line[None, :, None]
        grid = torch.stack([angles.cos() * x - angles.sin() * y, angles.sin() * x + angles.cos() * y], dim=-1)
        return nn.functional.grid_sample(photos, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
