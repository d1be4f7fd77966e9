"""Write the page of the answers."""

from manihot.core.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot.report import new_photos

    new_photos.build(Path(), Path(snakemake.output.page), Path(run.settings["root"]))
