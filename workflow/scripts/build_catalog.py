"""Join a data set's labels with the properties of its photos, and group its duplicates."""

from manihot.job import job

with job(snakemake) as run:
    import numpy as np

    from manihot import catalog_table, files
    from manihot.tables import read_photos

    table, pairs = catalog_table.build_catalog(
        read_photos(snakemake.input.labels),
        [catalog_table.read_properties(path) for path in snakemake.input.tables],
        [np.load(path) for path in snakemake.input.thumbnails],
        snakemake.wildcards.dataset,
        **run.settings,
    )
    files.write_table(snakemake.output.table, table)
    files.write_table(snakemake.output.pairs, pairs)
    run.cost |= {"photos": len(table)}
