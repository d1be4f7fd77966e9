"""Run a frozen backbone over every photo of a data set in one view."""

from manihot.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot import features, files, pixels
    from manihot.gpus import Compute
    from manihot.networks import Input
    from manihot.tables import read_photos

    given, outputs, view = snakemake.input, snakemake.output, snakemake.wildcards.view
    seen, compute = Input(**run.settings["input"]), Compute(**run.settings["compute"])
    backbone = features.Backbone(seen, Path(given.weights), run.settings["batch_size"])
    catalog = read_photos(given.catalog)
    usable = catalog[catalog["status"] == "ok"]
    run.once(
        {"features.npy": outputs.features, "features.json": outputs.manifest},
        [
            files.sha256(given.weights),
            pixels.digest(usable, given.manifests, catalog),
            list(catalog["image_id"]),
        ],
        lambda state: features.extract(
            state,
            backbone,
            catalog,
            lambda rows: pixels.gather(rows, catalog, given.manifests, seen.size),
            view,
            compute,
            run.progress,
        ),
        view=view,
    )
