"""Plot a data set: photos of each class, sizes and modes."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.tables import read_photos
    from manihot.figures import plots

    catalog = read_photos(snakemake.input.catalog)
    dataset = snakemake.wildcards.dataset
    files.write_text(snakemake.output.classes, plots.class_bars(catalog, dataset))
    files.write_text(snakemake.output.sizes, plots.sizes(catalog, dataset))
