"""Tables of labels to split, and how the tests split them."""

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from manihot.photos.facts import FACTS
from manihot.splits import roles
from manihot.splits.folding import Folding

few = settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
OPTIONS = {
    "dataset": "leaves", "seed": 7, "folds": 3, "fold_kind": "stratified", "group_duplicates": True,
    "test": 12, "test_as_found": 10, "per_class": None, "keep_for_training": 5,
}  # fmt: skip
NEW = {"dataset": "needles", "label": "pine", "photos": 12, "test": 4, "in_every_fold": False}


def label_table(counts, *, dataset="leaves", duplicates=0, conflicts=0, seed=0):
    """Photos of as many classes as counts, of which some share a group with their neighbour."""
    labels = [str(label) for label, count in enumerate(counts) for _ in range(count)]
    generator = np.random.default_rng(seed)
    group = np.arange(len(labels))
    same = [i for i in range(1, len(labels)) if labels[i] == labels[i - 1]]
    differ = [i for i in range(1, len(labels)) if labels[i] != labels[i - 1]]
    joined = [*generator.permutation(same)[:duplicates], *generator.permutation(differ)[:conflicts]]
    for i in sorted(joined):
        group[i] = group[i - 1]
    ids = generator.permutation([f"{i:05d}.jpg" for i in range(len(labels))])
    table = pd.DataFrame({"dataset": dataset, "image_id": ids, "label": labels, "group": group, "copies": group})
    return table.assign(**dict.fromkeys(FACTS, ""))


@st.composite
def tables(draw):
    counts = draw(st.lists(st.integers(30, 60), min_size=2, max_size=4))
    return label_table(
        counts,
        duplicates=draw(st.integers(0, 15)),
        conflicts=draw(st.integers(0, 1)),
        seed=draw(st.integers(0, 9)),
    )


def strategy(options, protocol=roles.Corrected):
    """A protocol with the keys of a split in a study file."""
    counts = (options[key] for key in ("test", "test_as_found", "per_class", "keep_for_training"))
    folding = (options[key] for key in ("folds", "fold_kind", "group_duplicates", "seed"))
    return protocol(roles.Counts(*counts), Folding(*folding))


def split(photos, new_class=None, parent=None, **changed):
    options = {**OPTIONS, **changed}
    return roles.split_photos(photos, options["dataset"], strategy(options), new_class=new_class, parent=parent)


def written(table):
    return table.to_csv(index=False)


def needles(**changed):
    table = label_table([5, 20], dataset="needles", **changed)
    return table.assign(label=table["label"].map({"0": "fir", "1": "pine"}))
