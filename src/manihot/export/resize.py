"""The study's resize as matrix products, which an ONNX graph takes with it: the same bytes, for photos of any size.

Photos are resized as `functional.interpolate(…, antialias=True)` resizes bytes (`pixels/cache.py`), which is Pillow's
way with weights of 15 bits: first along the rows, rounded to bytes, then along the columns. Each pixel that comes out
is a weighted mean of those under a triangle as wide as two of its steps (Pillow's `Resample.c`). Weights are rounded as
torch rounds them, and whole numbers below 2^24 are exact in float32.

A pixel has few neighbours: the pixels that come out are made in BLOCKS blocks, each from the part of the photo that it
lies in, or nearly all weights would be zeros.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

# Blocks of pixels in a row, at most; torch's weights, as whole numbers, lie below LARGEST at a precision of 22 bits.
BLOCKS, LARGEST, PRECISION = 16, 2**15, 22


class Squeeze(nn.Module):
    """Photos uint8 [n, height, width, 3] to float32 [n, 3, size, size], whole numbers 0 to 255: the study's pixels."""

    centres: Tensor
    firsts: Tensor
    powers: Tensor

    def __init__(self, size: int):
        super().__init__()
        self.size = size
        self.blocks = max(count for count in range(1, BLOCKS + 1) if size % count == 0)
        centres = torch.arange(size, dtype=torch.float64) + 0.5
        self.register_buffer("centres", centres.view(self.blocks, 1, -1), persistent=False)
        self.register_buffer("firsts", torch.arange(self.blocks), persistent=False)
        self.register_buffer("powers", 2.0 ** torch.arange(1, PRECISION + 1, dtype=torch.float64), persistent=False)

    def forward(self, photos: Tensor) -> Tensor:
        """The pixels."""
        count, height, width = photos.shape[:3]
        made = self._along_rows(photos.reshape(count, height, width * 3), width)
        weights, places = self.weights(height)
        columns = made.index_select(1, places.clamp(0, height - 1).flatten())
        columns = columns.view(count, self.blocks, -1, 3 * self.size)
        made = rounded(torch.matmul(weights.transpose(1, 2), columns)).view(count, self.size, self.size, 3)
        return made.permute(0, 3, 1, 2)

    def _along_rows(self, rows: Tensor, width: int) -> Tensor:
        """Rows [n, height, width * 3], pixel by pixel, as [n, height, size * 3], whole numbers in float32.

        A pixel's three bytes stay together: a transposition of a large photo would take longer than the products with
        weights that are zero between unlike colours.
        """
        weights, _ = self.weights(width)
        length, step = weights.shape[1:]
        colours = torch.eye(3)[None, None, :, None, :] * weights[:, :, None, :, None]
        colours = colours.reshape(self.blocks, length * 3, step * 3)
        reach = self._reach(width)
        padded = functional.pad(rows, (3 * reach, 3 * reach + 6))
        parts = [
            torch.matmul(padded.narrow(2, 3 * (block * width // self.blocks), 3 * length).float(), colours[block])
            for block in range(self.blocks)
        ]
        return rounded(torch.cat(parts, dim=2))

    def _reach(self, pixels: int) -> int:
        """How many pixels beside its own part of a row a block may need."""
        return (pixels + self.size - 1) // self.size + 1

    def weights(self, pixels: int) -> tuple[Tensor, Tensor]:
        """The weights float32 [blocks, L, size / blocks] of the L pixels of a row of `pixels` that each block may need,
        and the places int64 [blocks, L] of these pixels, some of them outside the row, with weights of 0."""
        reach = self._reach(pixels)
        length = pixels // self.blocks + 2 * reach + 2
        firsts = torch.div(self.firsts * pixels, self.blocks, rounding_mode="floor") - reach
        places = firsts[:, None] + torch.arange(length, device=firsts.device)
        scale = torch.scalar_tensor(pixels, dtype=torch.float64, device=firsts.device) / self.size
        away = (places[:, :, None].double() + 0.5 - self.centres * scale).abs()
        inside = (places >= 0) & (places < pixels)
        weights = (1 - away / scale.clamp(min=1.0)).clamp(min=0.0) * inside[:, :, None].double()
        weights = weights / weights.sum(dim=1, keepdim=True)
        unit = torch.where(0.5 + weights.max() * self.powers < LARGEST, self.powers, 1.0).max()
        whole = torch.floor(weights * unit + 0.5) / unit
        return whole.float(), places


def rounded(means: Tensor) -> Tensor:
    """Means of bytes, rounded to bytes as Pillow rounds them; float32."""
    return torch.floor(means + 0.5).clamp(0.0, 255.0)
