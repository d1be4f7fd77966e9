"""Average the predictions of a model's folds, and describe the model."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.names import PARTS
    from manihot.core.tables import read_photos
    from manihot.networks import bundle
    from manihot.predictions import calibration, ensembles

    given, settings = snakemake.input, run.settings
    folds = {part: [read_photos(path) for path in getattr(given, part)] for part in PARTS}
    for part, table in ensembles.ensemble(folds).items():
        files.write_table(getattr(snakemake.output, part), table)
    members, split = [bundle.read(path) for path in given.members], files.read_json(given.record)
    answers, temperature = calibration.answer(folds, [member.record["prior"] for member in members], split)
    for kind, tables in answers.items():
        for part, table in tables.items():
            files.write_table(getattr(snakemake.output, f"{kind}_{part}"), table)
    calibrated = {"temperature": temperature, "shares": split["shares"]}
    record = bundle.whole(snakemake.wildcards.model, settings["kind"], settings["views"], members, calibrated)
    files.write_json(snakemake.output.model, record)
