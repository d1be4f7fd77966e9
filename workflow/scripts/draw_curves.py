"""Draw the learning curves of an experiment's folds."""

from manihot.logs import job

with job(snakemake) as run:
    from pathlib import Path

    import pandas as pd

    from manihot import figures, files

    histories = {
        int(Path(path).parent.name.removeprefix("fold")): pd.read_csv(path) for path in snakemake.input.histories
    }
    drawn = figures.curves(histories, snakemake.wildcards.experiment)
    files.write_text(snakemake.output.curves, drawn)
