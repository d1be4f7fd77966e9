"""`make prune`: removes finished and half-done work that no job of the study would use any more."""

import shutil
import sys
from pathlib import Path
from typing import Any

from manihot.core import files
from manihot.core.command import ends_in_one_line
from manihot.core.state import read_label
from manihot.study.settings import take_folder


def outdated(results: Path) -> list[Path]:
    """The folders below `results/state` but for the latest that each job of the study uses."""
    current = [files.read_json(path) for path in (results / "settings").glob("*/*.json")]
    labels = sorted((results / "state").glob("*/label.json"), key=lambda path: path.stat().st_mtime_ns)
    latest: dict[str, Path] = {}
    for path in labels:
        label = read_label(path)
        if label and _is_current(label, current):
            latest |= dict.fromkeys(label["jobs"], path.parent)
    kept = set(latest.values())
    return [path.parent for path in labels if path.parent not in kept]


def _is_current(label: dict[str, Any], current: list[dict[str, Any]]) -> bool:
    return any(
        record["rule"] == label["stage"]
        and record["code"] == label["code"]
        and record["settings"].items() <= label["settings"].items()
        for record in current
    )


def size(folder: Path) -> int:
    """The bytes that removing a folder frees: a file that is a result too stays on the disk."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and p.stat().st_nlink == 1)


@ends_in_one_line
def main() -> int:
    """Prune `results/` of the current folder and say what was freed."""
    results = Path("results")
    if not (results / "settings").is_dir():
        print("nothing to prune: there are no results here")
        return 0
    take_folder(results)
    folders = outdated(results)
    freed = sum(size(folder) for folder in folders)
    for folder in folders:
        shutil.rmtree(folder)
    print(f"pruned {len(folders)} pieces of old work, {freed / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
