"""Predict the photos of an external data set with a fold of a model."""

from manihot.core.job import job

with job(snakemake) as run:
    from functools import partial

    from manihot.core import files
    from manihot.core.gpus import Compute
    from manihot.core.tables import read_photos
    from manihot.features import table
    from manihot.networks import bundle
    from manihot.pixels import store
    from manihot.predictions.external import predict_external

    given, asked, fitted = snakemake.input, run.settings, bundle.read(snakemake.input.model)
    photos, catalog, compute = read_photos(given.photos), read_photos(given.catalog), Compute(**asked["compute"])
    if given.features:
        shown = table.digest(given.features)
    else:
        shown = store.digest(photos, given.manifests, catalog)
    gather = partial(store.gather, catalogs=catalog, manifests=given.manifests)
    run.once(
        {"test.csv": snakemake.output.table},
        [fitted.identity(), files.sha256(given.photos), shown],
        lambda state: predict_external(state, fitted, photos, given.features or gather, asked, compute),
        fold=int(snakemake.wildcards.fold),
    )
