"""Hold what an export answers to all test photos against the study's own code."""

from manihot.core.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot.core import files
    from manihot.core.tables import read_catalogs
    from manihot.export import layout, photos, verify

    given = snakemake.input
    found = {layout.ONNX: Path(given.graph), layout.INT8: Path(given.int8)}
    found |= {Path(path).name: Path(path) for path in given.reference}
    shown = photos.tests(given.split, run.settings)
    export = verify.Export(found, files.read_json(given.about), files.read_json(given.made))
    checks, speed = verify.verify(
        export, run.settings, shown, read_catalogs(given.catalogs), snakemake.threads, run.progress
    )
    files.write_json(snakemake.output.checks, checks)
    files.write_json(snakemake.output.speed, speed)
    run.cost |= {"photos": len(shown)}
