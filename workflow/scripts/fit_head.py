"""Fit the last layer of a frozen backbone on its stored features."""

from manihot.job import job

with job(snakemake) as run:
    from manihot import feature_table, files, heads, parts

    given, outputs, fold = snakemake.input, snakemake.output, int(snakemake.wildcards.fold)
    draw, labels = parts.read_photos(given.draw), parts.class_labels(given.facts)
    run.once(
        {"weights.safetensors": outputs.weights, "history.csv": outputs.history, "model.json": outputs.model},
        [feature_table.digest(given.features), files.sha256(given.draw), labels],
        lambda state: heads.fit(state.folder, given.features, draw, labels, fold, **run.settings),
        fold=fold,
    )
