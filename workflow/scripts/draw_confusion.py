"""Draw a model's confusion matrices on the test and out of fold."""

from manihot.logs import job

with job(snakemake) as run:
    from manihot import figures, files

    scores = {part: files.read_json(snakemake.input[part]) for part in ("test", "validation")}
    drawn = figures.confusion(scores, snakemake.wildcards.model)
    files.write_text(snakemake.output.confusion, drawn)
