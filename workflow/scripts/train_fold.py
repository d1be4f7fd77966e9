"""Train one fold of an experiment."""

from manihot.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot import files, parts, pixels, training
    from manihot.trainer import LabelledPhotos, Recipe

    given, outputs, fold = snakemake.input, snakemake.output, int(snakemake.wildcards.fold)
    recipe = Recipe(**run.settings)
    draw, labels = parts.read_photos(given.draw), parts.class_labels(given.facts)
    catalogs = parts.read_catalogs(given.catalogs)
    weights = next(map(Path, given.weights), None)
    data = [labels, files.sha256(given.draw), pixels.digest(draw, given.manifests, catalogs)]

    def train(state):
        known, unknown = (
            LabelledPhotos.of(rows, labels, pixels.gather(rows, catalogs, given.manifests, recipe.size))
            for rows in (parts.training_rows(draw, fold), parts.validation_rows(draw, fold))
        )
        experiment = snakemake.wildcards.experiment
        return training.train_fold(recipe, experiment, fold, len(labels), known, unknown, weights, state, run.progress)

    run.once(
        {"weights.safetensors": outputs.weights, "history.csv": outputs.history, "model.json": outputs.model},
        [*data, weights and files.sha256(weights)],
        train,
        fold=fold,
    )
