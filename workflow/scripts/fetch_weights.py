"""Fetch, check and keep the weights of a network."""

from manihot.core.job import job

with job(snakemake) as run:
    from manihot.networks import weights

    weights.fetch(target=snakemake.output.weights, **run.settings)
