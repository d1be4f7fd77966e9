"""Fit gradient-boosted trees on the stored features of a frozen backbone."""

from manihot.logs import job

with job(snakemake) as run:
    from manihot import boosting, feature_table, files, parts
    from manihot.tables import read_photos

    given, outputs, fold = snakemake.input, snakemake.output, int(snakemake.wildcards.fold)
    draw, labels = parts.read_photos(given.sample), parts.class_labels(given.record)
    run.once(
        {"booster.ubj": outputs.booster, "history.csv": outputs.history, "model.json": outputs.model},
        [feature_table.digest(given.features), files.sha256(given.sample), labels],
        lambda state: boosting.fit(state, given.features, draw, labels, fold, **run.settings, progress=run.progress),
        fold=fold,
    )
