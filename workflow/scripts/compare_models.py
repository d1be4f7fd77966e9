"""Compare each model with the one it is based on, on the same photos."""

from manihot.logs import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot import comparisons, files
    from manihot.names import PARTS
    from manihot.tables import read_catalogs, read_photos

    catalogs = parts.read_catalogs(snakemake.input.catalogs)
    classes = {Path(path).stem: files.read_json(path)["classes"] for path in snakemake.input.records}
    pairs = run.settings.pop("pairs")
    compared = []
    for part in PARTS[1:]:
        paths = {Path(path).parent.name: path for path in getattr(snakemake.input, part)}
        for done, pair in enumerate(pairs, start=1):
            sides = [[read_photos(paths[name]) for name in pair[key]] for key in ("models", "based_on_models")]
            result = comparisons.compare(*sides, catalogs, classes[pair["split"]], **run.settings)
            compared.append(({**{key: pair[key] for key in ("family", "model", "based_on")}, "part": part}, result))
            run.progress(done, len(pairs), part)
    files.write_table(snakemake.output.comparisons, comparisons.tabulate(compared))
