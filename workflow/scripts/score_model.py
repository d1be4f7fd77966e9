"""Score a model and its folds on every part."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.applied import sets
    from manihot.core import files
    from manihot.core.names import ANSWERS, PARTS
    from manihot.core.tables import read_catalogs, read_photos
    from manihot.networks import bundle
    from manihot.predictions.calibration import as_found, targets
    from manihot.scores.answers import score_answers
    from manihot.scores.coverage import held_sets, score_sets
    from manihot.scores.score import Marked, majority_class, score

    given, split = snakemake.input, files.read_json(snakemake.input.record)
    catalogs = read_catalogs(given.catalogs)
    about = {"kind": run.settings["kind"], "parameters": files.read_json(given.model)["parameters"]}
    marked = Marked(split["new_class"], majority_class(split), run.settings["costs"])
    priors = [bundle.read(path).record["prior"] for path in given.members]
    labels, asked = [entry["label"] for entry in split["classes"]], run.settings["coverage"]
    held = sets.read(given.sets, labels, run.settings["folds"])
    drawn = {key: run.settings[key] for key in ("seed", "resamples")}
    for part in PARTS:
        table = read_photos(getattr(given, part))
        folds = [read_photos(path) for path in getattr(given, f"fold_{part}")]
        scored = score(
            table,
            catalogs,
            split["classes"],
            **drawn,
            marked=marked,
            folds=folds,
        )
        if part != "train":
            kinds = {kind: read_photos(getattr(given, f"{kind}_{part}")) for kind in ANSWERS}
            # Out of fold the answers are for classes that are alike, which the photos are not.
            shares = {"as_found": as_found(split), "target": targets(split)[part] if part == "validation" else None}
            shares |= {"costs": run.settings["costs"], **drawn}
            scored["answers"] = score_answers({"raw": table, **kinds}, catalogs, split["classes"], **shares)
        if part.startswith("test"):
            found = held_sets(held, folds, priors, kinds["calibrated"], asked)
            scored["sets"] = score_sets(held, found, table, catalogs, split["classes"], asked)
        files.write_json(getattr(snakemake.output, part), about | scored)
