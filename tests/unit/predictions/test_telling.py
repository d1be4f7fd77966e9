"""The photos that tell most are those of the whole table."""

import pandas as pd

from manihot.predictions.telling import ranked


def test_telling_photos_are_those_of_the_whole_table() -> None:
    table = pd.DataFrame(
        [
            ("d", "a", "x", 1, 0.9, 0.1),
            ("d", "b", "y", 2, 0.8, 0.2),
            ("d", "c", "x", 1, 0.55, 0.45),
            ("d", "e", "y", 2, 0.0, 1.0),
        ],
        columns=["dataset", "image_id", "label", "fold", "p0", "p1"],
    )
    found = ranked(table, ["x", "y"], 2)
    shown = {key: list(rows["image_id"]) for key, rows in found.items()}
    assert shown == {"right": ["e", "a"], "wrong": ["b"], "least": ["c", "b"]}
    assert list(found["right"]["fold"]) == [2, 1]
