"""Which photos may be copies of each other, from their fingerprints alone, without comparing all with all.

Features whose codes agree in some chosen bits meet in a bucket, and so do thumbnails (Indyk and Motwani 1998,
locality-sensitive hashing). Two photos that meet more than once are looked at: their features must agree on one
turn, scale and shift, or their thumbnails must look alike in one of the eight views of a square.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manihot.catalog.fingerprints import FEATURES, MIRROR, STEPS, TURN, Fingerprints

Array = NDArray[Any]
Step = Callable[[int, int, str], None]

TABLES, KEY_BITS = 16, 28  # tables of features, and bits of a code that must agree in one of them
ALIKE_BITS = 12  # of a code that may differ
WINDOW, CROWD, TOO_MANY = 8, 64, 1024  # neighbours in a bucket; sizes above which it has one, and none
LOOKED = 4  # tables after which it is known which features are common: they have been in a crowd
OWN = 8  # features that are not common, from which a photo is known by these alone
PROPOSALS = 12  # pairs of features of a pair of photos that propose how one lies on the other
MEETINGS = 2  # of different features
AGREE = 3  # features that must agree on one place
MATCH_BITS = 16  # of a code that may differ in features that are compared in full
NEAR, TURNED, SCALED = 0.035, 0.07, 0.6  # agreement: shares of the long side, of a turn, octaves
MOST, IN_A_CROWD = 16, 4  # candidates of a photo, and of one whose features are mostly those of many others
CHUNK, BATCH = 1 << 22, 128


@dataclass(frozen=True)
class Candidates:
    """M pairs of photos (`a` < `b`, int64 [M], sorted), and how one may lie on the other.

    `maps` float64 [M, 2, 3] takes a place in `a` to one in `b`, both in units of the photo's long side; NaN where
    no features agree. `agreeing` int64 [M] counts these. `crowded` bool [N] says of which photos not all candidates
    were kept.
    """

    a: Array
    b: Array
    maps: Array
    agreeing: Array
    crowded: Array


def candidates(prints: Fingerprints, rows: Array, progress: Step) -> Candidates:
    """The pairs among the photos `rows` (int64) that may be copies by their features."""
    votes, crowded = _meetings(prints, rows, progress)
    a, b, mirrored, weight = _counted(votes)
    kept, full = capped(a, b, weight, len(prints), np.where(crowded, IN_A_CROWD, MOST))
    a, b, mirrored = a[kept], b[kept], mirrored[kept]
    maps, agreeing = np.full((len(a), 2, 3), np.nan), np.zeros(len(a), int)
    for start in range(0, len(a), BATCH):
        some = slice(start, start + BATCH)
        maps[some], agreeing[some] = agreement(prints, a[some], b[some], mirrored[some])
        progress(min(start + BATCH, len(a)), len(a), "pairs of photos, features compared")
    good = np.flatnonzero(agreeing >= AGREE)
    good = good[np.lexsort((mirrored[good], -agreeing[good], b[good], a[good]))]
    pair = np.stack([a[good], b[good]], axis=1)
    good = good[np.concatenate([[True], (pair[1:] != pair[:-1]).any(axis=1)])] if len(good) else good
    return Candidates(a[good], b[good], maps[good], agreeing[good], crowded | full)


def capped(a: Array, b: Array, weight: Array, count: int, most: Array | int) -> tuple[Array, Array]:
    """The pairs int64 that are among the `most` of the largest weight of one of their photos, and who has more.

    `most` is one number or one a photo, [count]. The second is bool [count]: which photos have a pair that is not
    kept.
    """
    kept, most = np.zeros(len(a), bool), np.broadcast_to(most, count)
    for side, other in ((a, b), (b, a)):
        order = np.lexsort((other, -weight, side))
        first = np.searchsorted(side[order], side[order])
        kept[order[np.arange(len(order)) - first < most[side[order]]]] = True
    full = np.zeros(count, bool)
    full[a[~kept]] = full[b[~kept]] = True
    return np.flatnonzero(kept), full


def _meetings(prints: Fingerprints, rows: Array, progress: Step) -> tuple[Array, Array]:
    """Pairs of features that met, uint64 [V], sorted, and bool [N]: who has met more than could be kept.

    A pair is (feature << 32 | mirrored << 31 | feature), features counted through.
    """
    flat = prints.codes.reshape(-1)
    there = np.zeros((len(prints), FEATURES), bool)
    there[rows] = prints.places[rows, :, 2] > 0
    valid = np.flatnonzero(there).astype(np.uint32)
    common, known = np.zeros(flat.shape, bool), np.ones(flat.shape, bool)
    ordinary = there.sum(axis=1)
    votes = np.empty(0, np.uint64)
    for table in range(TABLES):
        keys = _sorted_keys(flat, valid, table)
        for begin, end in _whole_buckets(keys):
            _mark(keys[begin:end], common)
        ordinary = (there & ~common.reshape(there.shape)).sum(axis=1)
        if table >= LOOKED:
            known = np.repeat(ordinary >= OWN, FEATURES)
        found = [votes]
        for begin, end in _whole_buckets(keys):
            found += _pairs_within(flat, keys[begin:end], common, known)
        votes = distinct(np.concatenate(found))[0]
        progress(table + 1, TABLES, "tables of features searched")
    return votes, ordinary * 2 < there.sum(axis=1)


def _sorted_keys(codes: Array, valid: Array, table: int) -> Array:
    """(bucket << 32 | feature) of the features `valid` that are not alone in their bucket, uint64, sorted."""
    keys = np.empty(len(valid), np.uint64)
    for start in range(0, len(valid), CHUNK):  # a piece at a time: each step is a copy of all otherwise
        some = valid[start : start + CHUNK]
        keys[start : start + CHUNK] = (bucket_keys(codes[some], table) << np.uint64(32)) | some
    keys.sort()
    same = np.empty(len(keys) + 1, bool)
    same[[0, -1]] = False
    for start in range(0, len(keys) - 1, CHUNK):
        some = keys[start : start + CHUNK + 1] >> np.uint64(32)
        same[start + 1 : start + len(some)] = some[1:] == some[:-1]
    return keys[same[1:] | same[:-1]]


def bucket_keys(codes: Array, table: int) -> Array:
    """The buckets uint64 (of 32 bits) of codes uint64 in a table: the same for a code and for its mirror."""
    generator = np.random.default_rng([table, KEY_BITS])
    bits = generator.permutation(64)
    odd = bits[(MIRROR >> bits.astype(np.uint64)) & np.uint64(1) == 1][0]
    chosen = np.uint64(sum(1 << int(bit) for bit in {*bits[: KEY_BITS - 1].tolist(), int(odd)}))
    turned = (codes >> np.uint64(odd)) & np.uint64(1)
    keys = codes ^ (turned * MIRROR)
    keys &= chosen
    keys *= np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing (Knuth, volume 3)
    keys >>= np.uint64(32)
    return keys


def distinct(values: Array) -> tuple[Array, Array]:
    """The distinct values of an array, sorted, and how often each is there; a sort beats NumPy's own way."""
    ordered = np.sort(values)
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(ordered) else np.empty(0, int)
    return ordered[starts], np.diff(np.append(starts, len(ordered)))


def _whole_buckets(keys: Array) -> Iterator[tuple[int, int]]:
    """Slices of sorted keys, about `CHUNK` long, that cut no bucket in two."""
    begin = 0
    while begin < len(keys):
        end = min(begin + CHUNK, len(keys))
        if end < len(keys):
            end = int(np.searchsorted(keys, ((keys[end - 1] >> np.uint64(32)) + np.uint64(1)) << np.uint64(32)))
        yield begin, end
        begin = end


def _buckets(keys: Array) -> tuple[Array, Array, Array]:
    """The bucket of each of sorted keys, its feature int64, and how many features the bucket has."""
    bucket, feature = keys >> np.uint64(32), (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
    starts = np.flatnonzero(np.concatenate([[True], bucket[1:] != bucket[:-1]]))
    size = np.diff(np.append(starts, len(bucket)))
    return bucket, feature, np.repeat(size, size)


def _mark(keys: Array, common: Array) -> None:
    """Say of the features in crowded buckets that they are common."""
    _, feature, size = _buckets(keys)
    common[feature[size > CROWD]] = True


def _pairs_within(codes: Array, keys: Array, common: Array, known: Array) -> list[Array]:
    """Pairs of features in the buckets of sorted `keys` whose codes differ in few bits.

    Common features meet others in crowds only, and not where their photo is `known` by others.
    """
    bucket, feature, size = _buckets(keys)
    reach = np.where(size > TOO_MANY, 0, np.where(size > CROWD, 1, WINDOW))
    reach[common[feature] & ((size <= CROWD) | known[feature])] = 0
    found = []
    for step in range(1, WINDOW + 1):
        met = np.flatnonzero((bucket[step:] == bucket[:-step]) & (reach[step:] >= step) & (reach[:-step] >= step))
        a, b = feature[met], feature[met + step]
        other = a // FEATURES != b // FEATURES
        a, b = a[other], b[other]
        differing = codes[a] ^ codes[b]
        plain, mirrored = np.bitwise_count(differing), np.bitwise_count(differing ^ MIRROR)
        alike = np.flatnonzero(np.minimum(plain, mirrored) <= ALIKE_BITS)
        flag = (mirrored < plain)[alike].astype(np.uint64) << np.uint64(31)
        found.append((a[alike].astype(np.uint64) << np.uint64(32)) | flag | b[alike].astype(np.uint64))
    return found


def _counted(votes: Array) -> tuple[Array, Array, Array, Array]:
    """Pairs of photos that met often enough: `a`, `b`, mirrored or not, and how often, each [M]."""
    a = (votes >> np.uint64(32)) // np.uint64(FEATURES)
    b = (votes & np.uint64(0x7FFFFFFF)) // np.uint64(FEATURES)
    mirrored = (votes >> np.uint64(31)) & np.uint64(1)
    pairs, met = distinct((a << np.uint64(32)) | (b << np.uint64(1)) | mirrored)
    pairs, met = pairs[met >= MEETINGS], met[met >= MEETINGS]
    first, second = pairs >> np.uint64(32), (pairs & np.uint64(0xFFFFFFFF)) >> np.uint64(1)
    return first.astype(np.int64), second.astype(np.int64), (pairs & np.uint64(1)).astype(bool), met


def agreement(prints: Fingerprints, a: Array, b: Array, mirrored: Array) -> tuple[Array, Array]:
    """How photos `a` lie on photos `b` by most of their features: maps float64 [K, 2, 3] and how many agree, [K].

    `mirrored` bool [K] says which lie mirrored. Every two features of like codes propose a turn, scale and shift;
    the proposal that most others agree with is fitted to all of these (least squares).
    """
    count = len(a)
    flip = np.where(mirrored, MIRROR, np.uint64(0))[:, None, None]
    bits = np.bitwise_count(prints.codes[a][:, :, None] ^ prints.codes[b][:, None, :] ^ flip)
    bits[prints.places[a][:, :, 2] == 0] = 64
    bits.swapaxes(1, 2)[prints.places[b][:, :, 2] == 0] = 64
    match = bits.argmin(axis=2)
    nearest = np.take_along_axis(bits, match[:, :, None], 2)[:, :, 0]
    usable = nearest <= MATCH_BITS
    usable &= np.take_along_axis(bits.argmin(axis=1), match, 1) == np.arange(FEATURES)  # each other's nearest
    here = prints.places[a].astype(np.float32)
    there = np.take_along_axis(prints.places[b], match[:, :, None], 1).astype(np.float32)
    p, q = ((places[..., 0] + 1j * places[..., 1]) / 256 for places in (here, there))
    p = np.where(mirrored[:, None], -p.conj(), p)
    angle = np.where(mirrored[:, None], TURN / 2 - here[..., 3], here[..., 3])
    turn = (there[..., 3] - angle) / TURN  # of OpenCV's angles, which run with x to y
    octaves = (there[..., 2] - here[..., 2]) / STEPS
    factor = np.exp2(octaves) * np.exp(2j * np.pi * turn)
    shift = q - factor * p
    best = np.argsort(np.where(usable, nearest, 64), axis=1, kind="stable")[:, :PROPOSALS]

    def proposed(values: Array) -> Array:
        return np.take_along_axis(values, best, 1)[:, :, None]

    # [pair, proposal, feature]
    off = np.abs(proposed(factor) * p[:, None, :] + proposed(shift) - q[:, None, :])
    agree = (off <= NEAR * np.maximum(np.exp2(proposed(octaves)), 1)) & usable[:, None, :] & proposed(usable)
    apart = proposed(turn) - turn[:, None, :]
    agree &= np.abs(apart - np.round(apart)) <= TURNED
    agree &= np.abs(proposed(octaves) - octaves[:, None, :]) <= SCALED
    rows, first = np.arange(count), agree.sum(axis=2).argmax(axis=1)
    agree, chosen = agree[rows, first], best[rows, first]
    maps = _fitted(p, q, agree.astype(np.float64), factor[rows, chosen], shift[rows, chosen])
    maps[mirrored, :, 0] *= -1
    return maps, np.minimum(_spots(agree, here), _spots(agree, there))


def _spots(agree: Array, places: Array) -> Array:
    """On how many spots the features that agree lie, int64 [K]: of two on one spot one counts."""
    cell = places[..., 0].astype(int) // 8 * 32 + places[..., 1].astype(int) // 8
    cell = np.sort(np.where(agree, cell, -1), axis=1)
    return (cell[:, 0] >= 0) + ((cell[:, 1:] != cell[:, :-1]) & (cell[:, 1:] >= 0)).sum(axis=1)


def _fitted(p: Array, q: Array, weight: Array, factor: Array, shift: Array) -> Array:
    """The similarities [K, 2, 3] that take places `p` to `q` (complex [K, F]) with the least squares, by weight.

    Where fewer than two places count, the one given by `factor` and `shift` [K].
    """
    total = np.maximum(weight.sum(axis=1), 1)
    mid_p, mid_q = (p * weight).sum(axis=1) / total, (q * weight).sum(axis=1) / total
    centred, wanted = p - mid_p[:, None], q - mid_q[:, None]
    spread = (weight * np.abs(centred) ** 2).sum(axis=1)
    fitted = (weight * centred.conj() * wanted).sum(axis=1) / np.maximum(spread, 1e-12)
    enough = spread > 1e-4
    factor = np.where(enough, fitted, factor)
    shift = np.where(enough, mid_q - fitted * mid_p, shift)
    rows = [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]
    return np.moveaxis(np.array(rows), 2, 0)
