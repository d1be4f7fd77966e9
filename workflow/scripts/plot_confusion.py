"""Plot a model's confusion matrices on the test and out of fold."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.figures import plots

    scores = {part: files.read_json(snakemake.input[part]) for part in ("test", "validation")}
    chart = plots.confusion(scores, snakemake.wildcards.model)
    files.write_text(snakemake.output.confusion, chart)
