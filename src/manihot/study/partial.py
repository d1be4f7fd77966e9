"""The report of what is there, and of what is missing, while a run is on or after it failed (`make partial-report`).

It is no job of the workflow: it waits for nothing, and writes one file.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from manihot.core.command import ends_in_one_line
from manihot.core.errors import StudyError
from manihot.report import page, provenance
from manihot.study.load import load
from manihot.study.plan import Plan
from manihot.study.score_jobs import build_report

PROJECT = Path(__file__).parents[3]
OUTPUT = Path("results/partial_report.html")


@ends_in_one_line
def main() -> int:
    """Write `results/partial_report.html` in a folder, of a study: the command line names the study file, then the
    folder (this one, if it names none)."""
    study = load(Path(sys.argv[1]))
    try:
        os.chdir(sys.argv[2] if len(sys.argv) > 2 else ".")
    except OSError as error:
        raise StudyError(f"{error.filename}: {error.strerror}: DIR must be the folder of a run") from None
    [(_, settings)] = build_report(Plan(study, PROJECT))
    page.build(
        Path("results"),
        OUTPUT,
        settings,
        made=f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC",
        commit=provenance.commit(PROJECT),
        versions=provenance.versions(),
    )
    print(f"The report of what is there: {OUTPUT.resolve()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
