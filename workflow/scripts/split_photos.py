"""Give each photo its role, and each photo of the pool its fold."""

from manihot.job import job

with job(snakemake) as run:
    from manihot import files, parts, splits

    catalogs = parts.read_catalogs(snakemake.input.catalogs)
    like = run.settings.pop("like")
    parent = parts.read_photos(snakemake.input.parent[0]) if like else None
    table, facts = splits.split_photos(catalogs[catalogs["status"] == "ok"], parent=parent, **run.settings)
    files.write_table(snakemake.output.table, table)
    files.write_json(snakemake.output.facts, facts)
    run.cost |= {"photos": len(table)}
