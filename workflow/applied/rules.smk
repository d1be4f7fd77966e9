rule predict_new:
    """Ask the members of the model what they say of the photos of a shard."""
    input:
        settings=written("settings/predict_new/all.json"),
        listing=written("listing/{shard}.csv"),
        # What its answers depend on is in the settings, by content.
        model=ancient(MODEL_FILES),
    output:
        told="shards/{shard}.csv",
        own="shards/{shard}.npy",
        cost="costs/predict_new/{shard}.csv",
    log:
        "logs/predict_new/{shard}.log",
    conda:
        "../../envs/applied.yaml"
    threads: 4
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
        gpu=GPUS,
    script:
        "scripts/predict_new.py"


rule catalog_shard:
    """Look at every photo of a shard: what a copy of it is known by."""
    input:
        settings=written("settings/catalog_shard/all.json"),
        listing=written("listing/{shard}.csv"),
    output:
        table="catalog/{shard}.csv",
        fingerprints="catalog/{shard}.npy",
        cost="costs/catalog_shard/{shard}.csv",
    log:
        "logs/catalog_shard/{shard}.log",
    conda:
        "../../envs/catalog.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=120,
    script:
        "../scripts/catalog_shard.py"


rule copies_new:
    """Find the new photos that are copies of photos of the study."""
    input:
        settings=written("settings/copies_new/all.json"),
        tables=expand("catalog/{shard}.csv", shard=range(REQUEST.shards)),
        fingerprints=expand("catalog/{shard}.npy", shard=range(REQUEST.shards)),
        # What it depends on of the study is in the settings, by content.
        study=ancient([entry["catalog"] for entry in STUDY.values()]),
    output:
        copies="copies.csv",
        cost="costs/copies_new/all.csv",
    log:
        "logs/copies_new/all.log",
    conda:
        "../../envs/catalog.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    script:
        "scripts/copies_new.py"


rule join_new:
    """Make answers, and say which photos a person should look at first."""
    input:
        settings=written("settings/join_new/all.json"),
        others=written("listing/others.json"),
        told=expand("shards/{shard}.csv", shard=range(REQUEST.shards)),
        own=expand("shards/{shard}.npy", shard=range(REQUEST.shards)),
        model=ancient(MODEL_FILES[0]),
        copies=["copies.csv"] if STUDY else [],
    output:
        predictions="predictions.csv",
        problems="problems.csv",
        record="record.json",
        groups=["groups.csv"] if REQUEST.group_pattern is not None else [],
        cost="costs/join_new/all.csv",
    log:
        "logs/join_new/all.log",
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    script:
        "scripts/join_new.py"


rule show_new:
    """Write the page of the answers."""
    input:
        settings=written("settings/show_new/all.json"),
        predictions="predictions.csv",
        problems="problems.csv",
        record="record.json",
        groups=["groups.csv"] if REQUEST.group_pattern is not None else [],
    output:
        page="predictions.html",
        cost="costs/show_new/all.csv",
    log:
        "logs/show_new/all.log",
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    script:
        "scripts/show_new.py"


rule evaluate_new:
    """Hold the answers against labels, beside the model's own test."""
    input:
        settings=written("settings/evaluate_new/all.json"),
        labels=written("listing/labels.csv"),
        told=expand("shards/{shard}.csv", shard=range(REQUEST.shards)),
        own=expand("shards/{shard}.npy", shard=range(REQUEST.shards)),
        model=ancient(MODEL_FILES[0]),
        copies=["copies.csv"] if STUDY else [],
    output:
        evaluation="evaluation.json",
        cost="costs/evaluate_new/all.csv",
    log:
        "logs/evaluate_new/all.log",
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    script:
        "scripts/evaluate_new.py"


rule show_evaluation:
    """Write the page of the evaluation."""
    input:
        settings=written("settings/show_evaluation/all.json"),
        evaluation="evaluation.json",
    output:
        page="evaluation.html",
        cost="costs/show_evaluation/all.csv",
    log:
        "logs/show_evaluation/all.log",
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    script:
        "scripts/show_evaluation.py"
