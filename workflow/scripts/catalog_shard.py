"""Look at every photo of a shard: what it is, whether it can be used, and what it looks like when small."""

from manihot.job import job

with job(snakemake) as run:
    import numpy as np

    from manihot import catalog, files

    rows, thumbnails = catalog.catalog_shard(snakemake.input.listing, **run.settings, progress=run.progress)
    files.write_rows(snakemake.output.table, catalog.COLUMNS, rows)
    with files.atomic(snakemake.output.thumbnails) as temporary, temporary.open("wb") as handle:
        np.save(handle, thumbnails)
    run.cost |= {"photos": len(rows)}
