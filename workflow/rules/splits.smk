rule split_photos:
    """Draw the tests, and deal the other photos out into folds."""
    input:
        settings=settings_of("split_photos", "{split}"),
        catalogs=lambda wildcards: PATHS.catalogs(wildcards.split),
        copies=lambda wildcards: PATHS.copies(wildcards.split),
        parent=lambda wildcards: [
            f"results/splits/{parent}.csv" for parent in [PLAN.study.splits[wildcards.split].like] if parent
        ],
    output:
        table="results/splits/{split}.csv",
        record="results/splits/{split}.json",
        cost="results/costs/split_photos/{split}.csv",
    log:
        "results/logs/split_photos/{split}.log",
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/split_photos.py"


rule sample_photos:
    """Draw the photos that an experiment or a backbone is fitted on."""
    input:
        settings=settings_of("sample_photos", "{sample}"),
        split="results/splits/{split}.csv",
    output:
        table="results/splits/{split}/{sample}.csv",
        cost="results/costs/sample_photos/{split}/{sample}.csv",
    log:
        "results/logs/sample_photos/{split}/{sample}.log",
    wildcard_constraints:
        sample="|".join([*PLAN.study.experiments, *PLAN.study.backbones]),
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/sample_photos.py"
