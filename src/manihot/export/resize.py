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

# Blocks of pixels in a row, at most; torch's weights, as whole numbers, lie below LARGEST at a precision of 22 bits.
BLOCKS, LARGEST, PRECISION = 8, 2**15, 22


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
        blocks, size, step = self.blocks, self.size, self.size // self.blocks
        weights, places = self.weights(width)
        rows = photos.index_select(2, places.flatten()).view(count, height, blocks, -1, 3)
        rows = rows.permute(0, 2, 1, 4, 3).reshape(count, blocks, height * 3, -1).float()
        made = rounded(torch.matmul(rows, weights)).view(count, blocks, height, 3, step)
        made = made.permute(0, 2, 3, 1, 4).reshape(count, height, 3 * size)
        weights, places = self.weights(height)
        columns = made.index_select(1, places.flatten()).view(count, blocks, -1, 3 * size)
        made = rounded(torch.matmul(weights.transpose(1, 2), columns)).view(count, size, 3, size)
        return made.permute(0, 2, 1, 3)

    def weights(self, pixels: int) -> tuple[Tensor, Tensor]:
        """The weights float32 [blocks, L, size / blocks] of the L pixels of a row of `pixels` that each block may need,
        and the places int64 [blocks, L] of these pixels."""
        reach = (pixels + self.size - 1) // self.size + 1
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
        return whole.float(), places.clamp(0, pixels - 1)


def rounded(means: Tensor) -> Tensor:
    """Means of bytes, rounded to bytes as Pillow rounds them; float32."""
    return torch.floor(means + 0.5).clamp(0.0, 255.0)
