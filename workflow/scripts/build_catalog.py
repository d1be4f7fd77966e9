"""Join a data set's labels with the properties of its photos, and group its duplicates."""

from manihot.core.job import job

with job(snakemake) as run:
    import numpy as np

    from manihot.catalog.table import build_catalog, read_properties
    from manihot.core import files
    from manihot.core.tables import read_photos

    table, pairs = build_catalog(
        read_photos(snakemake.input.labels),
        [read_properties(path) for path in snakemake.input.tables],
        [np.load(path) for path in snakemake.input.thumbnails],
        snakemake.wildcards.dataset,
        **run.settings,
    )
    files.write_table(snakemake.output.table, table)
    files.write_table(snakemake.output.pairs, pairs)
    run.cost |= {"photos": len(table)}
