"""Answer the photos of a shard."""

from manihot.core.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot.applied import shard
    from manihot.core import files

    asked = run.settings
    model = shard.ready(asked["model"], snakemake.threads)
    rows = files.read_rows(snakemake.input.listing)
    table = shard.answer(model, rows, Path(asked["root"]), asked["shares"], asked["coverage"], run.progress)
    files.write_table(snakemake.output.answers, table)
    run.cost |= {"photos": len(table)}
