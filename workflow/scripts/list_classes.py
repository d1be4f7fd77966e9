"""Name the classes of an experiment in the order of their index."""

from manihot.job import job

with job(snakemake) as run:
    from manihot import files

    files.write_json(snakemake.output.classes, files.read_json(snakemake.input.facts)["classes"])
