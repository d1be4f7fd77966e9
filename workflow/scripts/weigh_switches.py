"""Say what each switch of the protocol is worth, where models differ in nothing else."""

from manihot.job import job

with job(snakemake) as run:
    from pathlib import Path

    import pandas as pd

    from manihot import files, parts, switches

    given = snakemake.input
    tables = {
        kind: {Path(path).stem: parts.read_photos(path) for path in getattr(given, kind)} for kind in ("roles", "draws")
    }
    compared = pd.read_csv(given.comparisons, dtype={"model": "str", "based_on": "str"})
    files.write_table(snakemake.output.switches, switches.weigh(compared, **run.settings, **tables))
