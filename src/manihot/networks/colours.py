"""Colours of whole batches: float photos [b, 3, h, w] from 0 to 255, and a number for each, float32 [b].

Each change is that of torchvision's ColorJitter (`torchvision.transforms.functional`), which takes pixels from 0 to 1:
what is clamped there at 1 is clamped here at 255.
"""

import torch
from torch import Tensor

WHITE = 255.0
# The shares of red, green and blue in a grey, as torchvision has them (ITU-R BT.601).
GREY = (0.2989, 0.587, 0.114)


def brighten(photos: Tensor, factors: Tensor) -> Tensor:
    """Each pixel times its photo's factor, as `adjust_brightness`."""
    return (photos * factors[:, None, None, None]).clamp(0, WHITE)


def contrast(photos: Tensor, factors: Tensor) -> Tensor:
    """Each pixel's distance from its photo's mean grey times the factor, as `adjust_contrast`."""
    red, green, blue = photos.unbind(1)
    mean = (GREY[0] * red + GREY[1] * green + GREY[2] * blue).mean(dim=(1, 2))[:, None, None, None]
    return (mean + factors[:, None, None, None] * (photos - mean)).clamp(0, WHITE)


def turn_hue(photos: Tensor, shifts: Tensor) -> Tensor:
    """The hue of each pixel moved by a share of the colour circle, as `adjust_hue`: value and saturation (HSV) stay."""
    value, least = photos.amax(1), photos.amin(1)
    chroma = value - least
    red, green, blue = photos.unbind(1)
    safe = torch.where(chroma > 0, chroma, 1.0)
    sixth = torch.where(
        value == red, (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )  # fmt: skip
    sixth = sixth + 6 * shifts[:, None, None]
    places = [(offset + sixth) % 6 for offset in (5, 3, 1)]
    return torch.stack([value - chroma * torch.minimum(k, 4 - k).clamp(0, 1) for k in places], dim=1)
