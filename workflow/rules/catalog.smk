rule catalog_shard:
    """Look at every photo of a shard: size, mode, hash, fingerprint, and whether it can be used."""
    input:
        settings=settings_of("catalog_shard", "{dataset}"),
        listing=written("results/photos/{dataset}/{shard}.csv"),
    output:
        table="results/catalog/{dataset}/{shard}.csv",
        fingerprints="results/catalog/{dataset}/{shard}.npy",
        cost="results/costs/catalog_shard/{dataset}/{shard}.csv",
    log:
        "results/logs/catalog_shard/{dataset}/{shard}.log",
    conda:
        "../../envs/catalog.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=120,
    script:
        "../scripts/catalog_shard.py"


rule build_catalog:
    """Join a data set's shards, and find the photos in it that are copies of each other."""
    input:
        settings=settings_of("build_catalog", "{dataset}"),
        labels=written("results/photos/{dataset}/labels.csv"),
        tables=expand("results/catalog/{{dataset}}/{shard}.csv", shard=PLAN.shards),
        fingerprints=expand("results/catalog/{{dataset}}/{shard}.npy", shard=PLAN.shards),
    output:
        table="results/catalog/{dataset}.csv",
        pairs="results/catalog/{dataset}/duplicates.csv",
        summary="results/catalog/{dataset}/duplicates.json",
        cost="results/costs/build_catalog/{dataset}.csv",
    log:
        "results/logs/build_catalog/{dataset}.log",
    conda:
        "../../envs/catalog.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    script:
        "../scripts/build_catalog.py"


rule find_copies:
    """Find the copies between two data sets that a split mixes."""
    input:
        settings=settings_of("find_copies", "{dataset}@{other}"),
        one="results/catalog/{dataset}.csv",
        other="results/catalog/{other}.csv",
        one_fingerprints=expand("results/catalog/{{dataset}}/{shard}.npy", shard=PLAN.shards),
        other_fingerprints=expand("results/catalog/{{other}}/{shard}.npy", shard=PLAN.shards),
    output:
        pairs="results/catalog/{dataset}/copies_of_{other}.csv",
        cost="results/costs/find_copies/{dataset}@{other}.csv",
    log:
        "results/logs/find_copies/{dataset}@{other}.log",
    wildcard_constraints:
        other="|".join(PLAN.catalogued),
    conda:
        "../../envs/catalog.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    script:
        "../scripts/find_copies.py"
