"""Look at every photo of a shard: what it is, whether it can be used, and what it looks like when small."""

from manihot.core.job import job

with job(snakemake) as run:
    import numpy as np

    from manihot.catalog import inspect
    from manihot.core import files

    rows, thumbnails = inspect.catalog_shard(snakemake.input.listing, **run.settings, progress=run.progress)
    files.write_rows(snakemake.output.table, inspect.COLUMNS, rows)
    with files.atomic(snakemake.output.thumbnails) as temporary, temporary.open("wb") as handle:
        np.save(handle, thumbnails)
    run.cost |= {"photos": len(rows)}
