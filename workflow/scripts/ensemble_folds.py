"""Average the predictions of a model's folds, and describe the model."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.names import PARTS
    from manihot.core.tables import read_photos
    from manihot.networks import bundle
    from manihot.predictions import ensembles

    given, settings = snakemake.input, run.settings
    folds = {part: [read_photos(path) for path in getattr(given, part)] for part in PARTS}
    for part, table in ensembles.ensemble(folds).items():
        files.write_table(getattr(snakemake.output, part), table)
    members = [bundle.read(path) for path in given.members]
    record = bundle.whole(snakemake.wildcards.model, settings["kind"], settings["views"], members)
    files.write_json(snakemake.output.model, record)
