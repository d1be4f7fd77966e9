"""Fit a split's head again on nested parts of its training photos, and predict out of fold."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.tables import read_photos
    from manihot.features import heads
    from manihot.networks import bundle
    from manihot.predictions.fewer_photos import out_of_fold
    from manihot.splits.folds import Fold

    given, settings = snakemake.input, run.settings
    tables = out_of_fold(
        given.features,
        [Fold.read(number, given.sample, given.record, given.split) for number in settings["folds"]],
        [bundle.read(path) for path in given.fitted],
        read_photos(given.split),
        files.read_json(given.record),
        heads.recipe(settings["recipe"]),
        settings["threads"],
    )
    for kind, table in tables.items():
        files.write_table(snakemake.output[kind], table)
    run.cost |= {"photos": len(tables["raw"])}
