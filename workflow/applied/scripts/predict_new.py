"""Ask the members of a model what they say of the photos of a shard."""

from manihot.core.job import job

with job(snakemake) as run:
    from pathlib import Path

    import numpy as np

    from manihot.applied import shard
    from manihot.core import files

    asked, output = run.settings, snakemake.output
    model = shard.ready(asked["model"], snakemake.threads)
    rows = files.read_rows(snakemake.input.listing)
    told, own = shard.look(model, rows, Path(asked["root"]), run.progress)
    files.write_table(output.told, told)
    with files.atomic(output.own) as temporary, temporary.open("wb") as handle:
        np.save(handle, own)
    run.cost |= {"photos": len(told)}
