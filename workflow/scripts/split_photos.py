"""Give each photo its role, and each photo of the pool its fold."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.tables import read_catalogs, read_photos
    from manihot.splits import as_published, folding, roles

    given, settings = snakemake.input, run.settings
    strategies = {"corrected": roles.Corrected, "published": as_published.AsPublished}
    strategy = strategies[settings["protocol"]](
        roles.Counts(*(settings[key] for key in ("test", "test_as_found", "per_class", "keep_for_training"))),
        folding.Folding(*(settings[key] for key in ("folds", "fold_kind", "group_duplicates", "seed"))),
    )
    catalogs = read_catalogs(given.catalogs)
    parent = read_photos(given.parent[0]) if given.parent else None
    table, record = roles.split_photos(
        catalogs[catalogs["status"] == "ok"], settings["dataset"], strategy, settings["new_class"], parent
    )
    files.write_table(snakemake.output.table, table)
    files.write_json(snakemake.output.record, record)
    run.cost |= {"photos": len(table)}
