"""Say what each switch of the protocol is worth, where models differ in nothing else."""

from manihot.core.job import job

with job(snakemake) as run:
    import pandas as pd

    from manihot.core import files
    from manihot.core.tables import read_catalogs, read_photos
    from manihot.scores import switches

    given, settings, names = snakemake.input, run.settings, run.settings["names"]
    tables = dict(zip(map(tuple, names["predictions"]), map(read_photos, given.predictions), strict=True))
    records = dict(zip(names["splits"], map(files.read_json, given.records), strict=True))
    classes = {split: content["classes"] for split, content in records.items()}
    catalogs, drawn = read_catalogs(given.catalogs), {key: settings[key] for key in ("seed", "resamples")}
    weighed = switches.weigh(
        pd.read_csv(given.comparisons, dtype={"model": "str", "based_on": "str"}),
        **{key: settings[key] for key in ("models", "experiments", "splits")},
        roles=dict(zip(names["splits"], map(read_photos, given.roles), strict=True)),
        samples=dict(zip(names["samples"], map(read_photos, given.samples), strict=True)),
        refits=switches.beside_single_folds(settings["refits"], tables, catalogs, classes, **drawn),
    )
    files.write_table(snakemake.output.switches, weighed)
