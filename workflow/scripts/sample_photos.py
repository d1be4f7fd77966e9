"""Sample the photos that an experiment trains on."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.tables import read_photos
    from manihot.splits import sampling

    sample = sampling.sample_photos(read_photos(snakemake.input.split), **run.settings)
    files.write_table(snakemake.output.table, sample)
    run.cost |= {"photos": len(sample)}
