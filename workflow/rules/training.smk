rule train_fold:
    """Train a network on all folds but one."""
    input:
        unpack(lambda wildcards: trained_on(wildcards.experiment)),
        settings=settings_of("train_fold", "{experiment}"),
        sample=lambda wildcards: PATHS.sampled(wildcards.experiment)["sample"],
        record=lambda wildcards: PATHS.sampled(wildcards.experiment)["record"],
        weights=lambda wildcards: PATHS.initial_weights(experiment_of(wildcards)),
        head=lambda wildcards: PATHS.head(wildcards.experiment, wildcards.fold),
    output:
        weights=fitted_files("network", "{experiment}").weights,
        history=fitted_files("network", "{experiment}").history,
        model=fitted_files("network", "{experiment}").model,
        cost="results/costs/train_fold/{experiment}/fold{fold}.csv",
    log:
        "results/logs/train_fold/{experiment}/fold{fold}.log",
    # The longest jobs first: the short ones fill what they leave.
    priority: 10
    conda:
        "../../envs/torch.yaml"
    threads: PLAN.study.threads
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 480 * attempt,
        gpu=GPUS,
    script:
        "../scripts/train_fold.py"


rule check_overfit:
    """Check that a network can learn a few photos by heart."""
    input:
        unpack(lambda wildcards: pixels_of(check_of(wildcards).split, check_of(wildcards).size)),
        settings=settings_of("check_overfit", "{check}"),
        split=lambda wildcards: f"results/splits/{check_of(wildcards).split}.csv",
        record=lambda wildcards: f"results/splits/{check_of(wildcards).split}.json",
        weights=lambda wildcards: PATHS.initial_weights(check_of(wildcards)),
    output:
        history="results/training/overfit/{check}/history.csv",
        result="results/training/overfit/{check}/result.json",
        cost="results/costs/check_overfit/{check}.csv",
    log:
        "results/logs/check_overfit/{check}.log",
    conda:
        "../../envs/torch.yaml"
    threads: PLAN.study.threads
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
        gpu=GPUS,
    script:
        "../scripts/check_overfit.py"


rule show_augmentation:
    """Show training photos as an experiment's network sees them."""
    input:
        unpack(lambda wildcards: pixels_of(experiment_of(wildcards).split, experiment_of(wildcards).training_size)),
        settings=settings_of("show_augmentation", "{experiment}"),
        sample=lambda wildcards: PATHS.sampled(wildcards.experiment)["sample"],
        record=lambda wildcards: PATHS.sampled(wildcards.experiment)["record"],
    output:
        sheet="results/training/augmented/{experiment}.jpg",
        cost="results/costs/show_augmentation/{experiment}.csv",
    log:
        "results/logs/show_augmentation/{experiment}.log",
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    script:
        "../scripts/show_augmentation.py"
