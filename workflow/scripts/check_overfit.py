"""Check that a network can learn a few balanced photos by heart."""

from manihot.logs import job

with job(snakemake) as run:
    from pathlib import Path

    import pandas as pd

    from manihot import files, parts, pixels, training
    from manihot.trainer import LabelledPhotos, Recipe

    given, outputs = snakemake.input, snakemake.output
    photos = run.settings.pop("photos")
    recipe = Recipe(**run.settings)
    chosen = training.balanced_photos(parts.read_photos(given.split), photos, recipe.seed)
    labels = [entry["label"] for entry in files.read_json(given.facts)["classes"]]
    catalogs = pd.concat(map(parts.read_photos, given.catalogs), ignore_index=True)
    data = [labels, list(chosen["label"]), pixels.digest(chosen, given.manifests, catalogs)]
    weights = next(map(Path, given.weights), None)
    with run.state(files.content_key([*data, weights and files.sha256(weights)])) as state:
        finished = state.finished()
        if not finished:
            known = LabelledPhotos.of(
                chosen, labels, pixels.gather(chosen, catalogs, given.manifests, recipe.size)
            )
            run.cost |= training.check_overfit(
                recipe, snakemake.wildcards.check, len(labels), known, weights, state, run.progress
            )
            state.finish(*training.CHECK_FILES, cost=run.cost)
        cost = state.emit(dict(zip(training.CHECK_FILES, (outputs.history, outputs.result), strict=True)))
        if finished:
            run.reuse(cost)
