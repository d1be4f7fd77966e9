"""Average the predictions of a model's folds, calibrate its sets, and describe the model."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.applied import sets
    from manihot.core import files
    from manihot.core.names import PARTS
    from manihot.core.tables import read_catalogs, read_photos
    from manihot.networks import bundle
    from manihot.predictions import calibration, ensembles

    given, settings = snakemake.input, run.settings
    folds = {part: [read_photos(path) for path in getattr(given, part)] for part in PARTS}
    for part, table in ensembles.ensemble(folds).items():
        files.write_table(getattr(snakemake.output, part), table)
    members, split = [bundle.read(path) for path in given.members], files.read_json(given.record)
    priors = [member.record["prior"] for member in members]
    name, whole = snakemake.wildcards.model, files.read_json(given.whole[0]) if given.whole else None
    answers, temperature = calibration.answer(folds, priors, split, whole and whole["calibration"]["temperature"])
    for kind, tables in answers.items():
        for part, table in tables.items():
            files.write_table(getattr(snakemake.output, f"{kind}_{part}"), table)
    source = None if temperature is None else whole["name"] if whole else name
    calibrated = {"temperature": temperature, "temperature_from": source, "shares": split["shares"]}
    about = (name, settings["kind"], settings["views"])
    record = bundle.whole(*about, members, calibrated, settings["unlike"])
    files.write_json(snakemake.output.model, record)
    if given.sets:
        plausible = sets.of_refit(files.read_json(given.sets[0]))
    else:
        labels = [entry["label"] for entry in split["classes"]]
        known = (settings["folds"], labels, read_catalogs(given.catalogs), settings["seed"])
        plausible = sets.calibrate(folds["validation"], priors, *known)
    files.write_json(snakemake.output.sets, plausible)
