rule cache_pixels:
    """Decode and resize the photos of a shard, once a size."""
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
