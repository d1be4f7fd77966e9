"""Score a model and its folds on every part."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.names import ANSWERS, PARTS
    from manihot.core.tables import read_catalogs, read_photos
    from manihot.predictions.calibration import as_found, targets
    from manihot.scores.answers import score_answers
    from manihot.scores.score import Marked, majority_class, score

    given, split = snakemake.input, files.read_json(snakemake.input.record)
    catalogs = read_catalogs(given.catalogs)
    about = {"kind": run.settings["kind"], "parameters": files.read_json(given.model)["parameters"]}
    marked = Marked(split["new_class"], majority_class(split), run.settings["costs"])
    drawn = {key: run.settings[key] for key in ("seed", "resamples")}
    for part in PARTS:
        table = read_photos(getattr(given, part))
        scored = score(
            table,
            catalogs,
            split["classes"],
            **drawn,
            marked=marked,
            folds=[read_photos(path) for path in getattr(given, f"fold_{part}")],
        )
        if part != "train":
            kinds = {kind: read_photos(getattr(given, f"{kind}_{part}")) for kind in ANSWERS}
            # Out of fold the answers are for classes that are alike, which the photos are not.
            shares = {"as_found": as_found(split), "target": targets(split)[part] if part == "validation" else None}
            shares |= {"costs": run.settings["costs"], **drawn}
            scored["answers"] = score_answers({"raw": table, **kinds}, catalogs, split["classes"], **shares)
        files.write_json(getattr(snakemake.output, part), about | scored)
