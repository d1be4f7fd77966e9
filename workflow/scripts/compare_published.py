"""Set the published study's numbers beside the measured ones."""

from manihot.core.job import job

with job(snakemake) as run:
    from itertools import product
    from pathlib import Path

    import pandas as pd

    from manihot.core import files
    from manihot.core.names import PARTS
    from manihot.published import numbers

    given, settings = snakemake.input, run.settings
    models = {model["name"]: model for model in settings["models"]}
    measured = numbers.Measured(
        scores=dict(zip(product(models, PARTS), map(files.read_json, given.scores), strict=True)),
        histories=dict(zip(map(tuple, settings["names"]["histories"]), map(pd.read_csv, given.histories), strict=True)),
        models=models,
        **{key: settings[key] for key in ("experiments", "backbones", "boosting")},
    )
    table = numbers.compare(Path(given.published[0]).parent, measured)
    files.write_table(snakemake.output.numbers, table)
