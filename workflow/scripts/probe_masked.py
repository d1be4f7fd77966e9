"""Predict out of fold by two heads: one is shown photos without their middle, the other one whole photos."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.tables import read_photos
    from manihot.features import heads
    from manihot.predictions.masked import out_of_fold
    from manihot.splits.folds import Fold

    given, settings = snakemake.input, run.settings
    tables = out_of_fold(
        given.features,
        [Fold.read(number, given.sample, given.record, given.split) for number in settings["folds"]],
        read_photos(given.split),
        heads.recipe(settings["recipe"]),
        settings["threads"],
    )
    for name, table in tables.items():
        files.write_table(snakemake.output[name], table)
    run.cost |= {"photos": sum(map(len, tables.values()))}
