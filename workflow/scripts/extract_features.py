"""Run a frozen backbone over every photo of a data set in one view."""

from manihot.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot import features, files, parts, pixels

    given, view, size = snakemake.input, snakemake.wildcards.view, run.settings["size"]
    catalog = parts.read_photos(given.catalog)
    usable = catalog[catalog["status"] == "ok"]
    data = [
        files.sha256(given.weights),
        pixels.digest(usable, given.manifests, catalog),
        list(catalog["image_id"]),
    ]
    run.once(
        {"features.npy": snakemake.output.features, "features.json": snakemake.output.manifest},
        data,
        lambda state: features.extract(
            state,
            Path(given.weights),
            catalog,
            lambda rows: pixels.gather(rows, catalog, given.manifests, size),
            view,
            **run.settings,
            progress=run.progress,
        ),
        view=view,
    )
