"""Predict each part of a split by gradient-boosted trees."""

from manihot.job import job

with job(snakemake) as run:
    from manihot import boosting, files, parts

    given, fold = snakemake.input, int(snakemake.wildcards.fold)
    tables = parts.part_tables(
        parts.read_photos(given.draw),
        parts.read_photos(given.split),
        fold,
        parts.class_labels(given.facts),
        lambda photos: boosting.predict(given.fitted, given.model, given.features, photos, **run.settings),
    )
    for part, table in tables.items():
        files.write_table(snakemake.output[part], table)
    run.cost |= {"photos": sum(map(len, tables.values()))}
