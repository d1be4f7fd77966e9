"""Fit gradient-boosted trees on the stored features of a frozen backbone."""

from manihot.job import job

with job(snakemake) as run:
    from manihot import boosting, feature_table, files, parts

    given, outputs, fold = snakemake.input, snakemake.output, int(snakemake.wildcards.fold)
    draw, labels = parts.read_photos(given.draw), parts.class_labels(given.facts)
    run.once(
        {"booster.ubj": outputs.booster, "history.csv": outputs.history, "model.json": outputs.model},
        [feature_table.digest(given.features), files.sha256(given.draw), labels],
        lambda state: boosting.fit(state, given.features, draw, labels, fold, **run.settings, progress=run.progress),
        fold=fold,
    )
