"""Score a model and its folds on every part."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.names import PARTS
    from manihot.core.tables import read_catalogs, read_photos
    from manihot.scores.score import Marked, majority_class, score

    given, split = snakemake.input, files.read_json(snakemake.input.record)
    catalogs = read_catalogs(given.catalogs)
    about = {"kind": run.settings["kind"], "parameters": files.read_json(given.model)["parameters"]}
    marked = Marked(split["new_class"], majority_class(split), run.settings["costs"])
    for part in PARTS:
        scored = score(
            read_photos(getattr(given, part)),
            catalogs,
            split["classes"],
            seed=run.settings["seed"],
            resamples=run.settings["resamples"],
            marked=marked,
            folds=[read_photos(path) for path in getattr(given, f"fold_{part}")],
        )
        files.write_json(getattr(snakemake.output, part), about | scored)
