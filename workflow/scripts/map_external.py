"""Give the photos of an external data set the classes of the study, and leave out copies of the study's own."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.tables import read_pairs, read_photos
    from manihot.splits.external import external_photos

    given, asked = snakemake.input, run.settings
    photos, record = external_photos(
        read_photos(given.catalog),
        asked["classes"],
        [files.read_json(path)["classes"] for path in given.records],
        dict(zip(asked["copies_of"], map(read_pairs, given.copies), strict=True)),
        f"external.{snakemake.wildcards.external}.classes",
    )
    files.write_table(snakemake.output.photos, photos)
    files.write_json(snakemake.output.record, record)
    run.cost |= {"photos": len(photos)}
