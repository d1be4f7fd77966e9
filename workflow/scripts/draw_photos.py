"""Draw the photos that an experiment trains on."""

from manihot.job import job

with job(snakemake) as run:
    from manihot import files, parts, splits

    drawn = splits.draw_photos(parts.read_photos(snakemake.input.split), **run.settings)
    files.write_table(snakemake.output.table, drawn)
    run.cost |= {"photos": len(drawn)}
