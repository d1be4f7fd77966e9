"""Pictures of leaves, rendered: palmate leaves with spots in a field, other leaves on paper.

Lengths are pixels of an 800x600 picture, which is rendered at half that size; angles are radians, colours red,
green and blue in 0..255.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

SCALE = 0.5
WIDTH, HEIGHT = SIZE = 400, 300
Colour = tuple[float, float, float]
Array = NDArray[np.floating[Any]]
GREEN: Colour = (60, 116, 44)
# Soil, stones, grass, straw: the dark and the bright end of each.
GROUNDS: list[tuple[Colour, Colour]] = [
    ((70, 48, 38), (160, 122, 98)),
    ((58, 44, 50), (140, 116, 118)),
    ((38, 54, 26), (108, 132, 62)),
    ((96, 72, 44), (190, 164, 120)),
]


@dataclass(frozen=True)
class Spots:
    """The spots of a condition: `number` a lobe, `radius` in half widths of a lobe, `stretch` along it."""

    colour: Colour
    rim: Colour
    number: float
    radius: float
    corners: int
    roughness: float
    stretch: float


BLIGHT = Spots((84, 54, 32), (164, 142, 66), number=6, radius=0.36, corners=5, roughness=0.3, stretch=1.1)
STREAK = Spots((188, 118, 48), (186, 152, 60), number=5, radius=0.18, corners=8, roughness=0.2, stretch=5.0)
MOTTLE = Spots((178, 208, 156), (122, 168, 104), number=18, radius=0.22, corners=8, roughness=0.2, stretch=1.0)
MOSAIC = Spots((220, 214, 66), (164, 184, 64), number=6, radius=0.48, corners=9, roughness=0.4, stretch=1.5)
# Any leaf may have a few, so that a brown spot by itself is no sign.
BLEMISH = Spots((118, 96, 58), (128, 122, 60), number=2, radius=0.16, corners=7, roughness=0.3, stretch=1.2)


class Scene:
    """A picture in the making: the leaves in `image`, where they are in `mask`."""

    def __init__(self, size: tuple[int, int] = SIZE):
        self.image, self.mask = Image.new("RGB", size, _rgb(GREEN)), Image.new("L", size)
        self._on_image, self._on_mask = ImageDraw.Draw(self.image), ImageDraw.Draw(self.mask)

    def shape(self, outline: Array, colour: Colour, covers: bool = True) -> None:
        """Fill a polygon `[N, 2]`; one that does not cover only colours the leaves that are there."""
        points = (SCALE * outline).ravel().tolist()
        self._on_image.polygon(points, fill=_rgb(colour))
        if covers:
            self._on_mask.polygon(points, fill=255)

    def line(self, path: Array, colour: Colour, width: float, covers: bool = True) -> None:
        """Render a line through points `[N, 2]`."""
        points, whole = (SCALE * path).ravel().tolist(), max(1, round(SCALE * width))
        self._on_image.line(points, fill=_rgb(colour), width=whole, joint="curve")
        if covers:
            self._on_mask.line(points, fill=255, width=whole, joint="curve")


class Lobe:
    """A blade along a bent midrib from `base`; `profile` is its half width from there to the tip."""

    def __init__(self, base: Array, angle: float, length: float, profile: Array, bend: float):
        self.along, self.across = _direction(angle), _direction(angle + np.pi / 2)
        t = np.linspace(0, 1, len(profile))[:, None]
        self.angle, self.width = angle, float(profile.max())
        self.midrib = base + length * (t * self.along + bend * t**2 * self.across)
        self.left = self.midrib + profile[:, None] * self.across
        self.right = self.midrib - profile[:, None] * self.across

    def at(self, t: float, side: float) -> Array:
        """The point at share `t` of the midrib, `side` (-1..1) of the way to an edge."""
        i = int(min(t, 1) * (len(self.midrib) - 1))
        return self.midrib[i] + side * (self.left[i] - self.midrib[i])

    def fill(self, scene: Scene, colour: Colour) -> None:
        """Render the blade, one half in the shade."""
        scene.shape(np.concatenate([self.left, self.right[::-1]]), colour)
        shade = _mix(colour, (20, 40, 15), 0.14)
        scene.shape(np.concatenate([self.midrib, self.right[::-1]]), shade, covers=False)

    def veins(self, scene: Scene, colour: Colour, pairs: int) -> None:
        """Render the midrib and so many pairs of side veins."""
        for t in np.linspace(0.08, 0.85, pairs):
            for side in (-0.85, 0.85):
                vein = np.stack([self.at(t, 0), self.at(t + 0.13, side)])
                scene.line(vein, colour, self.width / 30, covers=False)
        scene.line(self.midrib, colour, self.width / 12, covers=False)


def leaves_in_field(rng: np.random.Generator, spots: Spots | None) -> Image.Image:
    """One to three palmate leaves above soil or grass, in outdoor light."""
    scene = Scene()
    severity = rng.uniform(0.4, 1.4)
    for _ in range(int(rng.integers(1, 4))):
        centre = rng.uniform((220, 150), (580, 450))
        _palmate(scene, rng, centre, rng.uniform(230, 390), _vary(rng, GREEN, 14), spots, severity)
    return _expose(scene, _field(rng), rng, harsh=1.0)


def leaf_on_paper(rng: np.random.Generator, render: Callable[[Scene, np.random.Generator], None]) -> Image.Image:
    """A leaf of another kind on pale paper, in even light."""
    scene = Scene()
    render(scene, rng)
    paper = rng.uniform(205, 240) + 14 * _clouds(rng, SIZE, 6)[..., None] + np.array([3, 1, -4])
    return _expose(scene, _image(paper), rng, harsh=0.3)


def needle_twig(scene: Scene, rng: np.random.Generator) -> None:
    """A twig with needles."""
    base = np.array([90, 300]) + rng.normal(0, 25, 2)
    twig = Lobe(base, rng.normal(0, 0.15), 540, np.ones(40), rng.normal(0, 0.15))
    colour = _vary(rng, (52, 92, 58), 14)
    for point in twig.midrib[6:].repeat(5, axis=0):
        for side in (-1, 1):
            tip = point + rng.uniform(90, 190) * _direction(twig.angle + side * rng.uniform(0.25, 0.9))
            scene.line(np.stack([point, tip]), _vary(rng, colour, 12), 3)
    scene.line(twig.midrib, (110, 80, 52), 9)


def round_leaf(scene: Scene, rng: np.random.Generator) -> None:
    """A round leaf with a finely waved edge."""
    t = np.linspace(0, 1, 40)
    length = rng.uniform(330, 430)
    profile = length * rng.uniform(0.42, 0.52) * np.sqrt(np.sin(np.pi * t**0.85))
    _single(scene, rng, length, profile * (1 + 0.015 * np.sin(60 * t)), _vary(rng, (96, 134, 58), 14))


def lobed_leaf(scene: Scene, rng: np.random.Generator) -> None:
    """A leaf with deep round bays, as an oak's."""
    t = np.linspace(0, 1, 60)
    length = rng.uniform(400, 500)
    bays = 0.7 + 0.3 * np.sin(2 * np.pi * t * int(rng.integers(4, 6)))
    profile = length * rng.uniform(0.26, 0.32) * np.sin(np.pi * t) ** 0.7 * bays
    _single(scene, rng, length, profile, _vary(rng, (120, 122, 54), 16))


def _single(scene: Scene, rng: np.random.Generator, length: float, profile: Array, colour: Colour) -> None:
    base = np.array([400 - length / 2, 300]) + rng.normal(0, 30, 2)
    blade = Lobe(base, rng.normal(0, 0.25), length, profile, rng.normal(0, 0.08))
    stalk = Lobe(base, blade.angle + np.pi, 130, np.ones(8), rng.normal(0, 0.2))
    scene.line(stalk.midrib, _mix(colour, (110, 80, 50), 0.6), 8)
    blade.fill(scene, colour)
    blade.veins(scene, _mix(colour, (215, 220, 160), 0.5), pairs=8)


def _palmate(
    scene: Scene,
    rng: np.random.Generator,
    centre: Array,
    length: float,
    colour: Colour,
    spots: Spots | None = None,
    severity: float = 0.0,
    veins: int = 6,
) -> None:
    """A leaf of five to nine lobes on a stalk, with its spots and so many pairs of veins a lobe."""
    heading = rng.uniform(0, 2 * np.pi)
    stalk = Lobe(centre, heading + np.pi, length * 1.2, np.ones(8), rng.normal(0, 0.2))
    scene.line(stalk.midrib, _vary(rng, (132, 92, 62), 20), length / 45)
    # Outer lobes first: the middle one lies on top.
    for turn in sorted(np.linspace(-1, 1, 2 * int(rng.integers(2, 5)) + 1), key=abs, reverse=True):
        size = length * (1 - 0.4 * abs(turn)) * rng.uniform(0.9, 1.05)
        edge = np.sin(np.pi * np.linspace(0, 1, 24) ** 0.8) * (1 + 0.06 * rng.standard_normal(24))
        profile = size * rng.uniform(0.13, 0.18) * edge
        lobe = Lobe(centre, heading + turn * rng.uniform(1.9, 2.2), size, profile, rng.normal(0, 0.12))
        shade = _vary(rng, colour, 6)
        lobe.fill(scene, shade)
        if spots is not None:
            _spot(scene, rng, lobe, spots, shade, rng.poisson(severity * spots.number))
        if rng.random() < 0.25:
            _spot(scene, rng, lobe, BLEMISH, shade, rng.poisson(BLEMISH.number))
        lobe.veins(scene, _mix(shade, (205, 215, 140), 0.45), pairs=veins)


def _spot(scene: Scene, rng: np.random.Generator, lobe: Lobe, spots: Spots, blade: Colour, number: int) -> None:
    """Render `number` spots within a lobe, each a polygon with a rim, more or less strong."""
    turns = np.linspace(0, 2 * np.pi, spots.corners, endpoint=False)
    for _ in range(number):
        centre = lobe.at(rng.uniform(0.12, 0.9), rng.uniform(-0.8, 0.8))
        rough = 1 + spots.roughness * rng.uniform(-1, 1, spots.corners)
        radius = lobe.width * spots.radius * rng.lognormal(0, 0.3) * rough
        outline = np.outer(radius * np.cos(turns) * spots.stretch, lobe.along)
        outline += np.outer(radius * np.sin(turns), lobe.across)
        strength = rng.uniform(0.55, 1)
        scene.shape(centre + 1.4 * outline, _mix(blade, spots.rim, strength), covers=False)
        scene.shape(centre + outline, _mix(blade, _vary(rng, spots.colour, 12), strength), covers=False)


def _field(rng: np.random.Generator) -> Image.Image:
    """Ground and weeds, out of focus: rendered at half the size."""
    size = WIDTH // 2, HEIGHT // 2
    dark, bright = GROUNDS[int(rng.integers(len(GROUNDS)))]
    clouds = 0.5 + 0.5 * _clouds(rng, size, 4) + 0.3 * _clouds(rng, size, 16) + 0.35 * _clouds(rng, size, 64)
    scene = Scene(size)
    for _ in range(int(rng.integers(2, 9))):
        # A yellow or dead leaf lies there now and then: its colour by itself is no sign either.
        fresh = rng.random() < 0.85
        weed = _vary(rng, (62, 98, 44), 22) if fresh else _vary(rng, (150, 122, 52), 30)
        weed = _mix(weed, dark, rng.uniform(0, 0.5))
        _palmate(scene, rng, rng.uniform((0, 0), (400, 300)), rng.uniform(40, 120), weed, veins=0)
    ground = _image(np.array(dark) + clouds[..., None] * (np.array(bright) - np.array(dark)))
    picture = Image.composite(scene.image, ground, scene.mask)
    return picture.filter(ImageFilter.BoxBlur(SCALE * rng.uniform(0.6, 2.5))).resize(SIZE, Image.Resampling.BILINEAR)


def _expose(scene: Scene, behind: Image.Image, rng: np.random.Generator, harsh: float) -> Image.Image:
    """Lay the leaves and their shadow on what is behind, in uneven and tinted light, with sensor noise."""
    small = WIDTH // 4, HEIGHT // 4
    right, down = rng.uniform(-4, 4, 2)
    shadow = scene.mask.resize(small, Image.Resampling.BILINEAR).filter(ImageFilter.GaussianBlur(1.5))
    shadow = shadow.transform(small, Image.Transform.AFFINE, (1, 0, -right, 0, 1, -down))
    shade = shadow.point([round(255 - 0.55 * harsh * depth) for depth in range(256)])
    behind = Image.composite(behind, Image.new("RGB", SIZE), shade.resize(SIZE, Image.Resampling.BILINEAR))
    leaves = scene.image.filter(ImageFilter.BoxBlur(SCALE * rng.uniform(0.5, 1.5)))
    picture = Image.composite(leaves, behind, scene.mask.filter(ImageFilter.BoxBlur(SCALE)))
    strength = rng.uniform(0.95 - 0.2 * harsh, 1.02 + 0.25 * harsh)
    light = np.float32(strength) * (1 + np.float32(0.4 * harsh) * _clouds(rng, SIZE, 3))
    tint = (1 + harsh * rng.normal(0, 0.05, 3)).astype(np.float32)
    noise = rng.standard_normal((HEIGHT, WIDTH), dtype=np.float32) * np.float32(rng.uniform(2, 4 + 6 * harsh))
    return _image(np.asarray(picture) * (light[..., None] * tint) + noise[..., None])


def _clouds(rng: np.random.Generator, size: tuple[int, int], bumps: int) -> NDArray[np.float32]:
    """Smooth noise of about -0.5..0.5, float32 `[height, width]`, with so many bumps along the width."""
    coarse = rng.uniform(-0.5, 0.5, (bumps * 3 // 4 + 1, bumps)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))


def _image(values: Array) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _rgb(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (min(255, max(0, round(value))) for value in colour)
    return red, green, blue


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    """The first colour with a share (0..1) of the second."""
    red, green, blue = ((1 - share) * a + share * b for a, b in zip(first, second, strict=True))
    return red, green, blue


def _vary(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    """The colour lighter or darker, and a little off."""
    light, off = 1 + rng.normal(0, spread / 150), rng.normal(0, spread / 3, 3)
    return colour[0] * light + off[0], colour[1] * light + off[1], colour[2] * light + off[2]


def _direction(angle: float) -> Array:
    return np.array([np.cos(angle), np.sin(angle)])
