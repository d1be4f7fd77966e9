"""Weigh the published study's conclusions on what was measured."""

from manihot.core.job import job

with job(snakemake) as run:
    from itertools import product

    import pandas as pd

    from manihot.core import files
    from manihot.core.names import PARTS
    from manihot.core.tables import read_catalogs, read_photos
    from manihot.published import conclusions
    from manihot.published.evidence import Evidence

    given, settings, names = snakemake.input, run.settings, run.settings["names"]
    models = {model["name"]: model for model in settings["models"]}
    tables = dict(zip(map(tuple, names["predictions"]), map(read_photos, given.predictions), strict=True))
    records = dict(zip(names["records"], map(files.read_json, given.records), strict=True))
    classes = {split: content["classes"] for split, content in records.items()}
    catalogs, drawn = read_catalogs(given.catalogs), {key: settings[key] for key in ("seed", "resamples")}
    evidence = Evidence(
        models=models,
        scores=dict(zip(product(models, PARTS), map(files.read_json, given.scores), strict=True)),
        overfit=dict(zip(names["overfit"], map(pd.read_csv, given.overfit), strict=True)),
        compared=pd.read_csv(given.comparisons, dtype={"model": "str", "based_on": "str"}),
        paired=conclusions.paired(settings["pairs"], tables, catalogs, classes, **drawn),
        **{key: settings[key] for key in ("experiments", "backbones", "boosting", "splits", "checks")},
    )
    weighed = {"conclusions": conclusions.weigh(evidence), "balancing": conclusions.balancing(evidence)}
    files.write_json(snakemake.output.conclusions, weighed)
