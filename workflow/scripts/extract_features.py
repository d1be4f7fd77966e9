"""Run a frozen backbone over every photo of a data set in one view."""

from manihot.logs import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot import features, files, parts, pixels

    given, view = snakemake.input, snakemake.wildcards.view
    catalog = parts.read_photos(given.catalog)
    usable = catalog[catalog["status"] == "ok"]
    read = [files.sha256(given.weights), pixels.digest(usable, given.manifests, catalog), *catalog["image_id"]]
    with run.state(files.content_key(read), view=view) as state:
        finished = state.finished()
        if not finished:
            run.cost |= features.extract(
                state,
                Path(given.weights),
                catalog,
                lambda rows: pixels.gather(rows, catalog, given.manifests, run.settings["size"]),
                view,
                **run.settings,
                progress=run.progress,
            )
            state.finish("features.npy", "features.json", cost=run.cost)
        outputs = {"features.npy": snakemake.output.features, "features.json": snakemake.output.manifest}
        cost = state.emit(outputs)
        if finished:
            run.reuse(cost)
