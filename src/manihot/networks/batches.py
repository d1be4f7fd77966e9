"""Photos as bytes, given to a network as normalised batches on its device."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manihot.networks import augment
from manihot.networks.augment import Changes
from manihot.pixels.store import CachedPhotos

Photos: TypeAlias = NDArray[np.uint8] | CachedPhotos
# The share of a GPU's free memory that photos may take; the rest is the network's.
SHARE_OF_MEMORY = 0.5
BLOCK = 1024
Change = TypeVar("Change")


def fits(nbytes: int, device: torch.device) -> bool:
    """Whether what is gathered from may be copied to a device: a GPU with room for it beside the network."""
    return device.type == "cuda" and nbytes <= SHARE_OF_MEMORY * torch.cuda.mem_get_info(device)[0]


class Gathered(ABC, Generic[Change]):
    """Batches of what is kept of photos, gathered by the photos' indices on a device."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __call__(
        self, order: NDArray[np.int64], batch_size: int, changes: Change | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Each batch of `order` in turn, float32 [b, ...], and its indices int64 [b]; the last may be smaller.

        `changes` are drawn for all photos, in their own order.
        """

    def outputs(self, function: Callable[[Tensor], Tensor], batch_size: int, changes: Change | None = None) -> Tensor:
        """What `function` makes of each batch [b, ...] of all photos in order, as one tensor [n, ...]."""
        whole: Tensor | None = None
        for photos, index in self(np.arange(len(self)), batch_size, changes):
            made = function(photos)
            # Taken whole at once: a small block kept of each batch would split what the batches leave free, and
            # memory would grow by a batch each time.
            whole = made.new_empty(len(self), *made.shape[1:]) if whole is None else whole
            whole[index] = made
        if whole is None:
            raise ValueError("there are no photos")
        return whole


class Batches(Gathered[Changes]):
    """Gathers batches by index and normalises them on `device`.

    `pixels` is uint8 [n, side, side, 3], in memory or in the cache; `normalisation` is mean and standard deviation of
    pixels 0..1. What comes out has `size` pixels a side: as many as `pixels` where it is None. On a GPU the photos are
    copied once where they fit, and gathered there; else each batch goes through page-locked memory while the one before
    it is computed.
    """

    def __init__(
        self,
        pixels: Photos,
        device: torch.device,
        normalisation: tuple[Sequence[float], Sequence[float]],
        size: int | None = None,
    ):
        self.pixels, self.device = pixels, device
        self.size = size or pixels.shape[2]
        mean, deviation = (torch.tensor(values, device=device) for values in normalisation)
        # Of a whole row of pixels: three values at a time would be as many short loops as there are pixels.
        self.scale, self.shift = (x.repeat(self.size) for x in (1 / (255 * deviation), -mean / deviation))
        self.resident = self._copy() if fits(pixels.nbytes, device) else None

    def __len__(self) -> int:
        return len(self.pixels)

    def _copy(self) -> Tensor:
        resident = torch.empty(self.pixels.shape, dtype=torch.uint8, device=self.device)
        for start in range(0, len(self.pixels), BLOCK):
            block = torch.from_numpy(np.ascontiguousarray(self.pixels[start : start + BLOCK]))
            resident[start : start + BLOCK] = block
        return resident

    def __call__(
        self, order: NDArray[np.int64], batch_size: int, changes: Changes | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Each batch of `order` in turn: float32 [b, 3, size, size] channels_last and its indices int64 [b].

        The last batch may be smaller. `changes` are drawn for all photos, in their own order.
        """
        places = torch.from_numpy(order).to(self.device)
        for start in range(0, len(order), batch_size):
            batch = slice(start, start + batch_size)
            index = places[batch]
            yield self._normalised(self._gather(order[batch], index), index, changes), index

    def _gather(self, rows: NDArray[np.int64], index: Tensor) -> Tensor:
        if self.resident is not None:
            return self.resident[index]
        block = torch.from_numpy(self.pixels[rows])
        if self.device.type == "cuda":
            return block.pin_memory().to(self.device, non_blocking=True)
        return block

    def _normalised(self, block: Tensor, index: Tensor, changes: Changes | None) -> Tensor:
        photos = block.permute(0, 3, 1, 2)
        if changes is None:
            photos = augment.resized(photos.float(), self.size)
        else:
            photos = changes.turn(photos, index).float()
            photos = changes.recolour(changes.resample(photos, index, self.size), index)
        photos = photos.contiguous(memory_format=torch.channels_last)
        rows = photos.permute(0, 2, 3, 1).view(-1, len(self.scale))
        torch.addcmul(self.shift, rows, self.scale, out=rows)
        return photos
