"""Write the report of what lies below results/."""

from manihot.logs import job

with job(snakemake) as run:
    from datetime import UTC, datetime
    from pathlib import Path

    from manihot import report
    from manihot.report import provenance

    report.build(
        Path("results"),
        Path(snakemake.output.report),
        run.settings,
        made=f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC",
        commit=provenance.commit(Path(snakemake.scriptdir)),
        versions=provenance.versions(),
    )
