"""Write the page of the evaluation."""

from manihot.core.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot.report import external_page

    folder = Path(run.settings["root"]).resolve().name
    external_page.build(Path(snakemake.input.evaluation), Path(snakemake.output.page), folder)
