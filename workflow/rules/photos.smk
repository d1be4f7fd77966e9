rule list_photos:
    """Render, unpack or fetch the photos of a data set, and list them."""
    input:
        settings=settings_of("list_photos", "{dataset}"),
    output:
        labels="results/photos/{dataset}/labels.csv",
        images=directory("results/photos/{dataset}/images"),
        shards=expand("results/photos/{{dataset}}/{shard}.csv", shard=PLAN.shards),
        cost="results/costs/list_photos/{dataset}.csv",
    log:
        "results/logs/list_photos/{dataset}.log",
    wildcard_constraints:
        # A folder that exists is listed by the main process.
        dataset="|".join(PLAN.made_datasets) or "none",
    # All else waits for it.
    priority: 30
    conda:
        "../../envs/photos.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=240,
    script:
        "../scripts/list_photos.py"
