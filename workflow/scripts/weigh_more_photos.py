"""Say what more photos may give, by the scores of a head on fewer."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.tables import read_catalogs, read_photos
    from manihot.scores.more_photos import weigh

    given = snakemake.input
    settings = {key: value for key, value in run.settings.items() if key != "head"}
    weighed = weigh(
        {kind: read_photos(given[kind]) for kind in ("raw", "calibrated")},
        read_catalogs(given.catalogs),
        files.read_json(given.record)["classes"],
        **settings,
    )
    files.write_json(snakemake.output.curve, {"head": run.settings["head"], **weighed})
    run.cost |= {"photos": weighed["n"]}
