"""Draw where the networks looked on the photos that tell most of each of them."""

from manihot.core.job import job

with job(snakemake) as run:
    import torch

    from manihot.applied import looked
    from manihot.core import files
    from manihot.core.tables import read_catalogs, read_photos
    from manihot.networks import bundle
    from manihot.pixels import store

    given, folds = snakemake.input, run.settings["folds"]
    torch.set_num_threads(run.settings["threads"])
    catalogs, members = read_catalogs(given.catalogs), iter(given.members)
    for numbers, predictions, output in zip(folds, given.predictions, snakemake.output.drawn, strict=True):
        drawn = looked.draw(
            read_photos(predictions),
            {fold: bundle.read(next(members)) for fold in numbers},
            lambda photos, size: store.gather(photos, catalogs, given.manifests, size),
        )
        files.write_json(output, drawn)
    run.cost |= {"photos": len(folds) * 3 * looked.SHOWN, "device": "cpu", "precision": "float32"}
