rule predict_fold:
    """Predict every part of a split with a fold's network."""
    input:
        unpack(lambda wildcards: shown_of(wildcards.model, PLAN.stored_views(wildcards.model))),
        unpack(lambda wildcards: PATHS.sampled(wildcards.model)),
        settings=settings_of("predict_fold", "{model}"),
        weights=lambda wildcards: PATHS.fitted(wildcards.model, wildcards.fold).weights,
        model=lambda wildcards: PATHS.fitted(wildcards.model, wildcards.fold).model,
    output:
        **each_part("results/predictions/{model}/fold{fold}/{part}.csv"),
        cost="results/costs/predict_fold/{model}/fold{fold}.csv",
    log:
        "results/logs/predict_fold/{model}/fold{fold}.log",
    wildcard_constraints:
        model="|".join(PLAN.of_kind("network", "tta")) or "none",
    conda:
        "../../envs/torch.yaml"
    threads: PLAN.study.threads
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
        gpu=GPUS,
    script:
        "../scripts/predict_fold.py"


rule predict_head:
    """Predict every part of a split with a fold's head."""
    input:
        unpack(lambda wildcards: features_of(wildcards.model, ["identity"])),
        unpack(lambda wildcards: PATHS.sampled(wildcards.model)),
        settings=settings_of("predict_head", "{model}"),
        fitted=fitted_files("head", "{model}").weights,
        model=fitted_files("head", "{model}").model,
    output:
        **each_part("results/predictions/{model}/fold{fold}/{part}.csv"),
        cost="results/costs/predict_head/{model}/fold{fold}.csv",
    log:
        "results/logs/predict_head/{model}/fold{fold}.log",
    wildcard_constraints:
        model="|".join(PLAN.of_kind("head")) or "none",
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=30,
    script:
        "../scripts/predict_head.py"


rule predict_booster:
    """Predict every part of a split with a fold's trees."""
    input:
        unpack(lambda wildcards: features_of(wildcards.model, ["identity"])),
        unpack(lambda wildcards: PATHS.sampled(wildcards.model)),
        settings=settings_of("predict_booster", "{model}"),
        fitted=fitted_files("boosting", "{model}").weights,
        model=fitted_files("boosting", "{model}").model,
    output:
        **each_part("results/predictions/{model}/fold{fold}/{part}.csv"),
        cost="results/costs/predict_booster/{model}/fold{fold}.csv",
    log:
        "results/logs/predict_booster/{model}/fold{fold}.log",
    wildcard_constraints:
        model="|".join(PLAN.of_kind("boosting")) or "none",
    conda:
        "../../envs/boosting.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=30,
    script:
        "../scripts/predict_booster.py"


rule ensemble_folds:
    """Average a model's folds, also for other class shares, and calibrate its sets."""
    input:
        **{part: fold_tables(part) for part in PARTS},
        members=lambda wildcards: PATHS.members(wildcards.model),
        sets=lambda wildcards: PATHS.sets_of_folds(wildcards.model),
        whole=lambda wildcards: PATHS.record_of_folds(wildcards.model),
        record=lambda wildcards: PATHS.sampled(wildcards.model)["record"],
        catalogs=lambda wildcards: PATHS.catalogs(PLAN.models[wildcards.model].split),
        settings=settings_of("ensemble_folds", "{model}"),
    output:
        **each_part("results/predictions/{model}/{part}.csv"),
        **answers_of("{model}"),
        model=record_of("{model}"),
        sets=sets_of("{model}"),
        cost="results/costs/ensemble_folds/{model}.csv",
    log:
        "results/logs/ensemble_folds/{model}.log",
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/ensemble_folds.py"


rule draw_grad_cams:
    """Draw where the networks looked on the photos that tell most of each."""
    input:
        **{kind: ancient(paths) if kind == "arrays" else paths for kind, paths in PATHS.looked().items()},
        settings=settings_of("draw_grad_cams", "all"),
    output:
        drawn=[grad_cam_of(model) for model in PLAN.looked],
        cost="results/costs/draw_grad_cams/all.csv",
    log:
        "results/logs/draw_grad_cams/all.log",
    conda:
        "../../envs/torch.yaml"
    threads: PLAN.study.threads
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    script:
        "../scripts/draw_grad_cams.py"
