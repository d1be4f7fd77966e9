rule map_external:
    """Give the photos of an external data set the study's classes, and leave out copies."""
    input:
        settings=settings_of("map_external", "{external}"),
        catalog=lambda wildcards: f"results/catalog/{PLAN.study.external[wildcards.external].dataset}.csv",
        copies=lambda wildcards: PATHS.external_copies(wildcards.external),
        records=lambda wildcards: [f"results/splits/{split}.json" for split in PLAN.splits_beside(wildcards.external)],
    output:
        photos=external_of("{external}", "photos.csv"),
        record=external_of("{external}", "photos.json"),
        cost="results/costs/map_external/{external}.csv",
    log:
        "results/logs/map_external/{external}.log",
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/map_external.py"


rule predict_external:
    """Predict the photos of an external data set with a fold of a model."""
    input:
        unpack(external_shown),
        settings=settings_of("predict_external", "{model}@{external}"),
        photos=external_of("{external}", "photos.csv"),
        catalog=lambda wildcards: f"results/catalog/{PLAN.study.external[wildcards.external].dataset}.csv",
        weights=lambda wildcards: PATHS.fitted(wildcards.model, wildcards.fold).weights,
        model=lambda wildcards: PATHS.fitted(wildcards.model, wildcards.fold).model,
    output:
        table=external_of("{external}", "{model}/fold{fold}.csv"),
        cost="results/costs/predict_external/{external}/{model}/fold{fold}.csv",
    log:
        "results/logs/predict_external/{external}/{model}/fold{fold}.log",
    conda:
        "../../envs/applied.yaml"
    threads: PLAN.study.threads
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
        # What reads stored features runs no network.
        gpu=lambda wildcards: GPUS if PLAN.models[wildcards.model].experiment else 0,
    script:
        "../scripts/predict_external.py"


rule score_external:
    """Score a model on the photos of an external data set, beside its own test."""
    input:
        unpack(external_unlike),
        settings=settings_of("score_external", "{model}@{external}"),
        photos=external_of("{external}", "photos.csv"),
        folds=lambda wildcards: PATHS.external_fold_tables(wildcards.external, wildcards.model),
        test=fold_tables("test"),
        test_as_found=fold_tables("test_as_found"),
        model=record_of("{model}"),
        members=lambda wildcards: PATHS.members(wildcards.model),
        sets=sets_of("{model}"),
        catalogs=lambda wildcards: [
            *PATHS.catalogs(PLAN.models[wildcards.model].split),
            f"results/catalog/{PLAN.study.external[wildcards.external].dataset}.csv",
        ],
    output:
        calibrated=external_of("{external}", "{model}/calibrated.csv"),
        estimated=external_of("{external}", "{model}/estimated.csv"),
        scores=external_of("{external}", "{model}/scores.json"),
        cost="results/costs/score_external/{external}/{model}.csv",
    log:
        "results/logs/score_external/{external}/{model}.log",
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/score_external.py"
