"""Run the lower part of a network that is cut over every photo of a data set in one view."""

from manihot.core.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot.core import files
    from manihot.core.gpus import Compute
    from manihot.core.tables import read_photos
    from manihot.features.activations import Cut, store
    from manihot.networks.build import Input
    from manihot.pixels import store as pixels

    given, outputs, view = snakemake.input, snakemake.output, snakemake.wildcards.view
    seen, compute = Input(**run.settings["input"]), Compute(**run.settings["compute"])
    cut = Cut(seen, Path(given.weights), run.settings["train_from"])
    catalog = read_photos(given.catalog)
    usable = catalog[catalog["status"] == "ok"]
    shown = [pixels.digest(usable, given.manifests, catalog), list(catalog["image_id"])]
    run.once(
        {"activations.npy": outputs.activations, "activations.json": outputs.manifest},
        [str(given.weights), files.sha256(given.weights), *shown],
        lambda state: store(
            state,
            cut,
            catalog,
            lambda rows: pixels.gather(rows, catalog, given.manifests, seen.size),
            view,
            compute,
            run.progress,
        ),
        view=view,
    )
