"""Predict every part of a split with the network of one fold."""

from manihot.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot import files, parts, pixels, predictions

    given, fold, size = snakemake.input, int(snakemake.wildcards.fold), run.settings["size"]
    draw, split = parts.read_photos(given.draw), parts.read_photos(given.split)
    labels, catalogs = parts.class_labels(given.facts), parts.read_catalogs(given.catalogs)
    weights = files.read_json(given.model)["sha256"]
    data = [labels, weights, files.sha256(given.draw), files.sha256(given.split)]
    run.once(
        {f"{part}.csv": getattr(snakemake.output, part) for part in parts.PARTS},
        [*data, pixels.digest(split, given.manifests, catalogs)],
        lambda state: predictions.predict_fold(
            state,
            Path(given.weights),
            weights,
            fold,
            labels,
            draw,
            split,
            lambda rows: pixels.gather(rows, catalogs, given.manifests, size),
            **run.settings,
        ),
        fold=fold,
    )
