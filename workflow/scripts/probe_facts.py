"""Ask what facts that are no plant tell of the labels in the pool of a split."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.tables import read_catalogs, read_photos
    from manihot.scores.probes import probe_facts
    from manihot.scores.score import majority_class

    given, split = snakemake.input, files.read_json(snakemake.input.record)
    record, predictions = probe_facts(
        read_photos(given.split),
        read_catalogs(given.catalogs),
        split["classes"],
        majority=majority_class(split),
        **run.settings,
    )
    files.write_json(snakemake.output.facts, record)
    files.write_table(snakemake.output.predictions, predictions)
    run.cost |= {"photos": record["photos"]}
