"""Mixtures of the photos of a batch, and the loss of their two labels: mixup and CutMix.

What a batch gets follows from (seed, epoch, step) and its size alone: a resumed run changes nothing of it.
"""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Mixing:
    """Which mixtures are drawn: each is the alpha of the Beta distribution of its share, 0 for none."""

    mixup: float = 0.0
    cutmix: float = 0.0

    def draw(self, seed: int, epoch: int, step: int, photos: int, device: torch.device | None = None) -> "Mix | None":
        """How a batch of so many photos is mixed; None where nothing ever is. With both, a fair draw says which."""
        if not (self.mixup or self.cutmix):
            return None
        generator = np.random.default_rng([seed, epoch, step, zlib.crc32(b"mixing")])
        cut = bool(self.cutmix) and (not self.mixup or generator.random() < 0.5)
        alpha = self.cutmix if cut else self.mixup
        share, centre = float(generator.beta(alpha, alpha)), generator.random(2)
        # A copy that waits for nothing: the next batch is mixed while the device computes this one.
        partners = torch.from_numpy(generator.permutation(photos)).to(device, non_blocking=True)
        return Mix(share, partners, (float(centre[0]), float(centre[1])) if cut else None)


@dataclass(frozen=True)
class Mix:
    """A mixture: `share` of each photo and the rest of its partner, whose places in the batch are int64 [b].

    Mixup (Zhang et al. 2018, arXiv 1710.09412) adds the two; CutMix (Yun et al. 2019, arXiv 1905.04899), where there is
    a `centre` (x and y, from 0 to 1), puts a box of the partner around it.
    """

    share: float
    partners: Tensor
    centre: tuple[float, float] | None = None

    def box(self, height: int, width: int) -> tuple[slice, slice]:
        """The rows and columns of photos of this size that CutMix takes from the partner, cut off at the border."""
        assert self.centre is not None, "mixup has no box"
        half = math.sqrt(1 - self.share) / 2

        def side(length: int, centre: float) -> slice:
            middle, reach = int(centre * length), int(half * length)
            return slice(max(middle - reach, 0), min(middle + reach, length))

        return side(height, self.centre[1]), side(width, self.centre[0])

    def photos(self, photos: Tensor) -> tuple[Tensor, float]:
        """The mixed photos [b, c, h, w] (or activations, which mixup takes in any shape), and the share of each that is
        its own: under CutMix the share of its area, once the box is cut off.
        """
        if self.centre is None:
            return photos * self.share + photos[self.partners] * (1 - self.share), self.share
        rows, columns = self.box(*photos.shape[-2:])
        mixed = photos.clone()
        mixed[..., rows, columns] = photos[self.partners][..., rows, columns]
        taken = (rows.stop - rows.start) * (columns.stop - columns.start)
        return mixed, 1 - taken / (photos.shape[-2] * photos.shape[-1])

    def loss(self, loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, targets: Tensor, own: float) -> Tensor:
        """The loss of both labels, each by its share; `own` is that of a photo's own label."""
        return own * loss(logits, targets) + (1 - own) * loss(logits, targets[self.partners])

    def larger(self, targets: Tensor, own: float) -> Tensor:
        """The label of the larger part of each mixture, int64 [b]."""
        return targets if own >= 0.5 else targets[self.partners]
