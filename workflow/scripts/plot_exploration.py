"""Plot a data set: photos of each class, sizes and modes."""

from manihot.job import job

with job(snakemake) as run:
    from manihot import figures, files
    from manihot.tables import read_photos

    catalog = read_photos(snakemake.input.catalog)
    dataset = snakemake.wildcards.dataset
    files.write_text(snakemake.output.classes, figures.class_bars(catalog, dataset))
    files.write_text(snakemake.output.sizes, figures.sizes(catalog, dataset))
