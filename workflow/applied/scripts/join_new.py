"""Make answers of what was said in all shards, and say which photos a person should look at first."""

from manihot.core.job import job

with job(snakemake) as run:
    from pathlib import Path

    import numpy as np

    from manihot.applied import answers, joined
    from manihot.core import files

    given, asked = snakemake.input, files.plain(run.settings)
    model, answering = files.read_json(given.model), answers.read(Path(asked.pop("model")))
    told, own = [joined.read_answers(path) for path in given.told], [np.load(path) for path in given.own]
    shares = answering.estimate(np.concatenate(own, axis=1)) if asked["shares"] == "estimated" else asked["shares"]
    target = answering.target(shares)
    found = joined.join(
        [answering.table(*shard, target, asked["coverage"]) for shard in zip(told, own, strict=True)],
        answering.labels,
        asked["none_above"],
        asked["group_pattern"],
        joined.read_copies(given.copies[0]) if given.copies else None,
    )
    files.write_table(snakemake.output.predictions, found.predictions)
    files.write_table(snakemake.output.problems, found.problems)
    if found.groups is not None:
        files.write_table(snakemake.output.groups[0], found.groups)
    asked["target"] = dict(zip(answering.labels, target, strict=True))
    files.write_json(snakemake.output.record, joined.record(found, model, asked, files.read_json(given.others)))
    run.cost |= {"photos": len(found.predictions)}
