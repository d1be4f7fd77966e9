rule predict_new:
    """Answer the photos of a shard."""
    input:
        settings=written("settings/predict_new/all.json"),
        listing=written("listing/{shard}.csv"),
        # What its answers depend on is in the settings, by content.
        model=ancient(MODEL_FILES),
    output:
        answers="shards/{shard}.csv",
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


rule join_new:
    """Join the answers, and say which photos a person should look at first."""
    input:
        settings=written("settings/join_new/all.json"),
        others=written("listing/others.json"),
        answers=expand("shards/{shard}.csv", shard=range(REQUEST.shards)),
        model=ancient(MODEL_FILES[0]),
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
