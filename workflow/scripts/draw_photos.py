"""Draw the photos that an experiment trains on."""

from manihot.logs import job

with job(snakemake) as run:
    from manihot import files, splits
    from manihot.tables import read_photos

    drawn = splits.draw_photos(read_photos(snakemake.input.split), **run.settings)
    files.write_table(snakemake.output.table, drawn)
    run.cost |= {"photos": len(drawn)}
