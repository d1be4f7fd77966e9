"""Photos whose thumbnails are alike in one of the eight views of a square: for pictures with few features."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manihot.catalog.candidates import CROWD, MOST, WINDOW, capped, distinct
from manihot.catalog.thumbnails import SIDE, likeness, same_picture

Array = NDArray[Any]
Step = Callable[[int, int, str], None]

TABLES, KEY_BITS = 12, 22  # tables, and bits that must agree in one of them
ALIKE_BITS = 14  # of 63 that may differ
LIKE = 0.9, 0.98  # correlation of thumbnails that are compared in full, and of those in a crowd
BATCH = 64

_DCT = np.cos(np.pi / SIDE * np.outer(np.arange(8), np.arange(SIDE) + 0.5)).astype(np.float32)
_BIT = np.uint64(1) << np.arange(64, dtype=np.uint64)
# What a flip of the columns, and one of the rows, does to the signs of the 8 x 8 waves (rows first).
_WAVE = np.arange(64)
LEFT_RIGHT = np.uint64(sum(1 << int(bit) for bit in _WAVE if bit % 2))
UPSIDE_DOWN = np.uint64(sum(1 << int(bit) for bit in _WAVE if bit // 8 % 2))
FLIPS = np.array([0, LEFT_RIGHT, UPSIDE_DOWN, LEFT_RIGHT ^ UPSIDE_DOWN], np.uint64)


def view(pictures: Array, number: Array) -> Array:
    """The views `number` (0 to 7) of square pictures [K, S, S]: transposed from 4 on, then flipped as in `FLIPS`."""
    number = np.asarray(number)
    seen = np.where((number >= 4)[:, None, None], pictures.swapaxes(1, 2), pictures)
    seen = np.where((number % 2 == 1)[:, None, None], seen[:, :, ::-1], seen)
    return np.where((number // 2 % 2 == 1)[:, None, None], seen[:, ::-1], seen)


def signs(thumbnails: Array, transposed: bool = False) -> Array:
    """Codes uint64 [N] of thumbnails uint8 [N, 32, 32]: the signs of 63 slow waves, that of the mean left out."""
    codes = np.empty(len(thumbnails), np.uint64)
    for start in range(0, len(thumbnails), 4096):
        some = thumbnails[start : start + 4096].astype(np.float32)
        low = _DCT @ some @ _DCT.T
        low = (low.swapaxes(1, 2) if transposed else low).reshape(-1, 64)
        codes[start : start + 4096] = ((low[:, 1:] > 0) * _BIT[1:]).sum(axis=1, dtype=np.uint64)
    return codes


def alike(thumbnails: Array, rows: Array, progress: Step) -> tuple[Array, Array, Array, Array]:
    """Pairs among `rows` whose thumbnails show one picture: `a` < `b`, the view of `a` that looks like `b`, int64 [M].

    The last is bool [N]: which photos had more look-alikes than were compared.
    """
    plain, crossed = signs(thumbnails), signs(thumbnails, transposed=True)
    pairs, crowded = _meetings(plain, crossed, rows, progress)
    a, b = pairs >> np.uint64(32), pairs & np.uint64(0xFFFFFFFF)
    a, b = a.astype(np.int64), b.astype(np.int64)
    number, nearest = _best_view(plain, crossed, a, b)
    kept, full = capped(a, b, -nearest, len(thumbnails), np.where(crowded, 1, MOST))
    a, b, number = a[kept], b[kept], number[kept]
    same = np.zeros(len(a), bool)
    for start in range(0, len(a), 64 * BATCH):
        some = np.arange(start, min(start + 64 * BATCH, len(a)))
        turned = view(thumbnails[a[some]], number[some])
        wanted = np.where(crowded[a[some]] | crowded[b[some]], *LIKE[::-1])
        similar = likeness(turned, thumbnails[b[some]]) >= wanted
        some, turned = some[similar], turned[similar]
        for begin in range(0, len(some), BATCH):
            batch = some[begin : begin + BATCH]
            same[batch] = same_picture(turned[begin : begin + BATCH], thumbnails[b[batch]])
        progress(min(start + 64 * BATCH, len(a)), len(a), "pairs of thumbnails compared")
    return a[same], b[same], number[same], crowded | full


def _meetings(plain: Array, crossed: Array, rows: Array, progress: Step) -> tuple[Array, Array]:
    """Pairs of photos (a << 32 | b) that met in a table, uint64, sorted, and bool [N]: who was in a crowd."""
    crowded = np.zeros(len(plain), bool)
    codes = np.concatenate([plain[rows], crossed[rows]])
    pairs = np.empty(0, np.uint64)
    for table in range(TABLES):
        found = [pairs]
        for a, b in _neighbours(codes, rows, table, crowded):
            a, b = np.minimum(a, b), np.maximum(a, b)
            near = _best_view(plain, crossed, a, b)[1] <= ALIKE_BITS
            a, b = a[near], b[near]
            found.append((a.astype(np.uint64) << np.uint64(32)) | b.astype(np.uint64))
        pairs = distinct(np.concatenate(found))[0]
        progress(table + 1, TABLES, "tables of thumbnails searched")
    return pairs, crowded


def _best_view(plain: Array, crossed: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """The view of each photo `a` whose code is nearest to that of photo `b`, and in how many bits they differ."""
    number, nearest = np.zeros(len(a), np.int64), np.full(len(a), 64)
    for one in range(8):
        bits = np.bitwise_count((crossed if one >= 4 else plain)[a] ^ FLIPS[one % 4] ^ plain[b])
        nearer = bits < nearest
        number[nearer], nearest[nearer] = one, bits[nearer]
    return number, nearest


def _neighbours(codes: Array, rows: Array, table: int, crowded: Array) -> Iterator[tuple[Array, Array]]:
    """Photos that are near each other in a bucket of a table; `codes` are the plain, then the transposed ones."""
    count = len(codes) // 2
    generator = np.random.default_rng([table, KEY_BITS])
    bits = generator.permutation(np.arange(1, 64))
    column = bits[(bits % 2 == 1) & (bits // 8 % 2 == 0)][0]
    row = bits[(bits % 2 == 0) & (bits // 8 % 2 == 1)][0]
    chosen = np.uint64(sum(1 << int(bit) for bit in {*bits[: KEY_BITS - 2].tolist(), int(column), int(row)}))
    for bit, flip in ((column, LEFT_RIGHT), (row, UPSIDE_DOWN)):
        codes = codes ^ (((codes >> np.uint64(bit)) & np.uint64(1)) * flip)
    bucket = codes & chosen
    order = np.lexsort((codes, bucket))
    bucket, photo = bucket[order], rows[order % count]
    starts = np.flatnonzero(np.concatenate([[True], bucket[1:] != bucket[:-1]]))
    size = np.diff(np.append(starts, len(bucket)))
    limited = np.repeat(size > CROWD, size)
    crowded[photo[limited]] = True
    for step in range(1, WINDOW + 1):
        met = np.flatnonzero((bucket[step:] == bucket[:-step]) & ~(limited[step:] & (step > 1)))
        # Two transposed codes meet where the two plain ones do.
        met = met[(photo[met] != photo[met + step]) & ((order[met] < count) | (order[met + step] < count))]
        yield photo[met], photo[met + step]
