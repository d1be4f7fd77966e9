"""Copies of photos as tools for augmentation write them, kind by kind, and drawn photos of one scene.

What is drawn at random follows from the kind and the photo's number. A copy is saved as JPEG and read again.
"""

import io
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps

Rng = np.random.Generator
Change = Callable[[Image.Image, Rng], Image.Image]
BICUBIC = Image.Resampling.BICUBIC


def encoded(image: Image.Image, quality: int = 90) -> Image.Image:
    """An image as it is after JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def resized(image: Image.Image, factor: float) -> Image.Image:
    """An image so many times as large a side."""
    return image.resize((round(image.width * factor), round(image.height * factor)), BICUBIC)


def crop(image: Image.Image, rng: Rng, share: float) -> Image.Image:
    """A part of an image at a random place, `share` of each side."""
    width, height = round(image.width * share), round(image.height * share)
    left, top = rng.integers(0, image.width - width + 1), rng.integers(0, image.height - height + 1)
    return image.crop((left, top, left + width, top + height))


def zoomed(image: Image.Image, rng: Rng, share: float) -> Image.Image:
    """A crop, brought back to the size of the whole."""
    return crop(image, rng, share).resize(image.size, BICUBIC)


def mirror_padded(image: Image.Image) -> Image.Image:
    """Three by three images, the neighbours of the one in the middle mirrored."""
    pixels = np.asarray(image)
    return Image.fromarray(np.pad(pixels, ((image.height,) * 2, (image.width,) * 2, (0, 0)), mode="symmetric"))


def turned(image: Image.Image, angle: float, fill: str) -> Image.Image:
    """An image turned about its centre in its own frame; `fill` is black, white, reflect, expand or inside."""
    if fill == "reflect":
        around = mirror_padded(image).rotate(angle, BICUBIC)
        return around.crop((image.width, image.height, 2 * image.width, 2 * image.height))
    if fill == "expand":
        return image.rotate(angle, BICUBIC, expand=True)
    if fill == "inside":  # the largest part without corners of nothing, of the same shape
        radians = abs(np.radians(angle))
        ratio = max(image.width / image.height, image.height / image.width)
        share = 1 / (np.cos(radians) + ratio * np.sin(radians))
        width, height = image.width * share / 2, image.height * share / 2
        x, y = image.width / 2, image.height / 2
        box = tuple(round(v) for v in (x - width, y - height, x + width, y + height))
        return image.rotate(angle, BICUBIC).crop(box).resize(image.size, BICUBIC)
    return image.rotate(angle, BICUBIC, fillcolor=fill)


def any_sign(rng: Rng, low: float, high: float) -> float:
    """A number from low to high, or its negative."""
    return float(rng.uniform(low, high) * rng.choice([-1, 1]))


def hue(image: Image.Image, degrees: float) -> Image.Image:
    """All hues moved around the circle."""
    h, s, v = image.convert("HSV").split()
    moved = h.point([(value + round(degrees / 360 * 256)) % 256 for value in range(256)])
    return Image.merge("HSV", (moved, s, v)).convert("RGB")


def channels(image: Image.Image, rng: Rng) -> Image.Image:
    """Each channel brighter or darker by up to 40 levels."""
    shift = rng.uniform(-40, 40, 3)
    return Image.fromarray((np.asarray(image, float) + shift).clip(0, 255).astype(np.uint8))


def noisy(image: Image.Image, rng: Rng, deviation: float) -> Image.Image:
    """Gaussian noise, of each pixel and channel."""
    noise = rng.normal(0, deviation, (image.height, image.width, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def salted(image: Image.Image, rng: Rng, share: float) -> Image.Image:
    """A share of the pixels black or white."""
    pixels = np.array(image)
    hit = rng.random(pixels.shape[:2]) < share
    pixels[hit] = rng.integers(0, 2, (hit.sum(), 1)) * 255
    return Image.fromarray(pixels)


def keras(image: Image.Image, rng: Rng, fill: str) -> Image.Image:
    """Perhaps mirrored, turned by up to 40 degrees, zoomed by up to a fifth, shifted by up to a tenth."""
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    angle, zoom = np.radians(any_sign(rng, 0, 40)), rng.uniform(0.8, 1.2)
    shift = rng.uniform(-0.1, 0.1, 2) * image.size
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * zoom
    middle = np.array(image.size) / 2
    offset = middle - linear @ middle + shift
    if fill == "reflect":
        offset += np.array(image.size)
        image, size = mirror_padded(image), image.size
    else:
        size = image.size
    data = (*linear[0], offset[0], *linear[1], offset[1])
    return image.transform(size, Image.Transform.AFFINE, data, BICUBIC, fillcolor=(0, 0, 0))


def sheared(image: Image.Image, rng: Rng) -> Image.Image:
    """Rows shifted against each other by up to 12 degrees."""
    slope = np.tan(np.radians(any_sign(rng, 4, 12)))
    data = (1, slope, -slope * image.height / 2, 0, 1, 0)
    return image.transform(image.size, Image.Transform.AFFINE, data, BICUBIC)


def framed(image: Image.Image, rng: Rng) -> Image.Image:
    """A frame drawn over the rim: 5 % of the long side."""
    copy, wide = image.copy(), round(0.05 * max(image.size))
    colour = tuple(int(v) for v in rng.integers(0, 256, 3))
    ImageDraw.Draw(copy).rectangle((0, 0, image.width - 1, image.height - 1), outline=colour, width=wide)
    return copy


def stamped(image: Image.Image, rng: Rng) -> Image.Image:
    """A box with letters over a corner: 40 % of the width, 8 % of the height."""
    copy = image.copy()
    box = round(0.4 * image.width), round(0.08 * image.height)
    left = 0 if rng.random() < 0.5 else image.width - box[0]
    top = 0 if rng.random() < 0.5 else image.height - box[1]
    draw = ImageDraw.Draw(copy)
    draw.rectangle((left, top, left + box[0], top + box[1]), fill="white")
    draw.text((left + 4, top + 2), "2021-07-14 plot 12", fill="black", font_size=0.7 * box[1])
    return copy


def cut_out(image: Image.Image, rng: Rng) -> Image.Image:
    """Three black boxes, each a tenth of the sides."""
    copy = image.copy()
    wide, high = image.width // 10, image.height // 10
    for _ in range(3):
        left, top = rng.integers(0, image.width - wide), rng.integers(0, image.height - high)
        ImageDraw.Draw(copy).rectangle((left, top, left + wide, top + high), fill="black")
    return copy


def watermark(image: Image.Image, rng: Rng) -> Image.Image:
    """Half-transparent letters across the middle."""
    layer = Image.new("RGB", image.size)
    place = image.width * 0.15, image.height * rng.uniform(0.3, 0.6)
    ImageDraw.Draw(layer).text(place, "SAMPLE", fill=(90, 90, 90), font_size=image.width * 0.1)
    return ImageChops.add(image, layer)


def view(number: int) -> Change:
    """One of the seven other views of a square."""
    return lambda image, rng: image.transpose(Image.Transpose(number))


# What a copy is made by, by group and name.
CHANGES: dict[str, dict[str, Change]] = {
    "eight views": {
        "mirrored left to right": view(0), "mirrored top to bottom": view(1), "turned by 90": view(2),
        "turned by 180": view(3), "turned by 270": view(4), "transposed": view(5), "transverse": view(6),
    },
    "encoded again": {
        "quality 30": lambda image, rng: encoded(image, 30),
        "half the size": lambda image, rng: resized(image, 0.5),
        "half as large again": lambda image, rng: resized(image, 1.5),
        "stretched to a square": lambda image, rng: image.resize((416, 416), BICUBIC),
    },
    "colour": {
        "darker": lambda image, rng: ImageEnhance.Brightness(image).enhance(rng.uniform(0.6, 0.85)),
        "brighter": lambda image, rng: ImageEnhance.Brightness(image).enhance(rng.uniform(1.15, 1.5)),
        "contrast": lambda image, rng: ImageEnhance.Contrast(image).enhance(rng.uniform(0.5, 1.6)),
        "saturation": lambda image, rng: ImageEnhance.Color(image).enhance(rng.uniform(0, 2.5)),
        "hue": lambda image, rng: hue(image, any_sign(rng, 8, 30)),
        "channels": channels,
        "grey": lambda image, rng: image.convert("L").convert("RGB"),
    },
    "noise": {
        "gaussian 15": lambda image, rng: noisy(image, rng, 15),
        "gaussian 30": lambda image, rng: noisy(image, rng, 30),
        "salt and pepper 3 %": lambda image, rng: salted(image, rng, 0.03),
        "blurred": lambda image, rng: image.filter(ImageFilter.GaussianBlur(0.003 * max(image.size))),
    },
    "crop": {
        "80 %": lambda image, rng: crop(image, rng, 0.8),
        "60 %": lambda image, rng: crop(image, rng, 0.6),
        "zoomed to 80 %": lambda image, rng: zoomed(image, rng, 0.8),
        "zoomed to 60 %": lambda image, rng: zoomed(image, rng, 0.6),
        "zoomed to 60 %, mirrored, quality 30": lambda image, rng: encoded(
            zoomed(ImageOps.mirror(image), rng, 0.6), 30),
    },
    "angle": {
        "2 to 10, black": lambda image, rng: turned(image, any_sign(rng, 2, 10), "black"),
        "2 to 10, reflected": lambda image, rng: turned(image, any_sign(rng, 2, 10), "reflect"),
        "10 to 80, black": lambda image, rng: turned(image, any_sign(rng, 10, 80), "black"),
        "10 to 80, reflected": lambda image, rng: turned(image, any_sign(rng, 10, 80), "reflect"),
        "10 to 170, frame grown": lambda image, rng: turned(image, any_sign(rng, 10, 170), "expand"),
        "5 to 25, cut to what is there": lambda image, rng: turned(image, any_sign(rng, 5, 25), "inside"),
        "turned, zoomed, shifted, perhaps mirrored, black": lambda image, rng: keras(image, rng, "black"),
        "the same, reflected": lambda image, rng: keras(image, rng, "reflect"),
        "sheared": sheared,
    },
    "border": {
        "a border around it": lambda image, rng: ImageOps.expand(
            image, round(0.08 * max(image.size)), tuple(int(v) for v in rng.integers(0, 256, 3))),
        "a frame over its rim": framed,
        "made square with black": lambda image, rng: ImageOps.pad(image, (max(image.size),) * 2),
    },
    "stamp": {"a stamp": stamped, "three boxes": cut_out, "a watermark": watermark},
}  # fmt: skip


def change(group: str, kind: str, number: int, image: Image.Image) -> Image.Image:
    """The copy of photo `number` by a kind of change."""
    rng = np.random.default_rng([zlib.crc32(f"{group}/{kind}".encode()), number])
    return encoded(CHANGES[group][kind](image, rng))


def scene(number: int, width: int = 320, height: int = 240) -> Image.Image:
    """Photo `number` of one drawn scene: the same ground, and a leaf of its own shape, place and spots on it."""
    ground = np.zeros((height, width, 3))
    rng = np.random.default_rng(7)
    for cells, weight in ((3, 60), (8, 40), (20, 30), (80, 25)):
        layer = rng.integers(0, 256, (cells, cells + 1, 3), dtype=np.uint8)
        ground += np.asarray(Image.fromarray(layer).resize((width, height), BICUBIC), float) * weight / 155
    image = Image.fromarray(ground.clip(0, 255).astype(np.uint8))
    rng = np.random.default_rng([11, number])
    large = Image.new("L", (width, height))
    middle = np.array([width, height]) * rng.uniform(0.35, 0.65, 2)
    length, breadth, turn = rng.uniform(0.3, 0.45) * width, rng.uniform(0.25, 0.5), rng.uniform(0, 2 * np.pi)
    along = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    shape = np.stack([np.cos(along), np.sin(along) * breadth * np.abs(np.sin(along / 2 + 0.4))]) * length
    shape *= 1 + 0.08 * np.sin(rng.integers(3, 12) * along + rng.uniform(0, 6))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    ImageDraw.Draw(large).polygon([tuple(point) for point in (rotation @ shape).T + middle], fill=255)
    inside = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8) * np.array([0.35, 0.6, 0.25]) + [20, 60, 10]
    leaf = Image.fromarray(inside.astype(np.uint8)).resize((width, height), BICUBIC)
    image.paste(leaf, mask=large.filter(ImageFilter.GaussianBlur(1)))
    return encoded(noisy(image, rng, 3))
