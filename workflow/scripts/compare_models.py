"""Compare each model with the one it is based on, on the same photos."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.core import files
    from manihot.core.names import PARTS
    from manihot.core.tables import read_catalogs, read_photos
    from manihot.scores import comparisons

    given, pairs = snakemake.input, run.settings["pairs"]
    catalogs = read_catalogs(given.catalogs)
    resampling = {key: run.settings[key] for key in ("seed", "resamples")}
    splits = dict(zip(run.settings["splits"], map(files.read_json, given.records), strict=True))
    compared = []
    for part in PARTS[1:]:
        paths = dict(zip(run.settings["models"], getattr(given, part), strict=True))
        for done, pair in enumerate(pairs, start=1):
            sides = [[read_photos(paths[name]) for name in pair[key]] for key in ("models", "based_on_models")]
            result = comparisons.compare(*sides, catalogs, splits[pair["split"]]["classes"], **resampling)
            compared.append(({**{key: pair[key] for key in ("family", "model", "based_on")}, "part": part}, result))
            run.progress(done, len(pairs), part)
    table = comparisons.tabulate(compared, run.settings["equivalence_margin"])
    files.write_table(snakemake.output.comparisons, table)
