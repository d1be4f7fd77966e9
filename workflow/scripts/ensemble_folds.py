"""Average the predictions of a model's folds."""

from manihot.job import job

with job(snakemake) as run:
    from manihot import ensembles, files, parts

    folds = {part: [parts.read_photos(path) for path in getattr(snakemake.input, part)] for part in parts.PARTS}
    for part, table in ensembles.ensemble(folds).items():
        files.write_table(getattr(snakemake.output, part), table)
