"""Look at every photo of a shard: what a copy of it is known by."""

from manihot.core.job import job

with job(snakemake) as run:
    import numpy as np

    from manihot.catalog import inspect
    from manihot.catalog.fingerprints import Describer
    from manihot.core import files

    look = Describer()
    rows, thumbnails = inspect.catalog_shard(snakemake.input.listing, **run.settings, progress=run.progress, look=look)
    files.write_rows(snakemake.output.table, inspect.COLUMNS, rows)
    with files.atomic(snakemake.output.fingerprints) as temporary, temporary.open("wb") as handle:
        np.save(handle, look.packed(thumbnails))
    run.cost |= {"photos": len(rows)}
