"""Check that a network can learn a few balanced photos by heart."""

from manihot.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot import files, pixels, training
    from manihot.recipe import Recipe
    from manihot.tables import read_catalogs, read_photos
    from manihot.trainer import LabelledPhotos

    given, outputs = snakemake.input, snakemake.output
    recipe, catalogs = Recipe.read(run.settings["recipe"]), read_catalogs(given.catalogs)
    chosen = training.balanced_photos(read_photos(given.split), run.settings["photos"], recipe.seed)
    labels = [entry["label"] for entry in files.read_json(given.record)["classes"]]
    weights = next(map(Path, given.weights), None)
    data = [labels, list(chosen["label"]), pixels.digest(chosen, given.manifests, catalogs)]

    def learn(state):
        known = LabelledPhotos.of(chosen, labels, pixels.gather(chosen, catalogs, given.manifests, recipe.input.size))
        check = snakemake.wildcards.check
        return training.check_overfit(recipe, check, len(labels), known, weights, state, run.progress)

    run.once(
        {"history.csv": outputs.history, "result.json": outputs.result},
        [*data, weights and files.sha256(weights)],
        learn,
    )
