rule export_graph:
    """Write the model as one ONNX graph, and what it is."""
    input:
        settings=written("settings/export_graph/all.json"),
        # What it depends on is in the settings, by content.
        model=ancient([str(path) for path in MODEL_FILES.values()]),
    output:
        graph="graph/model.onnx",
        about="graph/about.json",
        reference=[f"graph/{name}" for name in REFERENCE],
        cost="costs/export_graph/all.csv",
    log:
        "logs/export_graph/all.log",
    conda:
        "../../envs/export.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=60,
    script:
        "scripts/export_graph.py"


rule quantise_graph:
    """Write the graph with weights of 8 bits, calibrated on photos of the pool."""
    input:
        settings=written("settings/quantise_graph/all.json"),
        graph="graph/model.onnx",
        about="graph/about.json",
        split=ancient(STUDY["split"]),
    output:
        # Empty where it cannot be made; the record says why.
        graph="int8/model-int8.onnx",
        made="int8/made.json",
        cost="costs/quantise_graph/all.csv",
    log:
        "logs/quantise_graph/all.log",
    conda:
        "../../envs/export.yaml"
    threads: 2
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=120,
    script:
        "scripts/quantise_graph.py"


rule check_export:
    """Hold what the export answers to all test photos against the study's own code."""
    input:
        settings=written("settings/check_export/all.json"),
        graph="graph/model.onnx",
        about="graph/about.json",
        reference=[f"graph/{name}" for name in REFERENCE],
        int8="int8/model-int8.onnx",
        made="int8/made.json",
        model=ancient([str(path) for path in MODEL_FILES.values()]),
        split=ancient(STUDY["split"]),
        catalogs=ancient(STUDY["catalogs"]),
    output:
        checks="checked/checks.json",
        speed="checked/speed.json",
        cost="costs/check_export/all.csv",
    log:
        "logs/check_export/all.log",
    conda:
        "../../envs/export.yaml"
    threads: 4
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    script:
        "scripts/check_export.py"


rule write_export:
    """Give the checked files their folder, with what tells a reader what they are."""
    input:
        settings=written("settings/write_export/all.json"),
        graph="graph/model.onnx",
        about="graph/about.json",
        reference=[f"graph/{name}" for name in REFERENCE],
        int8="int8/model-int8.onnx",
        checks="checked/checks.json",
        speed="checked/speed.json",
        model=ancient(str(MODEL_FILES["record"])),
        scores=ancient(list(STUDY["scores"].values())),
        external=ancient(list(STUDY["external"].values())),
    output:
        graph=exported(layout.ONNX),
        reference=[exported(name) for name in REFERENCE],
        predict=exported(layout.PREDICT),
        checks=exported(layout.CHECKS),
        speed=exported(layout.SPEED),
        card=exported(layout.CARD),
        about=exported(layout.ABOUT),
        cost="costs/write_export/all.csv",
    log:
        "logs/write_export/all.log",
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    script:
        "scripts/write_export.py"
