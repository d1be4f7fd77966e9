"""Score a head on photos without their middle beside the same head on whole photos."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.tables import read_catalogs, read_photos
    from manihot.scores.probes import weigh_masked

    given = snakemake.input
    settings = {key: value for key, value in run.settings.items() if key != "head"}
    weighed = weigh_masked(
        read_photos(given.masked),
        read_photos(given.whole),
        read_catalogs(given.catalogs),
        files.read_json(given.record)["classes"],
        **settings,
    )
    files.write_json(snakemake.output.scores, {"head": run.settings["head"], **weighed})
    run.cost |= {"photos": weighed["n"]}
