"""A contact sheet: a few training photos as a fold's network sees them, epoch by epoch, for the report."""

import math
import zlib
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image

from manihot.core import files
from manihot.networks import augment
from manihot.networks.batches import Batches, Photos
from manihot.networks.build import PIXELS
from manihot.splits.folds import Fold

PHOTOS, EPOCHS = 2, 6
SIDE, GAP, QUALITY = 96, 2, 75


def draws(
    fold: Fold,
    gather: Callable[[pd.DataFrame], Photos],
    asked: Mapping[str, Any],
    batch_size: int,
    seed: int,
    size: int,
) -> NDArray[np.uint8]:
    """Two training photos of a fold in epochs 1 to 6, as training sees them, uint8 [photos, epochs, size, size, 3].

    Where photos are mixed, it is with those of the very batch.

    Args:
        fold: whose training photos they are.
        gather: gives the pixels uint8 [n, side, side, 3] of rows of the fold's photos, `size` or more a side.
        asked: the keys of a study's `augment`.
        batch_size: of the training.
        seed: of the fold's training.
        size: pixels a side that the network sees.
    """
    rows, device = fold.training, torch.device("cpu")
    keys, n = augment.photo_keys(rows), len(rows)
    changes, mixing = augment.parts(asked)
    chosen = np.random.default_rng([seed, zlib.crc32(b"contact sheet")]).choice(n, min(PHOTOS, n), replace=False)
    steps = math.ceil(n / batch_size)

    def seen(photo: int, epoch: int) -> NDArray[np.uint8]:
        order = augment.random_order(seed, epoch, n)
        step, place = divmod(int(np.flatnonzero(order == photo)[0]), batch_size)
        batch = order[step * batch_size : (step + 1) * batch_size]
        mix = mixing.draw(seed, epoch, (epoch - 1) * steps + step, len(batch), device)
        if mix is None:
            batch, place = batch[place : place + 1], 0
        drawn = changes.draw(keys[batch], seed, epoch, device)
        pixels = Batches(gather(rows.iloc[batch]), device, PIXELS, size)
        photos, _ = next(pixels(np.arange(len(batch)), len(batch), drawn))
        if mix is not None:
            photos, _ = mix.photos(photos)
        return (photos[place].permute(1, 2, 0) * 255).round().clamp(0, 255).byte().numpy()

    return np.stack([np.stack([seen(photo, epoch) for epoch in range(1, EPOCHS + 1)]) for photo in chosen])


def write(path: str | PathLike[str], cells: NDArray[np.uint8]) -> None:
    """Write photos uint8 [rows, columns, size, size, 3] as one JPEG: a grid of thumbnails."""
    rows, columns = cells.shape[:2]
    sheet = Image.new("RGB", (columns * (SIDE + GAP) - GAP, rows * (SIDE + GAP) - GAP), "white")
    for row in range(rows):
        for column in range(columns):
            cell = Image.fromarray(cells[row, column]).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            sheet.paste(cell, (column * (SIDE + GAP), row * (SIDE + GAP)))
    with files.atomic(path) as temporary:
        sheet.save(temporary, "JPEG", quality=QUALITY)
