"""Predict every part of a split with the network of one fold."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.gpus import Compute
    from manihot.core.names import PARTS
    from manihot.core.tables import read_catalogs, read_photos
    from manihot.networks import bundle
    from manihot.pixels import store
    from manihot.predictions.network import Viewing, predict_fold
    from manihot.splits.folds import Fold

    given, fitted = snakemake.input, bundle.read(snakemake.input.model)
    fold = Fold.read(snakemake.wildcards.fold, given.sample, given.record)
    split, catalogs = read_photos(given.split), read_catalogs(given.catalogs)
    viewing, compute = Viewing(**run.settings["viewing"]), Compute(**run.settings["compute"])
    photos = [files.sha256(given.sample), files.sha256(given.split), store.digest(split, given.manifests, catalogs)]
    run.once(
        {f"{part}.csv": getattr(snakemake.output, part) for part in PARTS},
        [fitted.identity(), *photos],
        lambda state: predict_fold(
            state,
            fitted,
            fold,
            split,
            lambda rows: store.gather(rows, catalogs, given.manifests, fitted.record["input"]["size"]),
            viewing,
            compute,
        ),
        fold=fold.number,
    )
