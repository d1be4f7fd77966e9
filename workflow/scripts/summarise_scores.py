"""Set all models side by side."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.classes import check_costs
    from manihot.scores import summaries

    models = run.settings["models"]
    names = [(model["name"], part) for model in models for part in summaries.PARTS]
    scores = {name: files.read_json(path) for name, path in zip(names, snakemake.input.scores, strict=True)}
    check_costs(run.settings["costs"], summaries.labels(scores), "the study file: ")
    files.write_table(snakemake.output.summary, summaries.summarise(scores, models))
