"""Join the answers of all shards, and say which photos a person should look at first."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.applied import joined
    from manihot.core import files

    given, asked = snakemake.input, files.plain(run.settings)
    model = files.read_json(given.model)
    found = joined.join(
        [joined.read_answers(path) for path in given.answers],
        [entry["label"] for entry in model["classes"]],
        asked["none_above"],
        asked["group_pattern"],
        joined.read_copies(given.copies[0]) if given.copies else None,
    )
    files.write_table(snakemake.output.predictions, found.predictions)
    files.write_table(snakemake.output.problems, found.problems)
    if found.groups is not None:
        files.write_table(snakemake.output.groups[0], found.groups)
    files.write_json(snakemake.output.record, joined.record(found, model, asked, files.read_json(given.others)))
    run.cost |= {"photos": len(found.predictions)}
