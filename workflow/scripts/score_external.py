"""Score a model on the photos of an external data set, beside its own test."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.applied import sets, unlike
    from manihot.core import files
    from manihot.core.tables import read_catalogs, read_photos
    from manihot.features import table
    from manihot.networks import bundle
    from manihot.scores.external import Answered, Asked, score_external

    given, asked, output = snakemake.input, run.settings, snakemake.output
    model = bundle.read_whole(given.model)
    priors = [bundle.read(path).record["prior"] for path in given.members]
    temperature = model["calibration"]["temperature"] or 1.0
    parts = {part: [read_photos(path) for path in given[part]] for part in ("folds", "test", "test_as_found")}
    answered = {part: Answered(tables, priors, temperature) for part, tables in parts.items() if len(tables[0])}
    tried, own = (
        answered["folds"],
        next((answered[part] for part in ("test", "test_as_found") if part in answered), None),
    )
    strange = None
    if given.reference:
        reference, _ = unlike.read(given.reference[0])
        strange = reference.unlike(table.select(given.features, tried.folds[0]))
    scores = score_external(
        tried,
        own,
        sets.read(given.sets, [entry["label"] for entry in model["classes"]], asked["folds"]),
        read_catalogs(given.catalogs),
        model["classes"],
        strange,
        Asked(**{key: asked[key] for key in ("coverage", "seed", "resamples")}),
    )
    own_part = next((part for part in ("test", "test_as_found") if part in answered), None)
    files.write_table(output.calibrated, tried.answers())
    files.write_table(output.estimated, tried.answers(tried.shares()))
    files.write_json(output.scores, {"kind": model["kind"], "own_part": own_part, **scores})
    run.cost |= {"photos": scores["tried"]["n"]}
