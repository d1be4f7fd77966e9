"""Set all models side by side, and choose among them."""

from manihot.logs import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot import files, summaries

    paths = [Path(path) for path in snakemake.input.scores]
    scores = {(path.parent.name, path.stem): files.read_json(path) for path in paths}
    models = run.settings["models"]
    files.write_table(snakemake.output.summary, summaries.summarise(scores, models))
    files.write_json(snakemake.output.selection, summaries.select(scores, models))
