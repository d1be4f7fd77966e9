"""Join a data set's labels with the properties of its photos, and group its duplicates."""

from manihot.core.job import job

with job(snakemake) as run:
    import numpy as np

    from manihot.catalog.table import build_catalog, read_properties
    from manihot.core import files
    from manihot.core.tables import read_photos

    table, pairs, summary = build_catalog(
        read_photos(snakemake.input.labels),
        [read_properties(path) for path in snakemake.input.tables],
        [np.load(path, mmap_mode="r") for path in snakemake.input.fingerprints],
        snakemake.wildcards.dataset,
        **run.settings,
        progress=run.progress,
    )
    files.write_table(snakemake.output.table, table)
    files.write_table(snakemake.output.pairs, pairs)
    files.write_json(snakemake.output.summary, summary)
    run.cost |= {"photos": len(table)}
