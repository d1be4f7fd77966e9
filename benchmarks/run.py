"""The study's own way against this one on the same photos and machine, in turns: a table, and a JSON beside it.

    python benchmarks/run.py [pixels training features finetuning fitting applied whole] [--pairs 5] [--finished FOLDER]

Ratios say how many times better ours is, as the median of the pairs with their range; the share is of what this machine
would allow. Results: benchmarks/results/{machine}.json, after each row, and docs/performance.md. Where only some stages
are measured, the other rows stay.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch
from measuring import ROOT, SHARED

sys.path.insert(0, str(ROOT / "src"))

import applied  # noqa: E402
import features  # noqa: E402
import finetuning  # noqa: E402
import fitting  # noqa: E402
import page  # noqa: E402
import pixels  # noqa: E402
import training  # noqa: E402
import whole  # noqa: E402

from manihot.core import files
from manihot.networks import device

STAGES = {
    "pixels": pixels.rows, "training": training.rows, "features": features.rows, "finetuning": finetuning.rows,
    "fitting": fitting.rows, "applied": applied.rows,
}  # fmt: skip


def machine() -> str:
    """The processor's name and cores, such as amd-epyc-9r14-2-cores."""
    names = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text()) or [platform.machine()]
    name = re.sub(r"\((r|tm)\)", "", names[0].lower())
    return "-".join(re.findall(r"[a-z0-9]+", name)) + f"-{len(os.sched_getaffinity(0))}-cores"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", help="only these (default: all)")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--finished", type=Path, help="folder of a finished tests/studies/cassava.yaml")
    given = parser.parse_args()
    wanted = given.stages or [*STAGES, "whole"]
    if unknown := set(wanted) - {*STAGES, "whole"}:
        parser.error(f"no stage {', '.join(unknown)}: choose from {', '.join(STAGES)}, whole")
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    target = ROOT / "benchmarks/results" / f"{machine()}.json"
    known = files.read_json(target)["rows"] if target.exists() and given.stages else []
    measured = {entry["key"]: entry for entry in known}
    for stage in wanted:
        if stage == "whole" and not SHARED.is_dir():
            print("whole: skipped, the sample (../shared/data) is not here")
            continue
        with tempfile.TemporaryDirectory() as folder:
            done = whole.rows(given.pairs, given.finished or Path(folder)) if stage == "whole" else None
            for row in done or STAGES[stage](given.pairs):
                measured[row.key] = {**asdict(row), "commit": commit}
                print(page.line(measured[row.key]), flush=True)
                taken = str(device.precision("auto", torch.device("cpu"))).removeprefix("torch.")
                facts = {"machine": machine(), "commit": commit, "torch": torch.__version__, "precision": taken}
                files.write_json(target, {**facts, "rows": list(measured.values())})
    page.write()
    print(f"written: {target.relative_to(ROOT)}, docs/performance.md")


if __name__ == "__main__":
    main()
