"""Look at every photo of a shard: what it is, whether it can be used, and what a copy of it is known by."""

from manihot.core.job import job

with job(snakemake) as run:
    import logging

    import numpy as np

    from manihot.catalog import inspect
    from manihot.catalog.fingerprints import Describer
    from manihot.core import files

    look = Describer()
    rows, thumbnails = inspect.catalog_shard(snakemake.input.listing, **run.settings, progress=run.progress, look=look)
    files.write_rows(snakemake.output.table, inspect.COLUMNS, rows)
    with files.atomic(snakemake.output.fingerprints) as temporary, temporary.open("wb") as handle:
        np.save(handle, look.packed(thumbnails))
    logging.getLogger("manihot").info("features: %.2f ms a photo", 1000 * look.seconds / max(1, len(rows)))
    run.cost |= {"photos": len(rows)}
