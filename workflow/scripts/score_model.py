"""Score a model and its folds on every part."""

from manihot.logs import job

with job(snakemake) as run:
    from manihot import files, scores
    from manihot.names import PARTS
    from manihot.tables import read_catalogs, read_photos

    record = files.read_json(snakemake.input.record)
    catalogs = parts.read_catalogs(snakemake.input.catalogs)
    about = {"kind": run.settings["kind"], "parameters": files.read_json(snakemake.input.model)["parameters"]}
    for part in parts.PARTS:
        scored = scores.score(
            parts.read_photos(getattr(snakemake.input, part)),
            catalogs,
            record["classes"],
            seed=run.settings["seed"],
            resamples=run.settings["resamples"],
            new_class=record["new_class"],
            majority=scores.majority_class(record),
            folds=[parts.read_photos(path) for path in getattr(snakemake.input, f"fold_{part}")],
        )
        files.write_json(getattr(snakemake.output, part), about | scored)
