"""Plot the learning curves of an experiment's folds."""

from manihot.core.job import job

with job(snakemake) as run:
    import pandas as pd

    from manihot.core import files
    from manihot.figures import plots

    folds = zip(run.settings["folds"], snakemake.input.histories, strict=True)
    histories = {fold: pd.read_csv(path) for fold, path in folds}
    chart = plots.curves(histories, snakemake.wildcards.experiment)
    files.write_text(snakemake.output.curves, chart)
