"""Fit gradient-boosted trees on the stored features of a frozen backbone."""

from manihot.job import job

with job(snakemake) as run:
    from manihot import boosting, bundle, feature_table, files
    from manihot.folds import Fold
    from manihot.gpus import Compute

    given, outputs = snakemake.input, snakemake.output
    fold = Fold.read(snakemake.wildcards.fold, given.sample, given.record)
    recipe, compute = boosting.Recipe(**run.settings["recipe"]), Compute(**run.settings["compute"])
    run.once(
        {"booster.ubj": outputs.weights, "history.csv": outputs.history, "model.json": outputs.model},
        [feature_table.digest(given.features), files.sha256(given.sample), fold.labels],
        lambda state: boosting.fit(state, given.features, fold, recipe, compute, run.progress),
        fold=fold.number,
    )
    bundle.name_classes(outputs.model, fold.classes)
