"""Decode a shard's photos and resize them, once."""

from manihot.core.job import job

with job(snakemake) as run:
    import torch

    from manihot.core import files
    from manihot.pixels.cache import ARRAY, MANIFEST, cache_shard

    torch.set_num_threads(snakemake.threads)
    table = snakemake.input.table
    outputs = {ARRAY: snakemake.output.array, MANIFEST: snakemake.output.manifest}
    run.once(
        outputs,
        files.sha256(table),
        lambda state: cache_shard(table, **run.settings, state=state, progress=run.progress),
    )
