"""Check that a network can learn a few balanced photos by heart."""

from manihot.core.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot.core import files
    from manihot.core.tables import read_catalogs, read_photos
    from manihot.pixels import store
    from manihot.training.fold import balanced_photos, check_overfit
    from manihot.training.recipe import Recipe
    from manihot.training.trainer import LabelledPhotos

    given, outputs = snakemake.input, snakemake.output
    recipe, catalogs = Recipe.read(run.settings["recipe"]), read_catalogs(given.catalogs)
    chosen = balanced_photos(read_photos(given.split), run.settings["photos"], recipe.seed)
    labels = [entry["label"] for entry in files.read_json(given.record)["classes"]]
    weights = next(map(Path, given.weights), None)
    data = [labels, list(chosen["label"]), store.digest(chosen, given.manifests, catalogs)]

    def learn(state):
        known = LabelledPhotos.of(chosen, labels, store.gather(chosen, catalogs, given.manifests, recipe.input.size))
        check = snakemake.wildcards.check
        return check_overfit(recipe, check, len(labels), known, weights, state, run.progress)

    run.once(
        {"history.csv": outputs.history, "result.json": outputs.result},
        [*data, weights and files.sha256(weights)],
        learn,
    )
