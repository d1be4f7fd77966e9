"""A small split, its record and a sample of it, as files: labels and ids that look like numbers and missing values.

Also what a stored feature says of its backbone.
"""

from pathlib import Path

import pandas as pd

from manihot.core import files

CLASSES = [{"label": "007", "name": "bond"}, {"label": "NA", "name": "none"}]
# What a frozen network says of itself beside its features.
BACKBONE = {
    "network": "net", "input": {"size": 32, "decode": "exact", "mean": [0.0] * 3, "std": [1.0] * 3},
    "parameters": 1000, "precision": "float32", "weights": {"path": "net.safetensors", "sha256": "0" * 64},
}  # fmt: skip
SPLIT = """dataset,image_id,label,group,role,fold
leaves,1.jpg,007,0,pool,1
leaves,2.jpg,NA,1,pool,1
leaves,3.jpg,007,2,pool,2
leaves,NA,NA,3,pool,2
needles,1.jpg,NA,4,pool,0
leaves,4.jpg,007,5,test,2
leaves,5.jpg,NA,6,test_as_found,
leaves,6.jpg,NA,7,unused,
"""
SAMPLE = """dataset,image_id,label,fold
leaves,1.jpg,007,1
leaves,3.jpg,007,2
leaves,NA,NA,2
needles,1.jpg,NA,0
"""


def write(folder: Path) -> None:
    """Write split.csv, split.json and sample.csv."""
    (folder / "split.csv").write_text(SPLIT)
    (folder / "sample.csv").write_text(SAMPLE)
    files.write_json(folder / "split.json", {"classes": CLASSES})


def names(table: pd.DataFrame) -> list[str]:
    """Data set and id of each photo."""
    return (table["dataset"] + "/" + table["image_id"]).tolist()
