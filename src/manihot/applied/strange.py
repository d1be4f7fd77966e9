"""Photos that are none of a study's kind, to see whether `unlike` tells them: noise, drawn textures, other photos."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from manihot.applied.backbones import Backbone, Computing
from manihot.applied.photos import Seen, decoded
from manihot.applied.unlike import Reference
from manihot.core.gpus import Compute
from manihot.networks import device as machine

# Pictures of each kind that are drawn, and at most so many photos of another data set.
DRAWN, PHOTOS = 100, 300

Pixels = NDArray[np.uint8]


def noise(generator: np.random.Generator, size: int) -> Pixels:
    """A picture each of whose pixels has a colour of its own, uint8 [size, size, 3]."""
    return generator.integers(0, 256, (size, size, 3), dtype=np.uint8)


def texture(generator: np.random.Generator, size: int) -> Pixels:
    """A picture of three waves, each with its direction, length, phase and colour, uint8 [size, size, 3]."""
    across, down = np.meshgrid(*[np.arange(size) / size] * 2)
    picture = np.zeros((size, size, 3))
    for _ in range(3):
        angle, phase = generator.uniform(0, 2 * np.pi, 2)
        waves, colour = generator.uniform(2, 16), generator.uniform(0, 1, 3)
        along = np.cos(angle) * across + np.sin(angle) * down
        picture += (1 + np.sin(2 * np.pi * waves * along + phase))[:, :, None] / 2 * colour
    return (255 * picture / 3).astype(np.uint8)


KINDS: Mapping[str, Callable[[np.random.Generator, int], Pixels]] = {"noise": noise, "textures": texture}


def drawn(kind: str, size: int, seed: int) -> Iterator[Pixels]:
    """DRAWN pictures of one of KINDS, uint8 [n, size, size, 3] in a single batch; a seed draws the same ones."""
    generator = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    yield np.stack([KINDS[kind](generator, size) for _ in range(DRAWN)])


def opened(paths: Iterable[Path], way: Seen, batch_size: int, workers: int, max_pixels: int) -> Iterator[Pixels]:
    """The photos at `paths` as a network sees them, uint8 [n, size, size, 3], a batch at a time; those that cannot be
    opened are left out."""
    for batch in decoded(paths, {way}, batch_size, workers, max_pixels):
        if batch.usable.any():
            yield batch.pixels[way]


def how_unlike(
    reference: Reference, backbone: Backbone, kinds: Mapping[str, Iterable[Pixels]], batch_size: int, compute: Compute
) -> dict[str, NDArray[np.float64]]:
    """How unlike the reference photos the pictures of each kind are, float64 [n], 0 to 100.

    Raises:
        StudyError: no such device.
    """
    torch.set_num_threads(compute.threads)
    with machine.choose(compute) as device:
        computing = Computing(device, batch_size)
        found = {
            kind: [reference.unlike(backbone.features({backbone.seen: pixels}, computing)) for pixels in batches]
            for kind, batches in kinds.items()
        }
    return {kind: np.concatenate(values) if values else np.empty(0) for kind, values in found.items()}
