"""Fetch, check and keep the weights of a network."""

from manihot.job import job

with job(snakemake) as run:
    from manihot import weights

    weights.fetch(target=snakemake.output.weights, **run.settings)
