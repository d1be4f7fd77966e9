"""Fit the last layer of a frozen backbone on its stored features."""

from manihot.job import job

with job(snakemake) as run:
    from manihot import bundle, feature_table, files, heads
    from manihot.folds import Fold

    given, outputs = snakemake.input, snakemake.output
    fold = Fold.read(snakemake.wildcards.fold, given.sample, given.record)
    recipe = heads.Recipe(**run.settings["recipe"])
    run.once(
        {"weights.safetensors": outputs.weights, "history.csv": outputs.history, "model.json": outputs.model},
        [feature_table.digest(given.features), files.sha256(given.sample), fold.labels],
        lambda state: heads.fit(state.folder, given.features, fold, recipe, run.settings["threads"]),
        fold=fold.number,
    )
    bundle.name_classes(outputs.model, fold.classes)
