rule cache_pixels:
    input:
        settings=settings_of("cache_pixels", "{dataset}_{size}px"),
        table="results/catalog/{dataset}/{shard}.csv",
    output:
        array="results/pixels/{dataset}/{size}px/{shard}.npy",
        manifest="results/pixels/{dataset}/{size}px/{shard}.json",
        cost="results/costs/cache_pixels/{dataset}_{size}px/{shard}.csv",
    log:
        "results/logs/cache_pixels/{dataset}_{size}px/{shard}.log",
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=120,
    script:
        "../scripts/cache_pixels.py"


def catalogs_of(split):
    """The catalogs of a split's data sets."""
    return [f"results/catalog/{dataset}.csv" for dataset in PLAN.datasets_of(split)]


def pixels_of(split, size):
    """What a job that reads a split's photos at a size depends on; an array only has to be there: its manifest,
    checked when photos are loaded, says whether it changed."""
    stems = [
        f"results/pixels/{dataset}/{size}px/{shard}" for dataset in PLAN.datasets_of(split) for shard in PLAN.shards
    ]
    return {
        "catalogs": catalogs_of(split),
        "manifests": [f"{stem}.json" for stem in stems],
        "arrays": ancient([f"{stem}.npy" for stem in stems]),
    }
