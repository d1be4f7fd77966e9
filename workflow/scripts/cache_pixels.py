"""Decode a shard's photos and resize them, once."""

from manihot.job import job

with job(snakemake) as run:
    import torch

    from manihot import files, pixel_cache

    torch.set_num_threads(snakemake.threads)
    table = snakemake.input.table
    outputs = {pixel_cache.ARRAY: snakemake.output.array, pixel_cache.MANIFEST: snakemake.output.manifest}
    run.once(
        outputs,
        files.sha256(table),
        lambda state: pixel_cache.cache_shard(table, **run.settings, state=state, progress=run.progress),
    )
