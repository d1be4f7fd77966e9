"""Intervals and tests that resample groups of near-duplicate photos, never single photos of a group."""

import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from manihot.core.tables import locate

# Entries of the matrix (resamples x groups) that is in memory at a time: 32 MB.
ENTRIES = 4_000_000


def group_codes(photos: pd.DataFrame, catalogs: pd.DataFrame) -> NDArray[np.intp]:
    """The number of each photo's group, int [n], counted from 0; groups are numbered within a data set.

    `photos` has dataset and image_id, `catalogs` these and group.

    Raises:
        StudyError: a photo is in no catalog.
    """
    groups = locate(photos, catalogs, ["group"])
    return np.asarray(groups.groupby(["dataset", "group"], sort=False).ngroup(), dtype=np.intp)


def group_sums(columns: sparse.csr_array, codes: NDArray[np.intp]) -> sparse.csr_array:
    """Sums over the photos of each group, [groups, C], of what each photo counts, [n, C]."""
    n = len(codes)
    return sparse.csr_array((np.ones(n), (codes, np.arange(n))), shape=(codes.max() + 1, n)) @ columns


def bootstrap(
    sums: sparse.csr_array, *, seed: int, resamples: int, strata: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """Totals, float64 [resamples, C], over as many groups as there are, drawn with replacement.

    `sums` are group sums [groups, C]. With `strata`, int [groups], as many groups of each stratum are drawn as it has.
    One seed, number of groups and strata draw the same groups whatever is summed.
    """
    totals = [np.empty((0, sums.shape[1]))]
    totals += [(ordered.T @ counts.T).T for ordered, counts in _drawn(sums, seed, resamples, strata)]
    return np.concatenate(totals)


def bootstrap_and_rest(
    sums: sparse.csr_array, *, seed: int, resamples: int, strata: NDArray[np.intp] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The totals of `bootstrap`, and those over the groups that a resample has not drawn, each once.

    Both are float64 [resamples, C]. A resample leaves out about 37 % of the groups, 1/e.
    """
    drawn, rest = ([np.empty((0, sums.shape[1]))] for _ in range(2))
    for ordered, counts in _drawn(sums, seed, resamples, strata):
        drawn.append((ordered.T @ counts.T).T)
        rest.append((ordered.T @ (counts.T == 0)).T)
    return np.concatenate(drawn), np.concatenate(rest)


def percentile_interval(
    values: NDArray[np.float64], percentiles: tuple[float, float] = (2.5, 97.5)
) -> NDArray[np.float64]:
    """The percentile interval (low, high), by default of 95 %, [2, ...], of resampled values [resamples, ...].

    Resamples in which a value is not defined (a class without a photo) are left out; NaN where none is left.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.nanpercentile(values, percentiles, axis=0)


def swap_p_values(differences: NDArray[np.float64], *, seed: int, permutations: int) -> NDArray[np.float64]:
    """Two-sided permutation p of each column's total, [C], of paired differences [groups, C].

    Where two models do not differ, each group's pair of outcomes may as well be swapped, which flips the sign
    of its row. p = (1 + permutations at least as far from 0) / (1 + permutations) (Phipson and Smyth 2010).
    """
    groups = len(differences)
    generator = np.random.default_rng(seed)
    observed = np.abs(differences.sum(axis=0))
    tolerance = 1e-9 * np.abs(differences).sum(axis=0)
    reached = np.zeros(differences.shape[1], dtype=np.int64)
    for count in _chunks(permutations, groups):
        kept = generator.integers(0, 2, size=(count, groups), dtype=np.int8)
        totals = 2 * (kept.astype(np.float64) @ differences) - differences.sum(axis=0)
        reached += (np.abs(totals) >= observed - tolerance).sum(axis=0)
    return (1 + reached) / (1 + permutations)


def _drawn(
    sums: sparse.csr_array, seed: int, resamples: int, strata: NDArray[np.intp] | None
) -> Iterator[tuple[sparse.csr_array, NDArray[np.intp]]]:
    """Some resamples at a time: the group sums by stratum, and how often each is drawn, int [resamples, groups]."""
    groups = sums.shape[0]
    generator = np.random.default_rng(seed)
    if strata is not None:
        # Groups of a stratum lie side by side: its first one, and how many it has, for each group.
        sums = sums[np.argsort(strata, kind="stable")]
        _, first, sizes = np.unique(np.sort(strata), return_index=True, return_counts=True)
        first, sizes = np.repeat(first, sizes), np.repeat(sizes, sizes)
    for count in _chunks(resamples, groups):
        if strata is None:
            drawn = generator.integers(0, groups, size=(count, groups), dtype=np.int32)
        else:
            drawn = generator.integers(first, first + sizes, size=(count, groups), dtype=np.int32)
        drawn += (np.arange(count, dtype=np.int32) * groups)[:, None]
        yield sums, np.bincount(drawn.ravel(), minlength=count * groups).reshape(count, groups)


def _chunks(rounds: int, groups: int) -> Iterator[int]:
    step = max(1, ENTRIES // groups)
    for start in range(0, rounds, step):
        yield min(step, rounds - start)
