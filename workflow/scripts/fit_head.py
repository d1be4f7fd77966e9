"""Fit the last layer of a frozen backbone on its stored features."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.features import heads
    from manihot.features.table import digest
    from manihot.networks import bundle
    from manihot.splits.folds import Fold

    given, outputs = snakemake.input, snakemake.output
    fold = Fold.read(snakemake.wildcards.fold, given.sample, given.record, given.split)
    recipe = heads.recipe(run.settings["recipe"])
    run.once(
        {"weights.safetensors": outputs.weights, "history.csv": outputs.history, "model.json": outputs.model},
        [digest(given.features), files.sha256(given.sample), fold.labels, fold.sample["group"].tolist()],
        lambda state: heads.fit(state.folder, given.features, fold, recipe, run.settings["threads"]),
        fold=fold.number,
    )
    bundle.name_classes(outputs.model, fold.classes)
