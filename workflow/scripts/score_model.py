"""Score a model and its folds on every part."""

from manihot.logs import job

with job(snakemake) as run:
    from manihot import files, scores
    from manihot.names import PARTS
    from manihot.tables import read_catalogs, read_photos

    facts = files.read_json(snakemake.input.facts)
    catalogs = read_catalogs(snakemake.input.catalogs)
    about = {"kind": run.settings["kind"], "parameters": files.read_json(snakemake.input.model)["parameters"]}
    for part in PARTS:
        record = scores.score(
            read_photos(getattr(snakemake.input, part)),
            catalogs,
            facts["classes"],
            seed=run.settings["seed"],
            resamples=run.settings["resamples"],
            new_class=facts["new_class"],
            majority=scores.majority_class(facts),
            folds=[read_photos(path) for path in getattr(snakemake.input, f"fold_{part}")],
        )
        files.write_json(getattr(snakemake.output, part), about | record)
