"""Fit the last layer of a frozen backbone on its stored features."""

from manihot.logs import job

with job(snakemake) as run:
    from manihot import feature_table, files, heads, parts

    given, fold = snakemake.input, int(snakemake.wildcards.fold)
    read = [feature_table.digest(given.features), files.sha256(given.draw), files.sha256(given.facts)]
    with run.state(files.content_key(read), fold=fold) as state:
        finished = state.finished()
        if not finished:
            run.cost |= heads.fit(
                state.folder,
                given.features,
                parts.read_photos(given.draw),
                parts.class_labels(given.facts),
                fold,
                **run.settings,
            )
            state.finish("weights.safetensors", "history.csv", "model.json", cost=run.cost)
        cost = state.emit(
            {
                "weights.safetensors": snakemake.output.weights,
                "history.csv": snakemake.output.history,
                "model.json": snakemake.output.model,
            }
        )
        if finished:
            run.reuse(cost)
