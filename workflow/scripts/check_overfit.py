"""Check that a network can learn a few balanced photos by heart."""

from manihot.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot import files, parts, pixels, training
    from manihot.trainer import LabelledPhotos, Recipe

    given, outputs = snakemake.input, snakemake.output
    photos = run.settings["photos"]
    recipe = Recipe(**{key: value for key, value in run.settings.items() if key != "photos"})
    chosen = training.balanced_photos(parts.read_photos(given.split), photos, recipe.seed)
    labels, catalogs = parts.class_labels(given.facts), parts.read_catalogs(given.catalogs)
    weights = next(map(Path, given.weights), None)
    data = [labels, list(chosen["label"]), pixels.digest(chosen, given.manifests, catalogs)]

    def learn(state):
        known = LabelledPhotos.of(chosen, labels, pixels.gather(chosen, catalogs, given.manifests, recipe.size))
        check = snakemake.wildcards.check
        return training.check_overfit(recipe, check, len(labels), known, weights, state, run.progress)

    run.once(
        {"history.csv": outputs.history, "result.json": outputs.result},
        [*data, weights and files.sha256(weights)],
        learn,
    )
