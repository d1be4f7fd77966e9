"""Set the published study's numbers beside the measured ones."""

from manihot.job import job

with job(snakemake) as run:
    from pathlib import Path

    import pandas as pd

    from manihot import files, published_numbers

    given = snakemake.input
    scores = {(path.parent.name, path.stem): files.read_json(path) for path in map(Path, given.scores)}
    histories = {published_numbers.fold_of(path): pd.read_csv(path) for path in given.histories}
    run.settings["models"] = {model["name"]: model for model in run.settings["models"]}
    measured = published_numbers.Measured(scores, histories, **run.settings)
    table = published_numbers.compare(Path(given.published[0]).parent, measured)
    files.write_table(snakemake.output.published, table)
