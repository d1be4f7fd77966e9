"""`make plan`: says beforehand how long a study takes on this machine and what disk it fills, stage by stage."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from manihot.core.command import ends_in_one_line
from manihot.core.errors import StudyError
from manihot.core.text import duration
from manihot.study.amounts import Counts, amounts
from manihot.study.estimate import Stage, counted, measure, stages, whole
from manihot.study.load import load
from manihot.study.plan import Plan
from manihot.study.rates import asked
from manihot.study.settings import read_listed
from manihot.study.sources import DemoData

PROJECT = Path(__file__).parents[3]
RESULTS = Path("results")
# Photos that decoding is timed on.
SHOWN = 64


def counts_of(plan: Plan) -> tuple[Counts, list[str]]:
    """The photos of each label of each data set, and paths of a few photos: as they lie there, as a run has listed
    them, or, of photos that are still to be rendered, as the study file says.

    Raises:
        StudyError: a data set is still to be fetched or unpacked, or its folder or labels file cannot be right.
    """
    counts, photos = counted(plan, RESULTS), list[str]()
    for name, labels in read_listed(plan).items():
        counts[name] = dict(Counter(label.label for label in labels))
        paths = (Path(plan.photo_folder(name)) / label.image_id for label in labels[:: max(1, len(labels) // SHOWN)])
        photos += [str(path) for path in paths if path.is_file()]
    for name in plan.catalogued:
        data = plan.study.data[name]
        if name not in counts and isinstance(data, DemoData):
            from manihot.photos.demo import KINDS

            shares = {kind.label: kind.share for kind in KINDS[data.kind]}
            counts[name] = {k: round(data.photos * share / sum(shares.values())) for k, share in shares.items()}
        elif name not in counts:
            raise StudyError(
                f"data.{name}: how many photos it has is not known before they are fetched and unpacked: "
                "start the run, and ask again once list_photos is done"
            )
    return counts, photos


def left(study_file: Path) -> dict[str, int] | None:
    """How many jobs of each rule a run would still do; None where none has begun, or the engine does not say."""
    if not RESULTS.is_dir():
        return None
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT / "Snakefile"), "--cores", "1"]
    done = subprocess.run(
        [*command, "--configfile", str(study_file), "--dry-run", "--", "results/report.html"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    if done.returncode:
        return None
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", said, flags=re.MULTILINE)}


def still(found: Sequence[Stage], jobs: Mapping[str, int]) -> list[Stage]:
    """The stages with as many jobs as are still to do; jobs of a stage count alike."""
    rest = []
    for stage in found:
        count = min(stage.jobs, jobs.get(stage.rule, 0))
        share = count / stage.jobs
        if count:
            scaled = {key: getattr(stage, key) * share for key in ("core_seconds", "wall_seconds")}
            rest.append(replace(stage, jobs=count, bytes=round(stage.bytes * share), **scaled))
    return rest


def table(found: Sequence[Stage]) -> str:
    """The stages and the whole as lines of text."""
    lines = [f"{'stage':20} {'jobs':>6} {'time':>10} {'disk':>10}"]
    for stage in (*found, whole(found)):
        lines.append(f"{stage.rule:20} {stage.jobs:6,} {duration(stage.wall_seconds):>10} {size(stage.bytes):>10}")
    return "\n".join(lines)


def size(count: float) -> str:
    """A number of bytes as MB or GB."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def foretell(study_file: Path, cores: int) -> str:
    """What a run of a study in this folder would take.

    Raises:
        StudyError: a mistake in the study file or its data, or what cannot be known yet.
    """
    plan = Plan(load(study_file), PROJECT)
    counts, photos = counts_of(plan)
    work = list(amounts(plan, counts))
    print("measuring this machine for some ten seconds", file=sys.stderr)
    speeds = measure(asked(plan, work, photos))
    found, jobs = stages(work, speeds, cores), left(study_file)
    lines = [f"{study_file}: {sum(sum(c.values()) for c in counts.values()):,} photos, on {cores} cores"]
    if jobs is not None:
        found = still(found, jobs)
        lines.append("What is still to do:" if found else "Nothing is left to do.")
    need, free = whole(found).bytes, shutil.disk_usage(".").free
    lines += [table(found)] * bool(found)
    lines.append(f"Free on this disk: {size(free)}")
    if need > free:
        lines.append(f"warning: the disk lacks {size(need - free)}: free some, or run in another folder (DIR=…)")
    if missing := speeds.missing(work):
        lines.append(f"Not in the time: {', '.join(missing)}, which could not be measured here")
    return "\n".join(lines)


@ends_in_one_line
def main() -> int:
    """Print what the study takes that the command line names: the study file, the folder of the run, the cores."""
    study, folder, cores = (*sys.argv[1:], "", "", "")[:3]
    given, place = Path(study).absolute(), Path(folder or ".").absolute()
    while not place.is_dir():
        place = place.parent
    os.chdir(place)
    print(foretell(Path(os.path.relpath(given)), int(cores) if cores.isdecimal() else os.cpu_count() or 1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
