rule catalog_shard:
    """Look at every photo of a shard: size, mode, hash, and whether it can be used."""
    input:
        settings=settings_of("catalog_shard", "{dataset}"),
        listing=written("results/photos/{dataset}/{shard}.csv"),
    output:
        table="results/catalog/{dataset}/{shard}.csv",
        thumbnails="results/catalog/{dataset}/{shard}.npy",
        cost="results/costs/catalog_shard/{dataset}/{shard}.csv",
    log:
        "results/logs/catalog_shard/{dataset}/{shard}.log",
    conda:
        "../../envs/photos.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=120,
    script:
        "../scripts/catalog_shard.py"


rule build_catalog:
    """Join a data set's shards, and find the near-duplicates in it."""
    input:
        settings=settings_of("build_catalog", "{dataset}"),
        labels=written("results/photos/{dataset}/labels.csv"),
        tables=expand("results/catalog/{{dataset}}/{shard}.csv", shard=PLAN.shards),
        thumbnails=expand("results/catalog/{{dataset}}/{shard}.npy", shard=PLAN.shards),
    output:
        table="results/catalog/{dataset}.csv",
        pairs="results/catalog/{dataset}/duplicates.csv",
        cost="results/costs/build_catalog/{dataset}.csv",
    log:
        "results/logs/build_catalog/{dataset}.log",
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    script:
        "../scripts/build_catalog.py"
