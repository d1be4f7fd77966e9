"""Write a contact sheet of training photos as an experiment's network sees them."""

from manihot.core.job import job

with job(snakemake) as run:
    from functools import partial

    from manihot.core.tables import read_catalogs
    from manihot.networks.augment import derive
    from manihot.pixels import store
    from manihot.splits.folds import Fold
    from manihot.training import contact_sheet

    given, asked = snakemake.input, run.settings
    fold = Fold.read(asked["fold"], given.sample, given.record)
    gather = partial(
        store.gather, catalogs=read_catalogs(given.catalogs), manifests=given.manifests, size=asked["cache_size"]
    )
    seed = derive(asked["seed"], asked["repeat"], fold.number)
    cells = contact_sheet.draws(fold, gather, asked["augment"], asked["batch_size"], seed, asked["size"])
    contact_sheet.write(snakemake.output.sheet, cells)
