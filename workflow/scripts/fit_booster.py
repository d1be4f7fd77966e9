"""Fit gradient-boosted trees on the stored features of a frozen backbone."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.gpus import Compute
    from manihot.features import boosting
    from manihot.features.table import digest
    from manihot.networks import bundle
    from manihot.splits.folds import Fold

    given, outputs = snakemake.input, snakemake.output
    fold = Fold.read(snakemake.wildcards.fold, given.sample, given.record, given.split)
    recipe, compute = boosting.Recipe(**run.settings["recipe"]), Compute(**run.settings["compute"])
    run.once(
        {"booster.ubj": outputs.weights, "history.csv": outputs.history, "model.json": outputs.model},
        [digest(given.features), files.sha256(given.sample), fold.labels, fold.sample["group"].tolist()],
        lambda state: boosting.fit(state, given.features, fold, recipe, compute, run.progress),
        fold=fold.number,
    )
    bundle.name_classes(outputs.model, fold.classes)
