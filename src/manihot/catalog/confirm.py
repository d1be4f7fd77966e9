"""Whether two photos show the same picture, and which change made one of the other: a look at their pixels."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LONG_SIDE = 256  # of the pictures that are compared, pixels
WINDOW, STRIDE = 15, 6  # of the places that are compared, pixels
SMOOTH = 1.0  # standard deviation in pixels: what JPEG and noise change is smaller
STRUCTURE = 4.0  # standard deviation in grey levels of a place that shows something
LEVELS = (0.25, 15), (0.5, 12), (1.0, 4)  # of an alignment: the pictures' factor, and its steps
HOPELESS = 0.4  # share of places that are the same, below which it ends before the last
MARGIN = 0.08  # of the long side, left out where two pictures are aligned
FAR = 45.0  # pixels by which an alignment may move a corner
RIM = 0.06  # of the shared part's long side: a border or frame may cover it
SAME = 0.75  # correlation of a place that shows the same
SHARE = 0.88  # of the places that show something, which must be the same
CLEAR = 0.9  # correlation of the places at their median
PLACES = 20  # that show something
SHARED = 0.4, 0.1  # least part of the smaller and of the larger picture that both show
STRETCH = 1.6  # longest to shortest side of a unit square once mapped
TURN, PART = 3.0, 0.75  # degrees from which a copy is turned; shares of the whole below which it is cropped


@dataclass(frozen=True)
class Likeness:
    """What a comparison saw: counts and shares, for tests and benchmarks; `same` is the verdict."""

    places: int
    share: float
    median: float
    shared: tuple[float, float]
    map: Array

    @property
    def same(self) -> bool:
        """Whether the two show one picture."""
        enough = self.places >= PLACES and max(self.shared) >= SHARED[0] and min(self.shared) >= SHARED[1]
        return enough and self.share >= SHARE and self.median >= CLEAR


def view_map(number: int, one: Array, other: Array) -> Array:
    """The map float64 [2, 3] of picture `one` onto `other` (uint8 [H, W]) if it is its view `number` of a square.

    In pixels; the views are those of `views.view`.
    """
    (height, width), (tall, wide) = one.shape, other.shape
    steps = np.array([[1 / width, 0, 0.5 / width], [0, 1 / height, 0.5 / height], [0, 0, 1]])
    if number >= 4:
        steps = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]]) @ steps
    if number % 2:
        steps = np.array([[-1, 0, 1], [0, 1, 0], [0, 0, 1]]) @ steps
    if number // 2 % 2:
        steps = np.array([[1, 0, 0], [0, -1, 1], [0, 0, 1]]) @ steps
    return (np.array([[wide, 0, -0.5], [0, tall, -0.5], [0, 0, 1]]) @ steps)[:2]


def compare(one: Array, other: Array, start: Array) -> Likeness:
    """Compare two pictures uint8 [H, W], given roughly how one lies on the other, float64 [2, 3] in pixels.

    The map is refined to the pixel (Evangelidis and Psarakis 2008); the larger picture of the two is brought to the
    scale of the smaller; then every place must correlate with its counterpart.
    """
    cv2.setNumThreads(1)
    shrinks = abs(np.linalg.det(start[:, :2])) <= 1
    source, target = (one, other) if shrinks else (other, one)
    back = cv2.invertAffineTransform(start) if shrinks else start.astype(float)  # from target to source
    nothing = Likeness(0, 0.0, 0.0, (0.0, 0.0), start)
    if not _plausible(back):
        return nothing
    source, target = _blurred(source.astype(np.float32), back), target.astype(np.float32)
    places, share, median, inside = _agreement(source, target, back)
    for factor, steps in LEVELS:
        if factor == 1 and share < HOPELESS:
            break
        better = _refined(source, target, back, factor, steps)
        seen = _agreement(source, target, better)
        if (seen[1], seen[2]) >= (share, median):  # what covers a part of the picture may mislead an alignment
            back, (places, share, median, inside) = better, seen
    on_target = float(inside.mean())
    on_source = float(inside.sum() * abs(np.linalg.det(back[:, :2])) / source.size)
    final = cv2.invertAffineTransform(back) if shrinks else back
    shared = (min(on_source, 1.0), on_target) if shrinks else (on_target, min(on_source, 1.0))
    return Likeness(places, share, median, shared, final)


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
        _, matrix = cv2.findTransformECC(inner, small, matrix, cv2.MOTION_AFFINE, criteria, mask, 5)
    except cv2.error:  # no overlap, or nothing to see
        return back
    linear = matrix[:, :2].astype(float)
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


def _agreement(source: Array, target: Array, back: Array) -> tuple[int, float, float, Array]:
    """How many places show something, the share of them that are the same, and their median correlation.

    The last is bool [H, W]: where the source lies on the target.
    """
    height, width = target.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(source, back, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones(source.shape, np.float32), back, (width, height), flags=flags) > 0.999
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return 0, 0.0, 0.0, inside
    rim = round(RIM * max(len(rows), len(columns))) + WINDOW // 2
    valid = cv2.erode(
        inside.astype(np.uint8), np.ones((2 * rim + 1, 2 * rim + 1), np.uint8), borderType=cv2.BORDER_CONSTANT,
        borderValue=0,
    )  # fmt: skip

    def mean(image: Array) -> Array:
        return cv2.blur(image, (WINDOW, WINDOW))[::STRIDE, ::STRIDE]

    a, b = (cv2.GaussianBlur(image, (0, 0), SMOOTH) for image in (moved, target))
    mean_a, mean_b = mean(a), mean(b)
    variance_a, variance_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    shows = (np.maximum(variance_a, variance_b) > STRUCTURE**2) & (valid[::STRIDE, ::STRIDE] > 0)
    if not shows.any():
        return 0, 0.0, 0.0, inside
    spread = np.sqrt(np.maximum(variance_a, 1) * np.maximum(variance_b, 1))
    correlation = ((mean(a * b) - mean_a * mean_b) / spread)[shows]
    return int(shows.sum()), float((correlation >= SAME).mean()), float(np.median(correlation)), inside
