"""Fit gradient-boosted trees on the stored features of a frozen backbone."""

from manihot.logs import job

with job(snakemake) as run:
    from manihot import boosting, feature_table, files, parts

    given, fold = snakemake.input, int(snakemake.wildcards.fold)
    read = [feature_table.digest(given.features), files.sha256(given.draw), files.sha256(given.facts)]
    with run.state(files.content_key(read), fold=fold) as state:
        finished = state.finished()
        if not finished:
            run.cost |= boosting.fit(
                state,
                given.features,
                parts.read_photos(given.draw),
                parts.class_labels(given.facts),
                fold,
                **run.settings,
                progress=run.progress,
            )
            state.finish("booster.ubj", "history.csv", "model.json", cost=run.cost)
        cost = state.emit(
            {
                "booster.ubj": snakemake.output.booster,
                "history.csv": snakemake.output.history,
                "model.json": snakemake.output.model,
            }
        )
        if finished:
            run.reuse(cost)
