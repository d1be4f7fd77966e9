"""Decode a shard's photos and resize them, once."""

from manihot.logs import job

with job(snakemake) as run:
    import torch

    from manihot import files, pixels

    torch.set_num_threads(snakemake.threads)
    table = snakemake.input.table
    with run.state(files.sha256(table)) as state:
        done = state.finished()
        if not done:
            pixels.cache_shard(table, **run.settings, state=state, progress=run.progress)
            run.cost |= {"photos": len(files.read_rows(table))}
            state.finish(pixels.ARRAY, pixels.MANIFEST, cost=run.cost)
        cost = state.emit({pixels.ARRAY: snakemake.output.array, pixels.MANIFEST: snakemake.output.manifest})
        if done:
            run.reuse(cost)
