"""Train one fold of an experiment."""

from manihot.logs import job

with job(snakemake) as run:
    from pathlib import Path

    import pandas as pd

    from manihot import files, parts, pixels, training
    from manihot.trainer import LabelledPhotos, Recipe

    given, outputs, fold = snakemake.input, snakemake.output, int(snakemake.wildcards.fold)
    recipe = Recipe(**run.settings)
    draw = parts.read_photos(given.draw)
    labels = [entry["label"] for entry in files.read_json(given.facts)["classes"]]
    catalogs = pd.concat(map(parts.read_photos, given.catalogs), ignore_index=True)
    data = [labels, files.sha256(given.draw), pixels.digest(draw, given.manifests, catalogs)]
    weights = next(map(Path, given.weights), None)
    with run.state(files.content_key([*data, weights and files.sha256(weights)]), fold=fold) as state:
        finished = state.finished()
        if not finished:
            train, validation = (
                LabelledPhotos.of(rows, labels, pixels.gather(rows, catalogs, given.manifests, recipe.size))
                for rows in (parts.training_rows(draw, fold), parts.validation_rows(draw, fold))
            )
            run.cost |= training.train_fold(
                recipe, snakemake.wildcards.experiment, fold, len(labels), train, validation, weights,
                state, run.progress,
            )  # fmt: skip
            state.finish(*training.FOLD_FILES, cost=run.cost)
        cost = state.emit(
            dict(zip(training.FOLD_FILES, (outputs.weights, outputs.history, outputs.model), strict=True))
        )
        if finished:
            run.reuse(cost)
