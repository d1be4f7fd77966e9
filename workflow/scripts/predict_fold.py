"""Predict every part of a split with the network of one fold."""

from manihot.core.job import job

with job(snakemake) as run:
    from functools import partial

    from manihot.core import files
    from manihot.core.gpus import Compute
    from manihot.core.names import PARTS
    from manihot.core.tables import read_catalogs, read_photos
    from manihot.features import activations, table
    from manihot.networks import bundle
    from manihot.pixels import store
    from manihot.predictions.network import Viewing, predict_fold
    from manihot.splits.folds import Fold

    given, fitted = snakemake.input, bundle.read(snakemake.input.model)
    fold = Fold.read(snakemake.wildcards.fold, given.sample, given.record)
    split, catalogs = read_photos(given.split), read_catalogs(given.catalogs)
    viewing, compute = Viewing(**run.settings["viewing"]), Compute(**run.settings["compute"])
    if viewing.train_from:
        shown = table.digest(given.arrays)
        gather = partial(activations.gather, stored=given.arrays, views=viewing.views)
    else:
        shown, size = store.digest(split, given.manifests, catalogs), fitted.record["input"]["size"]
        gather = partial(store.gather, catalogs=catalogs, manifests=given.manifests, size=size)
    photos = [files.sha256(given.sample), files.sha256(given.split), shown]
    run.once(
        {f"{part}.csv": getattr(snakemake.output, part) for part in PARTS},
        [fitted.identity(), *photos],
        lambda state: predict_fold(state, fitted, fold, split, gather, viewing, compute),
        fold=fold.number,
    )
