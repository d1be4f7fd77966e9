"""Measure what this machine does a second, so that the time left can be told; no result depends on it."""

from manihot.core.job import job

with job(snakemake) as run:
    import json
    import logging
    import subprocess
    import sys
    from pathlib import Path

    from manihot.core import files

    settings = files.plain(run.settings)
    tables = zip(settings["roots"], snakemake.input.labels, strict=True)
    photos = [str(Path(root) / row["image_id"]) for root, table in tables for row in files.read_rows(table)]
    some = [path for path in photos[:: max(1, len(photos) // 64)] if Path(path).is_file()]
    seconds = min(settings["most_seconds"], settings["seconds_a_photo"] * len(photos))
    # In a process of its own: what it fails at ends no run, and an edit of what it times is no reason to time again.
    done = subprocess.run(
        [sys.executable, "-m", "manihot.study.speeds", "--seconds", str(seconds)],
        input=json.dumps({**settings["asked"], "photos": some}),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        logging.getLogger("manihot").warning("the speeds are not known: what measures them failed")
    files.write_json(snakemake.output.speeds, json.loads(done.stdout) if not done.returncode else {})
