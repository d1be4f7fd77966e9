"""How much of the label a fact tells, without what any fact with many values seems to tell by chance."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

PERMUTATIONS = 300


def told(
    facts: pd.DataFrame,
    labels: NDArray[np.intp],
    groups: NDArray[np.intp],
    *,
    seed: int,
    permutations: int = PERMUTATIONS,
) -> dict[str, dict[str, float]]:
    """What each column of `facts` tells of the labels: {column: {values, share, by_chance, p}}.

    `labels` are numbers [n] from 0, `groups` those [n] of what stays together; a group counts as one photo. `share` is
    (I - E) / (H - E): I is the mutual information of fact and label, H the entropy of the label, E the mean of I over
    permutations: 0 is what chance gives, 1 a fact from which the label follows. It is the adjusted mutual information
    of Vinh, Epps and Bailey (2010, "Information theoretic measures for clusterings comparison"), with H as the upper
    bound, since it is the label that is to be told, and with E by permutation. It may lie a little below 0, and is 0
    where nothing can be told apart from chance (each photo has a value of its own, or there are as few groups as
    labels). `by_chance` is E / H. p is how often permutations reach I, as Phipson and Smyth (2010) count.

    A permutation deals the labels of whole groups out anew: each photo of a group takes a label, drawn at random,
    of the group that it was dealt. Where groups are single photos, that shuffles the labels.
    """
    weights = 1 / np.bincount(groups)[groups]
    codes = {name: np.unique(facts[name].to_numpy(str), return_inverse=True)[1] for name in facts}
    observed = {name: _information(values, labels, weights) for name, values in codes.items()}
    entropy = _information(labels, labels, weights)
    drawn: dict[str, list[float]] = {name: [] for name in codes}
    for shuffled in _permuted(labels, groups, np.random.default_rng(seed), permutations):
        for name, values in codes.items():
            drawn[name].append(_information(values, shuffled, weights))
    return {
        name: {
            "values": int(values.max()) + 1,
            **_beyond_chance(observed[name], np.array(drawn[name]), entropy),
        }
        for name, values in codes.items()
    }


def _beyond_chance(observed: float, drawn: NDArray[np.float64], entropy: float) -> dict[str, float]:
    tolerance = 1e-9
    expected = float(drawn.mean())
    room = entropy - expected
    return {
        "share": 0.0 if room < tolerance else (observed - expected) / room,
        "by_chance": 0.0 if entropy < tolerance else expected / entropy,
        "p": float(1 + (drawn >= observed - tolerance).sum()) / (1 + len(drawn)),
    }


def _permuted(
    labels: NDArray[np.intp], groups: NDArray[np.intp], generator: np.random.Generator, permutations: int
) -> Iterator[NDArray[np.intp]]:
    """Labels dealt out anew, a permutation at a time."""
    sizes = np.bincount(groups)
    starts = np.concatenate([[0], sizes.cumsum()[:-1]])
    sorted_labels = labels[np.argsort(groups, kind="stable")]
    for _ in range(permutations):
        donor = generator.permutation(len(sizes))[groups]
        place = (generator.random(len(labels)) * sizes[donor]).astype(np.intp)
        yield sorted_labels[starts[donor] + place]


def _information(values: NDArray[np.intp], labels: NDArray[np.intp], weights: NDArray[np.float64]) -> float:
    """The mutual information of two columns of numbers, in nats, where each row counts its weight."""
    width = int(labels.max()) + 1
    joint = np.bincount(values * width + labels, weights, minlength=(int(values.max()) + 1) * width)
    joint = joint.reshape(-1, width) / weights.sum()
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    there = joint > 0
    return float((joint[there] * np.log(joint[there] / apart[there])).sum())


def example(counts: pd.DataFrame) -> Mapping[str, Any]:
    """The value and the label that go together most: of `counts` (photos; rows are values, columns labels).

    It is the pair whose term of the mutual information is the largest. Returns value, label, both, with_value,
    with_label, photos (numbers of photos).
    """
    table = counts.to_numpy(np.float64)
    n = table.sum()
    apart = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True)
    terms = np.where(table > 0, table * np.log(np.maximum(table, 1) * n / np.maximum(apart, 1)), 0)
    row, column = np.unravel_index(int(terms.argmax()), terms.shape)
    return {
        "value": str(counts.index[row]),
        "label": str(counts.columns[column]),
        "both": int(table[row, column]),
        "with_value": int(table[row].sum()),
        "with_label": int(table[:, column].sum()),
        "photos": int(n),
    }
