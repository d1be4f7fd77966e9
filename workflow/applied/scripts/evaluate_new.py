"""Hold the answers to new photos against their labels, beside the model's own test."""

from manihot.core.job import job

with job(snakemake) as run:
    from pathlib import Path

    import numpy as np
    import pandas as pd

    from manihot.applied import answers, joined
    from manihot.core import files
    from manihot.core.tables import read_catalogs, read_photos
    from manihot.scores.external import Asked
    from manihot.scores.external_new import Labelled, evaluate

    given, asked = snakemake.input, run.settings
    labelled = Labelled(
        read_photos(given.labels),
        pd.concat([joined.read_answers(path) for path in given.told], ignore_index=True),
        np.concatenate([np.load(path) for path in given.own], axis=1),
        joined.read_copies(given.copies[0]) if given.copies else None,
        asked["classes"],
    )
    found = evaluate(
        files.read_json(given.model),
        answers.read(Path(asked["model"])),
        labelled,
        {part: [read_photos(table["path"]) for table in tables] for part, tables in asked["own"].items()},
        read_catalogs(asked["catalogs"].values()) if asked["catalogs"] else None,
        Asked(**{key: asked[key] for key in ("coverage", "seed", "resamples")}),
    )
    files.write_json(snakemake.output.evaluation, found)
    run.cost |= {"photos": found["tried"]["n"]}
