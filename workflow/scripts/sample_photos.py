"""Sample the photos that an experiment trains on."""

from manihot.logs import job

with job(snakemake) as run:
    from manihot import files, parts, sampling

    sample = sampling.sample_photos(parts.read_photos(snakemake.input.split), **run.settings)
    files.write_table(snakemake.output.table, sample)
    run.cost |= {"photos": len(sample)}
