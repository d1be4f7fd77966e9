"""Give the checked files of an export their folder, with what tells a reader what they are."""

from manihot.core.job import job

with job(snakemake) as run:
    from pathlib import Path

    from manihot.core import files
    from manihot.export import card, layout, publish

    given, target = snakemake.input, snakemake.output
    folder = Path(target.about).parent
    made = {layout.ONNX: given.graph, layout.INT8: given.int8, layout.CHECKS: given.checks, layout.SPEED: given.speed}
    made |= {Path(path).name: path for path in given.reference}
    told = {name: files.read_json(getattr(given, name)) for name in ("about", "checks", "speed", "model")}
    told["scores"] = [files.read_json(path) for path in given.scores]
    tried = zip(run.settings["external"], given.external, strict=True)
    told["external"] = {name: files.read_json(path) for name, path in tried}
    record = publish.publish(folder, {name: Path(path) for name, path in made.items()}, told)
    files.write_text(target.card, card.text(record, told, run.settings["title"], Path(run.settings["model"])))
    # Last: who sees it sees a whole export.
    files.write_json(target.about, record)
