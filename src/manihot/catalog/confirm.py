"""Whether two photos show the same picture, and which change made one of the other: a look at their pixels."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from manihot.catalog.fingerprints import shrunk

Array = NDArray[Any]

LONG_SIDE = 256  # of the pictures that are compared, pixels
WINDOW, WIDE, STRIDE = 11, 21, 6  # of the places that are compared, and of those whose drift is measured, pixels
SMOOTH = 1.5  # standard deviation in pixels: what JPEG and noise change is smaller
STRUCTURE = 4.0  # standard deviation in grey levels of a place that shows something
CORNERS = 0.003  # smaller eigenvalue of a place's gradients from which its drift can be measured
LEVELS = (0.25, 15), (0.5, 12)  # of an alignment: the pictures' factor, and its steps
SETTLING = 3  # steps of the last alignment
HOPELESS = 0.2, 0.7  # shares of places that are the same, below which there is no next, and no last one
MARGIN = 0.08  # of the long side, left out where two pictures are aligned
FAR = 45.0  # pixels by which an alignment may move a corner
RIM = 0.06  # of the shared part's long side: a border or frame may cover it
SAME = 0.6  # correlation of a place that shows the same
SHARE = 0.9  # of the places that show something, which must be the same
CLEAR = 0.85  # correlation of the places at their median
PLACES = 20  # that show something, at least
# Pixels by which three of four places may have drifted, where few and where many could be measured; and where noise
# moves many of them this way and that, each for itself, what they may drift together.
STILL, STILL_OF_MANY, MANY = 0.08, 0.2, 320
NOISY, TOGETHER = 0.3, 0.07
SHARED = 0.4, 0.1  # least part of the smaller and of the larger picture that both show
STRETCH = 1.6  # longest to shortest side of a unit square once mapped
TURN, PART = 3.0, 0.75  # degrees from which a copy is turned; shares of the whole below which it is cropped


@dataclass(frozen=True)
class Likeness:
    """What a comparison saw; `same` is the verdict.

    Of the `places` that show something, the `share` that is the same and the `median` correlation; the `drift` in
    pixels that three of four places do not exceed, of those `measured`, and what of it is smooth, `together`; the part
    of each picture that is `shared`; the `map` from one to the other, float64 [2, 3], in pixels.
    """

    places: int
    share: float
    median: float
    drift: float
    together: float
    measured: int
    shared: tuple[float, float]
    map: Array

    @property
    def same(self) -> bool:
        """Whether the two show one picture.

        Photos of one leaf from two places agree nearly everywhere, but no one map takes all of it along: it drifts.
        """
        enough = self.places >= PLACES and max(self.shared) >= SHARED[0] and min(self.shared) >= SHARED[1]
        many = self.measured >= MANY
        still = self.drift <= (STILL_OF_MANY if many else STILL)
        still |= many and self.drift <= NOISY and self.together <= TOGETHER
        return enough and self.share >= SHARE and self.median >= CLEAR and still

    @property
    def blurred(self) -> bool:
        """Whether there is too little detail to tell, and what there is is the same: thumbnails say as much."""
        alike = self.share >= SHARE and self.median >= CLEAR
        return self.places < PLACES or (self.measured < PLACES and alike)


@dataclass(frozen=True)
class _Seen:
    """Two pictures laid on each other: as in `Likeness`, and where the source lies, bool [H, W].

    `at` float64 [K, 2] are the places whose drift `by` float64 [K, 2] could be measured.
    """

    places: int
    share: float
    median: float
    inside: Array
    at: Array
    by: Array

    @property
    def drift(self) -> float:
        return float(np.percentile(np.hypot(*self.by.T), 75)) if len(self.by) >= PLACES else np.inf

    @property
    def together(self) -> float:
        """The same of the smooth part: the quadratic in the place that is nearest to most drifts."""
        if len(self.by) < PLACES:
            return np.inf
        x, y = ((self.at - self.at.mean(axis=0)) / (self.at.std(axis=0) + 1e-6)).T
        smooth = _fit(np.column_stack([np.ones(len(x)), x, y, x * x, x * y, y * y]), self.by)
        return float(np.percentile(np.hypot(*smooth.T), 75))


def shown(photo: Image.Image) -> Array:
    """A photo as it is compared: uint8 [2, H, W], its grey and its brightest channel, its long side 256 pixels.

    A change of hue keeps the brightest channel.
    """
    colours = shrunk(photo, LONG_SIDE, "RGB")
    return np.stack([shrunk(photo, LONG_SIDE), colours.max(axis=2)])


def view_map(number: int, one: Array, other: Array) -> Array:
    """The map float64 [2, 3] of picture `one` onto `other` ([..., H, W]) if it is its view `number` of a square.

    In pixels; the views are those of `views.view`.
    """
    (height, width), (tall, wide) = one.shape[-2:], other.shape[-2:]
    steps = np.array([[1 / width, 0, 0.5 / width], [0, 1 / height, 0.5 / height], [0, 0, 1]])
    if number >= 4:
        steps = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]]) @ steps
    if number % 2:
        steps = np.array([[-1, 0, 1], [0, 1, 0], [0, 0, 1]]) @ steps
    if number // 2 % 2:
        steps = np.array([[1, 0, 0], [0, -1, 1], [0, 0, 1]]) @ steps
    return (np.array([[wide, 0, -0.5], [0, tall, -0.5], [0, 0, 1]]) @ steps)[:2]


def compare(one: Array, other: Array, start: Array) -> Likeness:
    """Compare two photos as `shown`, uint8 [2, H, W]; `start` float64 [2, 3] says roughly how one lies on the other.

    It is in pixels. The map is refined (Evangelidis and Psarakis 2008, then Lucas and Kanade 1981); the larger picture
    of the two is brought to the scale of the smaller; then every place must correlate with its counterpart, and lie
    there.
    """
    cv2.setNumThreads(1)
    seen = _compared(one[0], other[0], start)
    if seen.same or seen.share < HOPELESS[1]:
        return seen
    again = _compared(one[1], other[1], seen.map)
    return again if again.same else seen


def _compared(one: Array, other: Array, start: Array) -> Likeness:
    shrinks = abs(np.linalg.det(start[:, :2])) <= 1
    source, target = (one, other) if shrinks else (other, one)
    back = cv2.invertAffineTransform(start) if shrinks else start.astype(float)  # from target to source
    if not _plausible(back):
        return Likeness(0, 0.0, 0.0, np.inf, np.inf, 0, (0.0, 0.0), start)
    source, target = _blurred(source.astype(np.float32), back), target.astype(np.float32)
    seen = _laid(source, target, back)
    for factor, steps in LEVELS:
        if factor == LEVELS[-1][0] and seen.share < HOPELESS[0]:
            break
        better = _refined(source, target, back, factor, steps)
        again = _laid(source, target, better)
        if (again.share, again.median) >= (seen.share, seen.median):  # a stamp may mislead an alignment
            back, seen = better, again
    if seen.share >= HOPELESS[1]:
        seen = _laid(source, target, back, drifting=True)
    for _ in range(SETTLING):
        if len(seen.at) < PLACES:
            break
        better = _settled(back, seen)
        again = _laid(source, target, better, drifting=True)
        if not _plausible(better) or again.drift >= seen.drift:
            break
        back, seen = better, again
    on_target = float(seen.inside.mean())
    on_source = min(1.0, float(seen.inside.sum() * abs(np.linalg.det(back[:, :2])) / source.size))
    final = cv2.invertAffineTransform(back) if shrinks else back
    shared = (on_source, on_target) if shrinks else (on_target, on_source)
    return Likeness(seen.places, seen.share, seen.median, seen.drift, seen.together, len(seen.by), shared, final)


def kind_of(likeness: Likeness) -> tuple[str, float, float]:
    """The change in a word, the turn in degrees (0 to 360) and the scale, of a map from one picture to the other.

    `mirrored` (a mirror, and perhaps a turn), `turned`, `cropped` (one shows a part of the other) or `near`.
    """
    linear = likeness.map[:, :2]
    mirrored = np.linalg.det(linear) < 0
    if mirrored:
        linear = linear @ np.diag([-1.0, 1.0])
    angle = float(np.degrees(np.arctan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1]))) % 360
    scale = float(np.sqrt(abs(np.linalg.det(linear))))
    if mirrored:
        kind = "mirrored"
    elif min(angle, 360 - angle) >= TURN:
        kind = "turned"
    elif min(likeness.shared) < PART:
        kind = "cropped"
    else:
        kind = "near"
    return kind, angle, scale


def _plausible(matrix: Array) -> bool:
    """Whether a map is one that copies are made with: no strong squeeze, no shrinking to nothing."""
    if not np.isfinite(matrix).all():
        return False
    values = np.linalg.svd(matrix[:, :2], compute_uv=False)
    return bool(values[1] > 0.2 and values[0] < 5 and values[0] / values[1] <= STRETCH)


def _blurred(source: Array, back: Array) -> Array:
    """The source without detail that is lost when it is shrunk to the target's scale."""
    ratio = np.sqrt(abs(np.linalg.det(back[:, :2])))
    sigma = 0.5 * np.sqrt(max(ratio**2 - 1, 0))
    return cv2.GaussianBlur(source, (0, 0), sigma) if sigma > 0.2 else source


def _refined(source: Array, target: Array, back: Array, factor: float, steps: int) -> Array:
    """The map from target to source that makes them correlate best, near the one given; the rims do not count.

    Looked for on pictures resized by `factor`, in so many `steps` at most.
    """
    small, wanted = (
        image if factor == 1 else cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        for image in (source, target)
    )
    rim, cut = (round(MARGIN * max(image.shape)) for image in (wanted, small))
    mask = np.zeros(small.shape, np.uint8)
    mask[cut:-cut, cut:-cut] = 1
    inner = np.ascontiguousarray(wanted[rim:-rim, rim:-rim])
    before = _scaled(back, factor)
    matrix = np.column_stack([before[:, :2], before @ [rim, rim, 1]]).astype(np.float32)
    try:
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, steps, 1e-4)
        _, found = cv2.findTransformECC(inner, small, matrix, cv2.MOTION_AFFINE, criteria, mask, 5)
    except cv2.error:  # no overlap, or nothing to see
        return back
    matrix = np.asarray(found, float)
    linear = matrix[:, :2]
    better = _scaled(np.column_stack([linear, matrix[:, 2] - linear @ [rim, rim]]), 1 / factor)
    return better if _plausible(better) and _moved(better, back, target.shape) <= FAR else back


def _moved(one: Array, other: Array, shape: tuple[int, ...]) -> float:
    """How far apart two maps take the corners of a picture at most, in pixels."""
    corners = np.array([[0, 0, 1], [shape[1], 0, 1], [0, shape[0], 1], [shape[1], shape[0], 1]])
    return float(np.linalg.norm(corners @ (one - other).T, axis=1).max())


def _scaled(matrix: Array, factor: float) -> Array:
    """A map between pictures that are resized by a factor; pixels have their centres at halves."""
    half = np.array([0.5, 0.5])
    lost = half - matrix[:, :2] @ half
    return np.column_stack([matrix[:, :2], (matrix[:, 2] + lost) * factor - lost])


def _settled(back: Array, seen: _Seen) -> Array:
    """The map from target to source, moved along with what most places drift by: what drifts otherwise counts less."""
    basis = np.column_stack([seen.at, np.ones(len(seen.at))])
    fitted, *_ = np.linalg.lstsq(basis, _fit(basis, seen.by), rcond=None)
    return back @ np.vstack([np.eye(3)[:2] + fitted.T, [0, 0, 1]])


def _fit(basis: Array, wanted: Array) -> Array:
    """The values [K, 2] of the combination of columns of `basis` [K, C] that is nearest to most of those `wanted`.

    Least squares, each place weighted by how near it is, four times.
    """
    weight = np.ones(len(basis))
    for _ in range(4):
        rooted = np.sqrt(weight)[:, None]
        fitted, *_ = np.linalg.lstsq(basis * rooted, wanted * rooted, rcond=None)
        weight = 1 / (np.hypot(*(wanted - basis @ fitted).T) + 0.05) ** 2
    return basis @ fitted


def _laid(source: Array, target: Array, back: Array, drifting: bool = False) -> _Seen:
    """What there is to see where the source is laid on the target by the map from target to source.

    What drifts is measured where that is asked for.
    """
    height, width = target.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(source, back, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones(source.shape, np.float32), back, (width, height), flags=flags) > 0.999
    a, b = (cv2.GaussianBlur(image, (0, 0), SMOOTH) for image in (moved, target))
    correlation, variance = _correlation(a, b, WINDOW)
    shows = (variance.max(axis=0) > STRUCTURE**2) & _inner(inside, WINDOW)
    at = by = np.empty((0, 2))
    if not shows.any():
        return _Seen(0, 0.0, 0.0, inside, at, by)
    same = shows & (correlation >= SAME)
    if drifting:
        drift, measured = _drift(a, b)
        rows, columns = np.nonzero(measured & same & _inner(inside, WIDE))
        at, by = STRIDE * np.column_stack([columns, rows]).astype(float), drift[:, rows, columns].T
    share, median = float(same.sum() / shows.sum()), float(np.median(correlation[shows]))
    return _Seen(int(shows.sum()), share, median, inside, at, by)


def _inner(inside: Array, window: int) -> Array:
    """The places whose window lies inside, the rim left out."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    rim = round(RIM * max(len(rows), len(columns))) + window // 2
    kernel = np.ones((2 * rim + 1, 2 * rim + 1), np.uint8)
    eroded = cv2.erode(inside.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return eroded[::STRIDE, ::STRIDE] > 0


def _mean(image: Array, window: int) -> Array:
    return cv2.blur(image, (window, window))


def _correlation(a: Array, b: Array, window: int) -> tuple[Array, Array]:
    """The correlation of two pictures at each place, and the variances of both [2, ...]."""
    mean_a, mean_b, products = (_mean(image, window)[::STRIDE, ::STRIDE] for image in (a, b, a * b))
    squares = np.stack([_mean(image * image, window)[::STRIDE, ::STRIDE] for image in (a, b)])
    variance = squares - np.stack([mean_a, mean_b]) ** 2
    return (products - mean_a * mean_b) / np.sqrt(np.maximum(variance, 1).prod(axis=0)), variance


def _drift(a: Array, b: Array) -> tuple[Array, Array]:
    """By how much each place of `b` lies elsewhere in `a`, pixels [2, ...], and where that can be measured.

    A step of Lucas and Kanade (1981) on pictures whose places have the same mean and contrast.
    """
    even, contrast = [], []
    for image in (a, b):
        mean = _mean(image, WIDE)
        variance = _mean(image * image, WIDE) - mean * mean
        even.append((image - mean) / np.sqrt(np.maximum(variance, 4)))
        contrast.append(variance)
    down, right = np.gradient((even[0] + even[1]) / 2)
    apart = even[1] - even[0]
    xx, xy, yy, x, y = (
        _mean(product, WIDE)[::STRIDE, ::STRIDE]
        for product in (right * right, right * down, down * down, right * apart, down * apart)
    )
    determinant, half = xx * yy - xy * xy, (xx + yy) / 2
    smaller = half - np.sqrt(np.maximum(half * half - determinant, 0))
    moved = np.stack([yy * x - xy * y, xx * y - xy * x]) / np.maximum(determinant, 1e-9)
    measured = (smaller > CORNERS) & (np.minimum(*contrast)[::STRIDE, ::STRIDE] > STRUCTURE**2)
    return np.clip(moved, -4, 4), measured
