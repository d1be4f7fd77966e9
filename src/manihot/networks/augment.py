"""Random order and random changes of training photos, and the fixed views of test-time augmentation.

What a photo gets follows from an integer hash of (seed, epoch, photo) alone: neither the batch size nor its
place in a batch nor a resumed run changes it. Changes are made to whole batches on their device: flips and quarter
turns, then small turns and crops in one resampling (in two where the photos are larger than what comes out), then
colours (`colours.py`). `mixing.py` mixes what comes out.
"""

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manihot.networks import colours
from manihot.networks.mixing import Mixing

# Of a random crop, as torchvision's RandomResizedCrop has them: the largest ratio of its sides, and how often one is
# drawn before the whole photo is taken.
LARGEST_RATIO = 4 / 3
TRIES = 10
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
    """Which changes are drawn: flips (probability 1/2), quarter turns, turns within +- `rotation` degrees; crops of at
    least the share `random_crop` of the area (0: none); factors of brightness and contrast within 1 +- these; a shift
    of the hue within +- `hue` of the colour circle.
    """

    horizontal_flip: bool = False
    vertical_flip: bool = False
    right_angles: bool = False
    rotation: float = 0.0
    random_crop: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    hue: float = 0.0

    def at_validation(self) -> "Augmentation":
        """The flips and turns alone: no more is ever done to photos that are validated on."""
        return Augmentation(self.horizontal_flip, self.vertical_flip, self.right_angles, self.rotation)

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

        def shares(what: str) -> NDArray[np.float64]:
            return _shares(keys, seed, epoch, what)

        def drawn(most: float, values: NDArray[np.float64]) -> Tensor | None:
            return torch.from_numpy(values).float().to(device) if most else None

        def spread(most: float, what: str, middle: float) -> Tensor | None:
            return drawn(most, middle + most * (2 * shares(what) - 1)) if most else None

        return Changes(
            steps,
            drawn(self.rotation, angles),
            drawn(self.random_crop, _boxes(self.random_crop, shares)) if self.random_crop else None,
            spread(self.brightness, "brightness", 1.0),
            spread(self.contrast, "contrast", 1.0),
            spread(self.hue, "hue", 0.0),
        )


def parts(asked: Mapping[str, Any]) -> tuple[Augmentation, Mixing]:
    """What the keys of a study's `augment` ask for: changes of each photo, and mixing of those of a batch."""
    changes = dict(asked)
    mixing = Mixing(changes.pop("mixup", 0.0), changes.pop("cutmix", 0.0))
    return Augmentation(**changes), mixing


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


def _shares(keys: NDArray[np.uint64], seed: int, epoch: int, what: str) -> NDArray[np.float64]:
    """A number from 0 to 1 (left out) for each photo, epoch and purpose."""
    bits = _mix(keys ^ np.uint64(derive(seed, epoch, zlib.crc32(what.encode()))))
    return (bits >> np.uint64(11)).astype(np.float64) / 2**53


def _boxes(smallest: float, shares: Callable[[str], NDArray[np.float64]]) -> NDArray[np.float64]:
    """A crop for each photo, float64 [4, n]: its middle (x, y) and half its width and height in a photo from -1 to 1.

    Drawn as torchvision's RandomResizedCrop does: area and the logarithm of width / height are uniform; what does not
    fit is drawn again, and after ten times the whole photo is taken. It is not rounded to whole pixels.
    """
    boxes: NDArray[np.float64] | None = None
    for attempt in reversed(range(TRIES)):
        area = smallest + (1 - smallest) * shares(f"crop area {attempt}")
        ratio = np.exp(math.log(LARGEST_RATIO) * (2 * shares(f"crop ratio {attempt}") - 1))
        sides = np.sqrt(np.stack([area * ratio, area / ratio]))
        boxes = np.ones_like(sides) if boxes is None else boxes
        boxes = np.where((sides <= 1).all(axis=0), sides, boxes)
    assert boxes is not None
    places = np.stack([shares("crop x"), shares("crop y")])
    return np.concatenate([(1 - boxes) * (2 * places - 1), boxes])


def resized(photos: Tensor, size: int, boxes: Tensor | None = None) -> Tensor:
    """Float photos [b, c, side, side], or a part of each, resized to [b, c, size, size]: bilinear and antialiased.

    `boxes` float32 [4, b] are the parts: middle (x, y) and half the width and height, in a photo from -1 to 1. The
    weights are those of Pillow and torchvision: a triangle that is as wide as two pixels of what is coarser, the photo
    or what comes out, so that a large part loses what its new pixels cannot show. At the photo's rim its own pixels
    alone count.
    """
    side = photos.shape[-1]
    if boxes is None:
        whole = side == size
        return photos if whole else nn.functional.interpolate(photos, size, mode="bilinear", antialias=True)
    line = (torch.arange(size, device=photos.device) * 2 + 1) / size - 1
    pixels = torch.arange(side, device=photos.device) + 0.5
    x, y, width, height = boxes[..., None]

    def weights(middle: Tensor, half: Tensor) -> Tensor:
        """What each pixel of a photo counts in each new one of a line, float32 [b, 1, size, side]."""
        places = (middle + half * line + 1) * (side / 2)
        reach = (half * (side / size)).clamp(min=1)[..., None]
        near = (1 - (pixels - places[..., None]).abs() / reach).clamp(min=0)
        return (near / near.sum(dim=-1, keepdim=True))[:, None]

    # Rows and columns apart: a triangle's weights are the product of both.
    return weights(y, height) @ (photos @ weights(x, width).mT)


@dataclass(frozen=True)
class Changes:
    """What each photo gets: to transpose, flip vertically, horizontally, bool [3, n]; radians float32 [n].

    `boxes` are the middle (x, y) and half the width and height of its crop, float32 [4, n], in a photo from -1 to 1;
    `brightness` and `contrast` are factors, `hue` is a share of the colour circle, float32 [n].
    """

    steps: Tensor
    angles: Tensor | None = None
    boxes: Tensor | None = None
    brightness: Tensor | None = None
    contrast: Tensor | None = None
    hue: Tensor | None = None

    def turn(self, photos: Tensor, index: Tensor) -> Tensor:
        """Flips and quarter turns of photos [b, c, size, size]; `index`, int64 [b], is their place."""
        transpose, vertical, horizontal = self.steps[:, index][..., None, None, None]
        photos = torch.where(transpose, photos.mT, photos)
        photos = torch.where(vertical, photos.flip(-2), photos)
        return torch.where(horizontal, photos.flip(-1), photos)

    def resample(self, photos: Tensor, index: Tensor, size: int | None = None) -> Tensor:
        """Small rotations of float photos [b, c, side, side] about their middles, and crops of what comes out, resized
        to `size` pixels a side, the photo's own where it is None. What lies outside the photo is its reflection.

        Bilinear; at the photo's own size both at once. From a larger photo the crop is made after the turn, since a
        pixel of it may stand for several of the photo's (`resized`).
        """
        side, boxes = photos.shape[-1], self.boxes if self.boxes is None else self.boxes[:, index]
        if size is None or size == side:
            return self._sampled(photos, index, boxes)
        return resized(self._sampled(photos, index, None), size, boxes)

    def _sampled(self, photos: Tensor, index: Tensor, boxes: Tensor | None) -> Tensor:
        """Photos turned and cut to `boxes`, at their own size."""
        if self.angles is None and boxes is None:
            return photos
        size = photos.shape[-1]
        line = (torch.arange(size, device=photos.device) * 2 + 1) / size - 1
        x, y = line[None, None, :], line[None, :, None]
        if boxes is not None:
            left, top, width, height = boxes[..., None, None]
            x, y = left + width * x, top + height * y
        if self.angles is None:
            grid = torch.stack(torch.broadcast_tensors(x, y), dim=-1)
        else:
            angles = self.angles[index][:, None, None]
            grid = torch.stack([angles.cos() * x - angles.sin() * y, angles.sin() * x + angles.cos() * y], dim=-1)
        return nn.functional.grid_sample(photos, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

    def recolour(self, photos: Tensor, index: Tensor) -> Tensor:
        """Brightness, then contrast, then hue of float photos [b, 3, size, size] from 0 to 255, not yet normalised."""
        for change, amounts in (
            (colours.brighten, self.brightness), (colours.contrast, self.contrast), (colours.turn_hue, self.hue),
        ):  # fmt: skip
            if amounts is not None:
                photos = change(photos, amounts[index])
        return photos
