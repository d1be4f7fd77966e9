"""Activations at a network's cut, kept for many photos in several views, and given to its upper part in batches."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manihot.networks.augment import Views
from manihot.networks.batches import BLOCK, Gathered, fits


def rows_of(activations: Tensor) -> NDArray[np.float16]:
    """Activations [b, ...] as they are kept, float16: of maps [b, channels, h, w] the channels lie innermost, as a
    network in channels_last takes them."""
    maps = activations.permute(0, 2, 3, 1) if activations.ndim == 4 else activations
    return maps.half().contiguous().cpu().numpy()


class Activations:
    """Memory-mapped activations of `count` photos in each of `views`, float16 [count, views, *row].

    `activations[rows, which]`, by the photos' places and one view's index each, both int64 [b], copies those rows.
    """

    dtype = np.dtype("<f2")

    def __init__(self, count: int, views: Sequence[str], row: tuple[int, ...]):
        self.views = list(views)
        self.shape = (count, len(views), *row)
        self.nbytes = int(np.prod(self.shape)) * self.dtype.itemsize
        self._arrays: list[NDArray[np.floating]] = []
        self._array_of, self._row_of = np.empty(self.shape[:2], np.int64), np.empty(self.shape[:2], np.int64)

    def __len__(self) -> int:
        return self.shape[0]

    def add(self, view: int, array: NDArray[np.floating], places: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        """Let the photos at `places` in a view be those `rows` of `array`."""
        self._array_of[places, view], self._row_of[places, view] = len(self._arrays), rows
        self._arrays.append(array)

    def __getitem__(self, asked: tuple[NDArray[np.int64], NDArray[np.int64]]) -> NDArray[np.floating]:
        arrays, rows = self._array_of[asked], self._row_of[asked]
        taken = np.empty((len(rows), *self.shape[2:]), self._arrays[0].dtype)
        for place, (array, row) in enumerate(zip(arrays.tolist(), rows.tolist(), strict=True)):
            taken[place] = self._arrays[array][row]
        return taken


class ActivationBatches(Gathered[Views]):
    """Gathers batches of stored activations by index, on `device`: float32, in the shapes that the network has.

    Where a GPU has room for all of them, they are copied there once.
    """

    def __init__(self, stored: Activations, device: torch.device):
        self.stored, self.device = stored, device
        self.resident = self._copy() if fits(stored.nbytes, device) else None

    def __len__(self) -> int:
        return len(self.stored)

    def _copy(self) -> Tensor:
        resident = torch.empty(self.stored.shape, dtype=torch.float16, device=self.device)
        for view in range(self.stored.shape[1]):
            for start in range(0, len(self), BLOCK):
                rows = np.arange(start, min(start + BLOCK, len(self)))
                resident[start : start + BLOCK, view] = torch.from_numpy(self.stored[rows, np.full_like(rows, view)])
        return resident

    def __call__(
        self, order: NDArray[np.int64], batch_size: int, changes: Views | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Each batch of `order` in turn: activations float32 [b, ...] and the photos' indices int64 [b].

        `changes` says in which view each photo is seen; without it, in the first.
        """
        which = np.zeros(len(self), np.int64) if changes is None else changes.which
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            index = torch.from_numpy(rows).to(self.device)
            if self.resident is None:
                block = torch.from_numpy(self.stored[rows, which[rows]])
                block = block.pin_memory() if self.device.type == "cuda" else block
                maps = block.to(self.device, non_blocking=True)
            else:
                maps = self.resident[index, torch.from_numpy(which[rows]).to(self.device)]
            yield (maps.permute(0, 3, 1, 2) if maps.ndim == 4 else maps).float(), index

    def in_view(self, view: str) -> Views:
        """Every photo in one view."""
        return Views(np.full(len(self), self.stored.views.index(view), np.int64))
