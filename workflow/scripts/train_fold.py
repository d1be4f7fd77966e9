"""Train one fold of an experiment."""

from manihot.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot import bundle, files, pixels, training
    from manihot.folds import Fold
    from manihot.recipe import Recipe
    from manihot.tables import read_catalogs

    given, outputs = snakemake.input, snakemake.output
    recipe, catalogs = Recipe.read(run.settings["recipe"]), read_catalogs(given.catalogs)
    fold = Fold.read(snakemake.wildcards.fold, given.sample, given.record)
    weights = next(map(Path, given.weights), None)
    photos = [fold.labels, files.sha256(given.sample), pixels.digest(fold.sample, given.manifests, catalogs)]
    run.once(
        {"weights.safetensors": outputs.weights, "history.csv": outputs.history, "model.json": outputs.model},
        [*photos, weights and files.sha256(weights)],
        lambda state: training.train_fold(
            recipe,
            snakemake.wildcards.experiment,
            fold,
            lambda rows: pixels.gather(rows, catalogs, given.manifests, recipe.input.size),
            weights,
            state,
            run.progress,
        ),
        fold=fold.number,
    )
    bundle.name_classes(outputs.model, fold.classes)
