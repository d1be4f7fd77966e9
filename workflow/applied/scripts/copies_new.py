"""Find the new photos that are copies of photos of the study."""

from manihot.core.job import job

with job(snakemake) as run:
    import numpy as np

    from manihot.applied import copies
    from manihot.core import files

    given, asked = snakemake.input, run.settings
    photos = copies.read_shards(given.tables)
    prints = [np.load(path, mmap_mode="r") for path in given.fingerprints]
    found = copies.find(photos, prints, asked["root"], asked["study"], asked["max_pixels"], run.progress)
    files.write_table(snakemake.output.copies, found)
    run.cost |= {"photos": len(photos)}
