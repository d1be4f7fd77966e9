"""Plot all models side by side, and the paired comparisons."""

from manihot.core.job import job

with job(snakemake) as run:
    import pandas as pd

    from manihot.core import files
    from manihot.figures import plots

    summary = pd.read_csv(snakemake.input.summary, dtype={"model": str})
    comparisons = pd.read_csv(snakemake.input.comparisons, dtype={"model": str, "based_on": str})
    files.write_text(snakemake.output.models, plots.models(summary))
    files.write_text(snakemake.output.comparisons, plots.comparisons(comparisons))
