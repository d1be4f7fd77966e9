"""Predict every part of a split with the network of one fold."""

from manihot.logs import job

with job(snakemake) as run:
    from pathlib import Path

    import pandas as pd

    from manihot import files, parts, pixels, predictions

    given, fold = snakemake.input, int(snakemake.wildcards.fold)
    draw, split = parts.read_photos(given.draw), parts.read_photos(given.split)
    labels = [entry["label"] for entry in files.read_json(given.facts)["classes"]]
    catalogs = pd.concat(map(parts.read_photos, given.catalogs), ignore_index=True)
    sha256 = files.read_json(given.model)["sha256"]
    data = [labels, sha256, files.sha256(given.draw), files.sha256(given.split)]
    data.append(pixels.digest(split, given.manifests, catalogs))
    with run.state(files.content_key(data), fold=fold) as state:
        finished = state.finished()
        if not finished:
            run.cost |= predictions.predict_fold(
                state, Path(given.weights), sha256, fold, labels, draw, split,
                lambda rows: pixels.gather(rows, catalogs, given.manifests, run.settings["size"]),
                **run.settings,
            )  # fmt: skip
            state.finish(*(f"{part}.csv" for part in parts.PARTS), cost=run.cost)
        cost = state.emit({f"{part}.csv": getattr(snakemake.output, part) for part in parts.PARTS})
        if finished:
            run.reuse(cost)
