"""Predict each part of a split by the head of a frozen backbone."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.tables import read_photos
    from manihot.features import heads
    from manihot.networks import bundle
    from manihot.predictions.parts import part_tables
    from manihot.splits.folds import Fold

    given, fitted, threads = snakemake.input, bundle.read(snakemake.input.model), run.settings["threads"]
    tables = part_tables(
        Fold.read(snakemake.wildcards.fold, given.sample, given.record),
        read_photos(given.split),
        lambda part, photos: heads.predict(fitted, given.features, photos, threads),
    )
    for part, table in tables.items():
        files.write_table(snakemake.output[part], table)
    run.cost |= {"photos": sum(map(len, tables.values()))}
