"""Decode a shard's photos and resize them, once."""

from manihot.logs import job

with job(snakemake) as run:
    import torch

    from manihot import files, pixel_cache

    torch.set_num_threads(snakemake.threads)
    table = snakemake.input.table
    with run.state(files.sha256(table)) as state:
        done = state.finished()
        if not done:
            pixel_cache.cache_shard(table, **run.settings, state=state, progress=run.progress)
            run.cost |= {"photos": len(files.read_rows(table))}
            state.finish(pixel_cache.ARRAY, pixel_cache.MANIFEST, cost=run.cost)
        cost = state.emit(
            {pixel_cache.ARRAY: snakemake.output.array, pixel_cache.MANIFEST: snakemake.output.manifest}
        )
        if done:
            run.reuse(cost)
