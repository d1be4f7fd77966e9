"""Write an exported graph with weights of 8 bits, calibrated on photos of the pool."""

from manihot.core.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot.core import files
    from manihot.core.errors import StudyError
    from manihot.export import photos, quantise

    given, target = snakemake.input, snakemake.output
    shown = photos.pool(given.split, run.settings, files.read_json(given.about)["input"])
    with files.atomic(target.graph) as temporary:
        try:
            made = quantise.quantise(Path(given.graph), temporary, shown, run.progress)
        except StudyError as error:
            temporary.write_bytes(b"")
            made = {"reason": str(error)}
    files.write_json(target.made, made)
    run.cost |= {"photos": len(shown)}
