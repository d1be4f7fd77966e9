"""Join a data set's labels with the properties of its photos, and group its duplicates."""

from manihot.core.job import job

with job(snakemake) as run:
    from pathlib import Path

    import numpy as np

    from manihot.catalog.table import build_catalog, read_properties
    from manihot.core import files
    from manihot.core.tables import read_photos

    settings, labels = dict(run.settings), read_photos(snakemake.input.labels)
    if settings.pop("site_from_exif"):
        from manihot.catalog.places import places

        labels["site"] = places(Path(settings["root"]), labels["image_id"].tolist(), run.progress)
    table, pairs, summary = build_catalog(
        labels,
        [read_properties(path) for path in snakemake.input.tables],
        [np.load(path, mmap_mode="r") for path in snakemake.input.fingerprints],
        snakemake.wildcards.dataset,
        **settings,
        progress=run.progress,
    )
    files.write_table(snakemake.output.table, table)
    files.write_table(snakemake.output.pairs, pairs)
    files.write_json(snakemake.output.summary, summary)
    run.cost |= {"photos": len(table)}
