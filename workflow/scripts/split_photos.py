"""Give each photo its role, and each photo of the pool its fold."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.tables import read_catalogs, read_pairs, read_photos
    from manihot.splits import as_given, as_published, folding, roles
    from manihot.splits.demands import check_facts

    given, settings = snakemake.input, run.settings
    kind = "given" if settings["given_fold"] or settings["folds"] == 1 else settings["fold_kind"]
    folds = folding.Folding(settings["folds"], kind, settings["group_duplicates"], settings["seed"])
    if settings["given_role"]:
        strategy = as_given.AsGiven(folds)
    else:
        protocols = {"corrected": roles.Corrected, "published": as_published.AsPublished}
        counts = (settings[key] for key in ("test", "test_as_found", "per_class", "keep_for_training"))
        strategy = protocols[settings["protocol"]](roles.Counts(*counts), folds)
    catalogs = read_catalogs(given.catalogs)
    usable = catalogs[catalogs["status"] == "ok"]
    own = usable[usable["dataset"] == settings["dataset"]]
    check_facts(own.itertuples(), settings, f"splits.{snakemake.wildcards.split}")
    table, record = roles.split_photos(
        usable,
        settings["dataset"],
        strategy,
        new_class=settings["new_class"],
        parent=read_photos(given.parent[0]) if given.parent else None,
        copies=read_pairs(given.copies[0]) if given.copies else None,
        on_leak=settings["on_leak"] if settings["given_role"] or settings["given_fold"] else None,
    )
    files.write_table(snakemake.output.table, table)
    files.write_json(snakemake.output.record, record)
    run.cost |= {"photos": len(table)}
