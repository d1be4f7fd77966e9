"""Join a data set's labels with the properties of its photos, and group its duplicates."""

from manihot.core.job import job

with job(snakemake) as run:
    from pathlib import Path

    import numpy as np

    from manihot.catalog.table import build_catalog, read_properties
    from manihot.core import files
    from manihot.core.tables import read_photos

    settings, labels = dict(run.settings), read_photos(snakemake.input.labels)
    root = Path(settings.pop("root"))
    if settings.pop("site_from_exif"):
        from manihot.catalog.places import places

        labels["site"] = places(root, labels["image_id"].tolist(), run.progress)
    table, pairs = build_catalog(
        labels,
        [read_properties(path) for path in snakemake.input.tables],
        [np.load(path) for path in snakemake.input.thumbnails],
        snakemake.wildcards.dataset,
        **settings,
    )
    files.write_table(snakemake.output.table, table)
    files.write_table(snakemake.output.pairs, pairs)
    run.cost |= {"photos": len(table)}
