"""Train one fold of an experiment."""

from manihot.core.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot.core import files
    from manihot.core.tables import read_catalogs
    from manihot.features import activations, table
    from manihot.networks import bundle
    from manihot.pixels import store
    from manihot.splits.folds import Fold
    from manihot.training.fold import train_fold
    from manihot.training.recipe import Recipe

    given, outputs = snakemake.input, snakemake.output
    recipe, catalogs = Recipe.read(run.settings["recipe"]), read_catalogs(given.catalogs)
    fold = Fold.read(snakemake.wildcards.fold, given.sample, given.record)
    weights = next(map(Path, given.weights), None)
    head = bundle.read(given.head[0]) if given.head else None
    if recipe.train_from:
        shown = table.digest(given.arrays)
    else:
        sizes = dict.fromkeys((recipe.input.size, recipe.cache_size))
        shown = [store.digest(fold.sample, store.of_size(given.manifests, size), catalogs) for size in sizes]

    def gather(rows, size):
        if recipe.train_from:
            return activations.gather(rows, given.arrays, recipe.views)
        return store.gather(rows, catalogs, given.manifests, size)

    photos = [fold.labels, files.sha256(given.sample), shown]
    run.once(
        {"weights.safetensors": outputs.weights, "history.csv": outputs.history, "model.json": outputs.model},
        [*photos, weights and files.sha256(weights), head and head.identity()],
        lambda state: train_fold(
            recipe, snakemake.wildcards.experiment, fold, gather, weights, state, run.progress, head
        ),
        fold=fold.number,
    )
    bundle.name_classes(outputs.model, fold.classes)
