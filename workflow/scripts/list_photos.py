"""Make the photos of a data set that the program renders, unpacks or downloads, and list them."""

from manihot.core.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot.photos.labels import stamp, write_listing

    target, images = Path(snakemake.output.labels).parent, Path(snakemake.output.images)
    source = run.settings["source"]
    settings = {key: value for key, value in run.settings.items() if key not in {"source", "files", "shards"}}
    if source == "demo":
        from manihot.photos.demo import Demo, render_demo

        labels = render_demo(images, Demo(**settings), snakemake.threads, run.progress)
    elif source == "archive":
        from manihot.photos.archives import Contents, unpack_archives

        downloads = Path("results/state/downloads")
        columns = {key: settings.pop(key) for key in ("image_column", "label_column", "prefix", "facts")}
        contents = Contents(**settings, columns=columns)
        labels = unpack_archives(images, downloads, run.settings["files"], contents, run.progress)
    else:
        from manihot.photos.kaggle import fetch_competition

        labels = fetch_competition(images, **settings)
    stamp(images)
    write_listing(target, labels, images, run.settings["shards"])
    run.cost["photos"] = len(labels)
