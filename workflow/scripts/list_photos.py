"""Make the photos of a data set that the program draws, unpacks or downloads, and list them."""

from manihot.logs import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot import photos

    target, images = Path(snakemake.output.labels).parent, Path(snakemake.output.images)
    settings = dict(run.settings)
    source, shards = settings.pop("source"), settings.pop("shards")
    if source == "demo":
        from manihot.demo import draw_demo

        labels = draw_demo(images, **settings, threads=snakemake.threads, progress=run.progress)
    elif source == "archive":
        from manihot.archives import unpack_archives

        sources = settings.pop("files")
        downloads = Path("results/state/downloads")
        labels = unpack_archives(images, downloads, sources, **settings, progress=run.progress)
    else:
        from manihot.kaggle import fetch_competition

        labels = fetch_competition(images, **settings)
    photos.stamp(images)
    photos.write_listing(target, labels, images, shards)
    run.cost["photos"] = len(labels)
