"""Run a frozen backbone over every photo of a data set in one view."""

from manihot.core.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot.core import files
    from manihot.core.gpus import Compute
    from manihot.core.tables import read_photos
    from manihot.features.extract import Backbone, extract
    from manihot.networks.build import Input
    from manihot.pixels import store

    given, outputs, view = snakemake.input, snakemake.output, snakemake.wildcards.view
    seen, compute = Input(**run.settings["input"]), Compute(**run.settings["compute"])
    backbone = Backbone(seen, Path(given.weights), run.settings["batch_size"], *map(Path, given.record))
    catalog = read_photos(given.catalog)
    usable = catalog[catalog["status"] == "ok"]
    run.once(
        {"features.npy": outputs.features, "features.json": outputs.manifest},
        [
            str(given.weights),
            files.sha256(given.weights),
            store.digest(usable, given.manifests, catalog),
            list(catalog["image_id"]),
        ],
        lambda state: extract(
            state,
            backbone,
            catalog,
            lambda rows: store.gather(rows, catalog, given.manifests, seen.size),
            view,
            compute,
            run.progress,
        ),
        view=view,
    )
