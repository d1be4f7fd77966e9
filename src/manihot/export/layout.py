"""The files of an export, and which version of its record this is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manihot.core import files

SCHEMA_VERSION = 1
ABOUT, ONNX, INT8, REFERENCE = "about.json", "model.onnx", "model-int8.onnx", "reference.npy"
PREDICT, CARD, CHECKS, SPEED = "predict.py", "README.md", "checks.json", "speed.json"
# What the graph takes and gives.
INPUT, PROBABILITIES, CORRECTED, FEATURES = "photos", "probabilities", "corrected", "features"


def with_files(record: Mapping[str, Any], paths: Mapping[str, Path]) -> dict[str, Any]:
    """The record with the SHA-256 and the bytes of the export's files."""
    told = {name: {"sha256": files.sha256(path), "bytes": path.stat().st_size} for name, path in paths.items()}
    return {**record, "files": told}
