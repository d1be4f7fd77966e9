"""Sample the photos that an experiment trains on."""

from manihot.job import job

with job(snakemake) as run:
    from manihot import files, sampling
    from manihot.tables import read_photos

    sample = sampling.sample_photos(read_photos(snakemake.input.split), **run.settings)
    files.write_table(snakemake.output.table, sample)
    run.cost |= {"photos": len(sample)}
