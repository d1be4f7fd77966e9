"""Photos that are independent of each other: one of each group and class, drawn by a seed."""

import zlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.core.tables import KEYS


def one_a_group(photos: pd.DataFrame, seed: int, purpose: str) -> NDArray[np.int64]:
    """The places of the photos drawn, int64 [m], in random order: one for each group and label.

    `photos` has `dataset,image_id,label,group`, a group being known by data set and number. A photo of a group that is
    in two classes stands for it in its own class alone. What is drawn depends on the seed, the purpose and the photos,
    not on their order.
    """
    ordered = photos.reset_index(drop=True).sort_values(KEYS, kind="stable")
    generator = np.random.default_rng([seed, zlib.crc32(purpose.encode())])
    shuffled = ordered.iloc[generator.permutation(len(ordered))]
    return shuffled.drop_duplicates(["dataset", "group", "label"]).index.to_numpy(np.int64)
