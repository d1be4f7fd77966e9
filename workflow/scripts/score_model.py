"""Score a model and its folds on every part."""

from manihot.job import job

with job(snakemake) as run:
    from manihot import files, parts, scores

    facts = files.read_json(snakemake.input.facts)
    catalogs = parts.read_catalogs(snakemake.input.catalogs)
    about = {"kind": run.settings["kind"], "parameters": files.read_json(snakemake.input.model)["parameters"]}
    for part in parts.PARTS:
        record = scores.score(
            parts.read_photos(getattr(snakemake.input, part)),
            catalogs,
            facts["classes"],
            seed=run.settings["seed"],
            resamples=run.settings["resamples"],
            new_class=facts["new_class"],
            majority=scores.majority_class(facts),
            folds=[parts.read_photos(path) for path in getattr(snakemake.input, f"fold_{part}")],
        )
        files.write_json(getattr(snakemake.output, part), about | record)
