rule fetch_weights:
    """Fetch and check a network's weights."""
    input:
        settings=settings_of("fetch_weights", "{weights}"),
        source=lambda wildcards: [
            PLAN.path(source) for source in [PLAN.weights[wildcards.weights].weights] if source not in PUBLISHED
        ],
    output:
        weights="results/features/weights/{weights}.safetensors",
        cost="results/costs/fetch_weights/{weights}.csv",
    log:
        "results/logs/fetch_weights/{weights}.log",
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=60,
    script:
        "../scripts/fetch_weights.py"


rule extract_features:
    """Run a frozen backbone over the photos of a data set, in one view."""
    input:
        settings=settings_of("extract_features", "{backbone}"),
        weights=lambda wildcards: PATHS.weights(backbone_of(wildcards)),
        record=lambda wildcards: PATHS.backbone_record(backbone_of(wildcards)),
        catalog="results/catalog/{dataset}.csv",
        manifests=expand("results/pixels/{{dataset}}/{{size}}px/{shard}.json", shard=PLAN.shards),
        arrays=ancient(expand("results/pixels/{{dataset}}/{{size}}px/{shard}.npy", shard=PLAN.shards)),
    output:
        features="results/features/{backbone}/{dataset}/{size}px/{view}.npy",
        manifest="results/features/{backbone}/{dataset}/{size}px/{view}.json",
        cost="results/costs/extract_features/{backbone}/{dataset}_{size}px_{view}.csv",
    log:
        "results/logs/extract_features/{backbone}/{dataset}_{size}px_{view}.log",
    conda:
        "../../envs/torch.yaml"
    threads: PLAN.study.threads
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 480 * attempt,
        gpu=GPUS,
    script:
        "../scripts/extract_features.py"


rule draw_reference:
    """Draw the photos of a split that new ones are held against, and try it on strange ones."""
    input:
        unpack(lambda wildcards: drawn_from(wildcards.split)),
        settings=settings_of("draw_reference", "{split}"),
        split="results/splits/{split}.csv",
        weights=lambda wildcards: PATHS.weights(backbone_of_split(wildcards)),
        catalogs=lambda wildcards: PATHS.catalogs(wildcards.split),
        strangers=lambda wildcards: PATHS.strangers(wildcards.split),
    output:
        reference=reference_of("{split}"),
        manifest=reference_of("{split}").replace(".npy", ".json"),
        told="results/scores/unlike/{split}.json",
        cost="results/costs/draw_reference/{split}.csv",
    log:
        "results/logs/draw_reference/{split}.log",
    wildcard_constraints:
        split="|".join(PLAN.references) or "none",
    conda:
        "../../envs/torch.yaml"
    threads: PLAN.study.threads
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
        gpu=GPUS,
    script:
        "../scripts/draw_reference.py"


rule store_activations:
    """Run the frozen lower part of a network over the photos of a data set, in one view."""
    input:
        settings=settings_of("store_activations", "{cut}"),
        weights=lambda wildcards: PATHS.weights(PLAN.cuts[wildcards.cut]),
        catalog="results/catalog/{dataset}.csv",
        manifests=lambda wildcards: PATHS.shards(wildcards.dataset, PLAN.cuts[wildcards.cut].size, "json"),
        arrays=lambda wildcards: ancient(PATHS.shards(wildcards.dataset, PLAN.cuts[wildcards.cut].size, "npy")),
    output:
        activations="results/features/activations/{cut}/{dataset}/{view}.npy",
        manifest="results/features/activations/{cut}/{dataset}/{view}.json",
        cost="results/costs/store_activations/{cut}/{dataset}_{view}.csv",
    log:
        "results/logs/store_activations/{cut}/{dataset}_{view}.log",
    conda:
        "../../envs/torch.yaml"
    threads: PLAN.study.threads
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 480 * attempt,
        gpu=GPUS,
    script:
        "../scripts/store_activations.py"


rule fit_head:
    """Fit the last layer of a frozen backbone on a fold."""
    input:
        unpack(lambda wildcards: features_of(wildcards.model, PLAN.head_views(wildcards.model))),
        unpack(lambda wildcards: PATHS.sampled(wildcards.model)),
        settings=settings_of("fit_head", "{model}"),
    output:
        weights=fitted_files("head", "{model}").weights,
        history=fitted_files("head", "{model}").history,
        model=fitted_files("head", "{model}").model,
        cost="results/costs/fit_head/{model}/fold{fold}.csv",
    log:
        "results/logs/fit_head/{model}/fold{fold}.log",
    wildcard_constraints:
        model="|".join(PLAN.of_kind("head")) or "none",
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=60,
    script:
        "../scripts/fit_head.py"


rule fit_booster:
    """Fit XGBoost's trees on a backbone's features of a fold."""
    input:
        unpack(lambda wildcards: features_of(wildcards.model, ["identity"])),
        unpack(lambda wildcards: PATHS.sampled(wildcards.model)),
        settings=settings_of("fit_booster", "{model}"),
    output:
        weights=fitted_files("boosting", "{model}").weights,
        history=fitted_files("boosting", "{model}").history,
        model=fitted_files("boosting", "{model}").model,
        cost="results/costs/fit_booster/{model}/fold{fold}.csv",
    log:
        "results/logs/fit_booster/{model}/fold{fold}.log",
    wildcard_constraints:
        model="|".join(PLAN.of_kind("boosting")) or "none",
    conda:
        "../../envs/boosting.yaml"
    threads: PLAN.study.threads
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
        gpu=GPUS,
    script:
        "../scripts/fit_booster.py"
