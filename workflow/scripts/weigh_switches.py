"""Say what each switch of the protocol is worth, where models differ in nothing else."""

from manihot.core.job import job

with job(snakemake) as run:
    import pandas as pd

    from manihot.core import files
    from manihot.core.tables import read_photos
    from manihot.scores import switches

    given, settings = snakemake.input, run.settings
    tables = {
        kind: dict(zip(names, map(read_photos, getattr(given, kind)), strict=True))
        for kind, names in settings["names"].items()
    }
    compared = pd.read_csv(given.comparisons, dtype={"model": "str", "based_on": "str"})
    asked = {key: settings[key] for key in ("models", "experiments", "splits")}
    files.write_table(snakemake.output.switches, switches.weigh(compared, **asked, **tables))
