"""Plot a model's confusion matrices on the test and out of fold."""

from manihot.job import job

with job(snakemake) as run:
    from manihot import figures, files

    scores = {part: files.read_json(snakemake.input[part]) for part in ("test", "validation")}
    chart = figures.confusion(scores, snakemake.wildcards.model)
    files.write_text(snakemake.output.confusion, chart)
