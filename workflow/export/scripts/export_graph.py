"""Write a model as one ONNX graph, and what it is."""

from manihot.core.job import job

with job(snakemake) as run:
    import numpy as np

    from manihot.applied.load import load_model
    from manihot.core import files
    from manihot.export import about, graph

    model = load_model(run.settings["model"], device="cpu", precision="float32")
    whole = graph.Graph(model)
    files.write_bytes(snakemake.output.graph, graph.to_onnx(whole))
    for path in snakemake.output.reference:
        with files.atomic(path) as temporary, temporary.open("wb") as handle:
            np.save(handle, model.reference[0].rows)
    files.write_json(snakemake.output.about, about.describe(model, whole.outputs))
