"""Weigh the published study's conclusions on what was measured."""

from manihot.job import job

with job(snakemake) as run:
    from pathlib import Path

    import pandas as pd

    from manihot import conclusions, files, parts
    from manihot.published_numbers import fold_of

    given, settings = snakemake.input, run.settings
    scores = {(path.parent.name, path.stem): files.read_json(path) for path in map(Path, given.scores)}
    # results/predictions/{model}/{part}.csv, results/predictions/{model}/fold{fold}/{part}.csv
    tables = {("/".join(path.parts[2:-1]), path.stem): parts.read_photos(path) for path in map(Path, given.predictions)}
    classes = {Path(path).stem: files.read_json(path)["classes"] for path in given.facts}
    drawn = {key: settings.pop(key) for key in ("seed", "resamples")}
    evidence = conclusions.Evidence(
        models={model["name"]: model for model in settings.pop("models")},
        scores=scores,
        histories={fold_of(path): pd.read_csv(path) for path in given.histories},
        overfit={Path(path).parent.name: pd.read_csv(path) for path in given.overfit},
        compared=pd.read_csv(given.comparisons, dtype={"model": "str", "based_on": "str"}),
        paired=conclusions.paired(settings.pop("pairs"), tables, parts.read_catalogs(given.catalogs), classes, **drawn),
        **settings,
    )
    weighed = {"conclusions": conclusions.weigh(evidence), "balancing": conclusions.balancing(evidence)}
    files.write_json(snakemake.output.conclusions, weighed)
