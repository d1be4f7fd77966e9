"""The folder of an export: only what was checked comes into it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manihot.core import files
from manihot.export import layout

HERE = Path(__file__).parent


def publish(folder: Path, made: Mapping[str, Path], told: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the files by their names to the folder of the export, with predict.py; returns the record of the export.

    `told` has `about` and `checks`. The int8 file comes only where it passed, and one that was there is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Until its record is there again, the folder is no export.
    (folder / layout.ABOUT).unlink(missing_ok=True)
    chosen = {name: path for name, path in made.items() if name != layout.INT8 or told["checks"]["int8"]["passed"]}
    (folder / layout.INT8).unlink(missing_ok=True)
    for name, path in chosen.items():
        files.write_bytes(folder / name, path.read_bytes())
    files.write_bytes(folder / layout.PREDICT, (HERE / "standalone.py").read_bytes())
    names = [*chosen, layout.PREDICT]
    return layout.with_files(told["about"], {name: folder / name for name in names})
