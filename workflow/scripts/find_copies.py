"""Find the photos of a data set that are copies of photos of another, which a split mixes with it."""

from manihot.core.job import job

with job(snakemake) as run:
    import numpy as np

    from manihot.catalog.table import copies_between, photos_of
    from manihot.core import files
    from manihot.core.tables import read_photos

    tables, photos = [], []
    for side in ("one", "other"):
        catalog = read_photos(snakemake.input[side])
        tables.append(catalog[catalog["status"] == "ok"])
        prints = [np.load(path, mmap_mode="r") for path in snakemake.input[f"{side}_fingerprints"]]
        photos.append(photos_of(tables[-1], prints, run.settings["roots"][side], run.settings["max_pixels"]))
    pairs = copies_between(*tables, tuple(photos), run.progress)
    files.write_table(snakemake.output.pairs, pairs)
    run.cost |= {"photos": sum(map(len, tables))}
