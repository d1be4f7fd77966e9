"""Predict every part of a split with the network of one fold."""

from manihot.job import job

with job(snakemake) as run:
    from manihot import bundle, files, pixels, predictions
    from manihot.folds import Fold
    from manihot.gpus import Compute
    from manihot.names import PARTS
    from manihot.tables import read_catalogs, read_photos

    given, fitted = snakemake.input, bundle.read(snakemake.input.model)
    fold = Fold.read(snakemake.wildcards.fold, given.sample, given.record)
    split, catalogs = read_photos(given.split), read_catalogs(given.catalogs)
    viewing, compute = predictions.Viewing(**run.settings["viewing"]), Compute(**run.settings["compute"])
    photos = [files.sha256(given.sample), files.sha256(given.split), pixels.digest(split, given.manifests, catalogs)]
    run.once(
        {f"{part}.csv": getattr(snakemake.output, part) for part in PARTS},
        [fitted.identity(), *photos],
        lambda state: predictions.predict_fold(
            state,
            fitted,
            fold,
            split,
            lambda rows: pixels.gather(rows, catalogs, given.manifests, fitted.record["input"]["size"]),
            viewing,
            compute,
        ),
        fold=fold.number,
    )
