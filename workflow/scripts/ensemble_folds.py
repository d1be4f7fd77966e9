"""Average the predictions of a model's folds."""

from manihot.logs import job

with job(snakemake) as run:
    from manihot import ensembles, files
    from manihot.names import PARTS
    from manihot.tables import read_photos

    folds = {part: [read_photos(path) for path in getattr(snakemake.input, part)] for part in PARTS}
    for part, table in ensembles.ensemble(folds).items():
        files.write_table(getattr(snakemake.output, part), table)
