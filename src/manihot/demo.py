"""The drawn photos: a data set that runs anywhere, for trying a study and for its tests.

`spots` draws five conditions of a palmate leaf that differ by the colour, number, size and shape of their spots,
imbalanced as the cassava photos are; `species` draws three other kinds of leaf on paper, for a new class.
"""

import io
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from manihot.photos import Label

SIZE = 800, 600
Colour = tuple[float, float, float]
Floats = NDArray[np.float64]
BLADE: Colour = (54, 112, 42)


class Spots(NamedTuple):
    """Spots of a condition: lengths are shares of a lobe's half width, `stretch` is along the lobe."""

    colour: Colour
    rim: Colour
    count: float
    radius: float
    corners: int
    roughness: float
    stretch: float


class Kind(NamedTuple):
    """A class of drawn leaves: its share of the photos and what is drawn."""

    name: str
    share: float
    draw: Callable[["Scene", np.random.Generator], None]


class Scene:
    """A picture being drawn: the leaves in `image`, where they are in `mask`."""

    def __init__(self, size: tuple[int, int], colour: Colour = BLADE):
        self.image, self.mask = Image.new("RGB", size, _whole(colour)), Image.new("L", size)
        self._image, self._mask = ImageDraw.Draw(self.image), ImageDraw.Draw(self.mask)

    def shape(self, points: Floats, colour: Colour, covers: bool = True) -> None:
        """Fill a polygon `[N, 2]`; one that does not cover only colours what is there."""
        corners = [tuple(point) for point in points.tolist()]
        self._image.polygon(corners, fill=_whole(colour))
        if covers:
            self._mask.polygon(corners, fill=255)

    def stroke(self, points: Floats, colour: Colour, width: float, covers: bool = False) -> None:
        """Draw a line through points `[N, 2]`."""
        corners = [tuple(point) for point in points.tolist()]
        self._image.line(corners, fill=_whole(colour), width=max(1, round(width)), joint="curve")
        if covers:
            self._mask.line(corners, fill=255, width=max(1, round(width)), joint="curve")


class Lobe:
    """A blade around a bent midrib, from `base` in direction `angle`; `profile` is its half width at 0..1."""

    def __init__(self, base: Floats, angle: float, length: float, profile: Floats, bend: float):
        along, across = _direction(angle), _direction(angle + np.pi / 2)
        t = np.linspace(0, 1, len(profile))[:, None]
        self.angle, self.width = angle, float(profile.max())
        self.axis = base + length * t * along + length * bend * t**2 * across
        self.left = self.axis + profile[:, None] * across
        self.right = self.axis - profile[:, None] * across

    def at(self, t: float, side: float) -> Floats:
        """The point at share `t` of the midrib and `side` (-1..1) of the half width there."""
        i = int(t * (len(self.axis) - 1))
        edge = self.left[i] if side > 0 else self.right[i]
        return self.axis[i] + abs(side) * (edge - self.axis[i])

    def fill(self, scene: Scene, colour: Colour) -> None:
        """Draw the blade, one half in the shade."""
        scene.shape(np.concatenate([self.left, self.right[::-1]]), colour)
        scene.shape(np.concatenate([self.axis, self.right[::-1]]), _mix(colour, (20, 40, 15), 0.14), covers=False)

    def veins(self, scene: Scene, colour: Colour, pairs: int) -> None:
        """Draw the midrib and its side veins."""
        for t in np.linspace(0.08, 0.85, pairs):
            for side in (-0.85, 0.85):
                scene.stroke(np.stack([self.at(t, 0), self.at(min(t + 0.13, 1), side)]), colour, self.width / 30)
        scene.stroke(self.axis, colour, self.width / 12)


def draw_demo(
    images: Path,
    photos: int,
    kind: str,
    seed: int,
    label_noise: float = 0.0,
    duplicates: int = 0,
    damaged: int = 0,
    rotated: int = 0,
    threads: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Label]:
    """Draw `photos` JPEG files into `images`; returns their labels.

    A share `label_noise` shows another condition than its label says. The first `rotated` photos are stored on their
    side, with an EXIF orientation. Behind the drawn photos come `duplicates` altered copies of some of them (encoded
    again, smaller, cropped, brighter; the last with another label) and `damaged` files that cannot be read. Photo i
    depends on `seed` and i only, so that more photos leave the first ones as they are.
    """
    images.mkdir(parents=True, exist_ok=True)
    total = photos + duplicates + damaged
    labels = [_label(index, photos, kind, seed, last=index == photos + duplicates - 1) for index in range(total)]

    def make(index: int) -> None:
        if index < photos:
            content = _encode(_photo(index, kind, seed, label_noise), on_its_side=index < rotated)
        elif index < photos + duplicates:
            content = _altered(_photo(_source(index, photos), kind, seed, label_noise), way=index - photos)
        else:
            whole = _encode(_photo(_source(index, photos), kind, seed, label_noise))
            content = b"" if (index - photos - duplicates) % 2 else whole[: len(whole) // 3]
        (images / labels[index].image_id).write_bytes(content)

    with ThreadPoolExecutor(threads) as pool:
        for done, _ in enumerate(pool.map(make, range(total)), 1):
            progress(done, total)
    return labels


def _source(index: int, photos: int) -> int:
    """Which drawn photo an altered copy or a damaged file comes from."""
    return index * 7919 % photos


def _label(index: int, photos: int, kind: str, seed: int, last: bool) -> Label:
    kinds = KINDS[kind]
    label = _class_of(index if index < photos else _source(index, photos), kind, seed)
    if last and index >= photos:
        label = (label + 1) % len(kinds)
    name = kinds[label].name
    return Label(f"{kind}_{index:05d}.jpg", str(label) if kind == "spots" else name.split()[-1].lower(), name)


def _class_of(index: int, kind: str, seed: int) -> int:
    """The class of photo `index`: golden-ratio steps keep every class near its share in any number of photos."""
    shares = np.cumsum([one.share for one in KINDS[kind]])
    step = (seed * 0.7548776662 + index * 0.6180339887) % 1
    return int(np.searchsorted(shares / shares[-1], step, side="right"))


def _photo(index: int, kind: str, seed: int, label_noise: float) -> Image.Image:
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), index])
    shown = _class_of(index, kind, seed)
    if rng.random() < label_noise:
        shown = (shown + int(rng.integers(1, len(KINDS[kind])))) % len(KINDS[kind])
    scene = Scene(SIZE)
    KINDS[kind][shown].draw(scene, rng)
    behind = _field(rng) if kind == "spots" else _paper(rng)
    return _expose(scene, behind, rng, harsh=1.0 if kind == "spots" else 0.3)


# --- what stands in front -------------------------------------------------------------------------------------------


def _spotted(spots: Spots | None) -> Callable[[Scene, np.random.Generator], None]:
    def draw(scene: Scene, rng: np.random.Generator) -> None:
        severity = rng.uniform(0.5, 1.4)
        for _ in range(int(rng.integers(1, 4))):
            centre = rng.uniform((220, 150), (580, 450))
            _palmate(scene, rng, centre, rng.uniform(240, 400), _vary(rng, BLADE, 14), spots, severity)

    return draw


def _palmate(
    scene: Scene, rng: np.random.Generator, centre: Floats, length: float, colour: Colour, spots: Spots | None, severity: float
) -> None:
    """A leaf of five to nine lobes on a stalk, with its spots."""
    count = 2 * int(rng.integers(2, 5)) + 1
    heading = rng.uniform(0, 2 * np.pi)
    stalk = Lobe(centre, heading + np.pi, length * 1.2, np.ones(8), rng.normal(0, 0.2))
    scene.stroke(stalk.axis, _vary(rng, (132, 92, 62), 20), length / 45, covers=True)
    # Outer lobes first: the middle one lies on top.
    for turn in sorted(np.linspace(-1, 1, count), key=abs, reverse=True):
        size = length * (1 - 0.4 * abs(turn)) * rng.uniform(0.9, 1.05)
        t = np.linspace(0, 1, 24)
        profile = size * rng.uniform(0.13, 0.18) * np.sin(np.pi * t**0.8) * (1 + 0.06 * rng.standard_normal(24))
        lobe = Lobe(centre, heading + turn * rng.uniform(1.9, 2.2), size, profile, rng.normal(0, 0.12))
        shade = _vary(rng, colour, 6)
        lobe.fill(scene, shade)
        for one in [spots] * (spots is not None) + [BLEMISH] * (rng.random() < 0.25):
            for _ in range(rng.poisson(severity * one.count)):
                _spot(scene, rng, lobe, one, shade)
        lobe.veins(scene, _mix(shade, (205, 215, 140), 0.45), pairs=6)


def _spot(scene: Scene, rng: np.random.Generator, lobe: Lobe, spots: Spots, blade: Colour) -> None:
    centre = lobe.at(rng.uniform(0.12, 0.9), rng.uniform(-0.8, 0.8))
    turns = np.linspace(0, 2 * np.pi, spots.corners, endpoint=False)
    radius = lobe.width * spots.radius * rng.lognormal(0, 0.3) * (1 + spots.roughness * rng.uniform(-1, 1, spots.corners))
    along, across = _direction(lobe.angle), _direction(lobe.angle + np.pi / 2)
    outline = (radius * np.cos(turns) * spots.stretch)[:, None] * along + (radius * np.sin(turns))[:, None] * across
    strength = rng.uniform(0.55, 1)
    scene.shape(centre + 1.45 * outline, _mix(blade, spots.rim, strength), covers=False)
    scene.shape(centre + outline, _mix(blade, _vary(rng, spots.colour, 12), strength), covers=False)


def _needles(scene: Scene, rng: np.random.Generator) -> None:
    twig = Lobe(np.array([90, 300]) + rng.normal(0, 25, 2), rng.normal(0, 0.15), 560, np.ones(40), rng.normal(0, 0.15))
    colour = _vary(rng, (52, 92, 58), 14)
    for point in twig.axis[6:].repeat(5, axis=0):
        for side in (-1, 1):
            tip = point + rng.uniform(90, 190) * _direction(twig.angle + side * rng.uniform(0.25, 0.9))
            scene.stroke(np.stack([point, tip]), _vary(rng, colour, 12), 3, covers=True)
    scene.stroke(twig.axis, (110, 80, 52), 9, covers=True)


def _round(scene: Scene, rng: np.random.Generator) -> None:
    t = np.linspace(0, 1, 40)
    length = rng.uniform(330, 430)
    profile = length * rng.uniform(0.42, 0.52) * np.sqrt(np.sin(np.pi * t**0.85))
    _single(scene, rng, length, profile * (1 + 0.015 * np.sin(60 * t)), _vary(rng, (96, 134, 58), 14))


def _lobed(scene: Scene, rng: np.random.Generator) -> None:
    t = np.linspace(0, 1, 60)
    length = rng.uniform(400, 500)
    waves = 0.7 + 0.3 * np.sin(2 * np.pi * t * int(rng.integers(4, 6)))
    profile = length * rng.uniform(0.26, 0.32) * np.sin(np.pi * t**1.1) ** 0.7 * waves
    _single(scene, rng, length, profile, _vary(rng, (120, 122, 54), 16))


def _single(scene: Scene, rng: np.random.Generator, length: float, profile: Floats, colour: Colour) -> None:
    base = np.array([400 - length / 2, 300]) + rng.normal(0, 30, 2)
    blade = Lobe(base, rng.normal(0, 0.25), length, profile, rng.normal(0, 0.08))
    stalk = Lobe(base, blade.angle + np.pi, 130, np.ones(8), rng.normal(0, 0.2))
    scene.stroke(stalk.axis, _mix(colour, (110, 80, 50), 0.6), 8, covers=True)
    blade.fill(scene, colour)
    blade.veins(scene, _mix(colour, (215, 220, 160), 0.5), pairs=8)


# --- what lies behind, and the light --------------------------------------------------------------------------------


def _field(rng: np.random.Generator) -> Image.Image:
    """Soil and weeds, out of focus."""
    size = SIZE[0] // 2, SIZE[1] // 2
    dark, bright = GROUNDS[int(rng.integers(len(GROUNDS)))]
    clouds = sum(_clouds(rng, size, cells) * weight for cells, weight in ((4, 0.5), (16, 0.3), (64, 0.35)))
    ground = np.array(dark) + (0.5 + clouds)[..., None] * (np.array(bright) - np.array(dark))
    scene = Scene(size)
    for _ in range(int(rng.integers(2, 9))):
        weed = _mix(_vary(rng, (62, 98, 44), 22), dark, rng.uniform(0, 0.5))
        # Dead and yellow leaves lie there too: a colour somewhere in the picture is no sign by itself.
        weed = _vary(rng, (150, 122, 52), 30) if rng.random() < 0.15 else weed
        _palmate(scene, rng, rng.uniform((0, 0), size), rng.uniform(40, 120), weed, None, 0)
    picture = Image.composite(scene.image, _picture(ground), scene.mask)
    return picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.6, 2.5))).resize(SIZE, Image.Resampling.BILINEAR)


def _paper(rng: np.random.Generator) -> Image.Image:
    return _picture(rng.uniform(205, 240) + 14 * _clouds(rng, SIZE, 6)[..., None] + np.array([3, 1, -4]))


def _expose(scene: Scene, behind: Image.Image, rng: np.random.Generator, harsh: float) -> Image.Image:
    """Lay the leaves on the ground with their shadow, in uneven light of some colour, with sensor noise."""
    small = SIZE[0] // 8, SIZE[1] // 8
    right, down = rng.uniform(-4, 4, 2)
    shadow = scene.mask.resize(small, Image.Resampling.BILINEAR).filter(ImageFilter.GaussianBlur(1.5))
    shadow = shadow.transform(small, Image.Transform.AFFINE, (1, 0, -right, 0, 1, -down))
    shade = shadow.point([round(255 - 0.55 * harsh * depth) for depth in range(256)])
    behind = Image.composite(behind, Image.new("RGB", SIZE), shade.resize(SIZE, Image.Resampling.BILINEAR))
    leaves = scene.image.filter(ImageFilter.BoxBlur(rng.uniform(0.5, 1.5)))
    picture = Image.composite(leaves, behind, scene.mask.filter(ImageFilter.BoxBlur(1)))
    light = rng.uniform(0.95 - 0.2 * harsh, 1.02 + 0.25 * harsh) * (1 + 0.4 * harsh * _clouds(rng, small, 3))
    light = np.asarray(Image.fromarray(light.astype(np.float32)).resize(SIZE, Image.Resampling.BILINEAR))
    tint = (1 + harsh * rng.normal(0, 0.05, 3)).astype(np.float32)
    noise = rng.standard_normal((SIZE[1], SIZE[0]), dtype=np.float32) * np.float32(rng.uniform(2, 4 + 6 * harsh))
    return _picture(np.asarray(picture) * light[..., None] * tint + noise[..., None])


def _clouds(rng: np.random.Generator, size: tuple[int, int], cells: int) -> Floats:
    """Smooth noise around 0, about -0.5..0.5, `[height, width]`, with `cells` bumps along the width."""
    coarse = rng.uniform(-0.5, 0.5, (cells * 3 // 4 + 1, cells)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))


# --- files ----------------------------------------------------------------------------------------------------------


def _encode(picture: Image.Image, quality: int = 90, on_its_side: bool = False) -> bytes:
    exif = Image.Exif()
    if on_its_side:
        picture = picture.transpose(Image.Transpose.ROTATE_90)
        exif[0x0112] = 6  # "turn me clockwise"
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=quality, exif=exif)
    return content.getvalue()


def _altered(picture: Image.Image, way: int) -> bytes:
    width, height = picture.size
    ways = (
        lambda: _encode(picture, quality=55),
        lambda: _encode(picture.resize((width * 4 // 5, height * 4 // 5))),
        lambda: _encode(picture.crop((width // 60, height // 60, width - width // 60, height - height // 60))),
        lambda: _encode(picture.point([min(255, round(1.12 * value)) for value in range(256)] * 3)),
    )
    return ways[way % len(ways)]()


def _picture(values: Floats) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _whole(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (min(255, max(0, round(value))) for value in colour)
    return red, green, blue


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = ((1 - share) * a + share * b for a, b in zip(first, second, strict=True))
    return red, green, blue


def _vary(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    """The colour lighter or darker, and a little off."""
    red, green, blue = np.array(colour) * (1 + rng.normal(0, spread / 150)) + rng.normal(0, spread / 3, 3)
    return red, green, blue


def _direction(angle: float) -> Floats:
    return np.array([np.cos(angle), np.sin(angle)])


GROUNDS: list[tuple[Colour, Colour]] = [
    ((70, 48, 38), (160, 122, 98)),
    ((58, 44, 50), (140, 116, 118)),
    ((38, 54, 26), (108, 132, 62)),
    ((96, 72, 44), (190, 164, 120)),
]
BLEMISH = Spots((118, 96, 58), (128, 122, 60), 2, 0.16, 7, 0.3, 1.2)
KINDS: dict[str, list[Kind]] = {
    # Shares as in the cassava photos.
    "spots": [
        Kind("Angular blight (drawn)", 1087, _spotted(Spots((70, 42, 28), (150, 120, 60), 6, 0.4, 5, 0.3, 1.1))),
        Kind("Brown streak (drawn)", 2189, _spotted(Spots((190, 112, 42), (196, 150, 60), 5, 0.2, 8, 0.2, 5.0))),
        Kind("Green mottle (drawn)", 2386, _spotted(Spots((196, 220, 186), (128, 172, 116), 22, 0.22, 8, 0.2, 1.0))),
        Kind("Mosaic (drawn)", 13158, _spotted(Spots((226, 216, 60), (168, 184, 60), 6, 0.5, 9, 0.4, 1.5))),
        Kind("Healthy (drawn)", 2577, _spotted(None)),
    ],
    "species": [
        Kind("Drawn needles", 1, _needles),
        Kind("Drawn roundleaf", 1, _round),
        Kind("Drawn lobeleaf", 1, _lobed),
    ],
}
