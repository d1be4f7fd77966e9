"""Write the report of what lies below results/."""

from manihot.core.job import job

with job(snakemake) as run:
    from datetime import UTC, datetime
    from pathlib import Path

    from manihot.report import page, provenance

    page.build(
        Path("results"),
        Path(snakemake.output.report),
        run.settings,
        made=f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC",
        commit=provenance.commit(Path(snakemake.scriptdir)),
        versions=provenance.versions(),
        figures=Path("results/figures"),
    )
