rule split_photos:
    input:
        settings=settings_of("split_photos", "{split}"),
        catalogs=lambda wildcards: PATHS.catalogs(wildcards.split),
        parent=lambda wildcards: [
            f"results/splits/{parent}.csv" for parent in [PLAN.study.splits[wildcards.split].like] if parent
        ],
    output:
        table="results/splits/{split}.csv",
        facts="results/splits/{split}.json",
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


rule draw_photos:
    input:
        settings=settings_of("draw_photos", "{draw}"),
        split="results/splits/{split}.csv",
    output:
        table="results/splits/{split}/{draw}.csv",
        cost="results/costs/draw_photos/{split}/{draw}.csv",
    log:
        "results/logs/draw_photos/{split}/{draw}.log",
    wildcard_constraints:
        draw="|".join([*PLAN.study.experiments, *PLAN.study.backbones]),
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/draw_photos.py"
