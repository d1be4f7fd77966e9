"""Choose one model of a split, by what the models predict out of fold."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.names import PARTS
    from manihot.core.tables import read_catalogs, read_photos
    from manihot.scores.choice import choose

    given, names = snakemake.input, [model["name"] for model in run.settings["models"]]
    records = [(name, part) for name in names for part in PARTS[1:]]
    tables = dict(zip(names, given.predictions, strict=True))
    choice = choose(
        scores={record: files.read_json(path) for record, path in zip(records, given.scores, strict=True)},
        read=lambda name: read_photos(tables[name]),
        catalogs=read_catalogs(given.catalogs),
        classes=files.read_json(given.record)["classes"],
        **run.settings,
    )
    files.write_json(snakemake.output.choice, choice)
