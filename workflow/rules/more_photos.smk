rule fit_fewer_photos:
    """Fit a split's head again on parts of its photos, and predict out of fold."""
    input:
        unpack(lambda wildcards: more_photos_of(wildcards.split)),
        settings=settings_of("fit_fewer_photos", "{split}"),
    output:
        raw="results/scores/more_photos/{split}/raw.csv",
        calibrated="results/scores/more_photos/{split}/calibrated.csv",
        cost="results/costs/fit_fewer_photos/{split}.csv",
    log:
        "results/logs/fit_fewer_photos/{split}.log",
    wildcard_constraints:
        split="|".join(PLAN.more_photos) or "none",
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    script:
        "../scripts/fit_fewer_photos.py"


rule weigh_more_photos:
    """Say what more photos may give, by a head's scores on fewer."""
    input:
        settings=settings_of("weigh_more_photos", "{split}"),
        raw="results/scores/more_photos/{split}/raw.csv",
        calibrated="results/scores/more_photos/{split}/calibrated.csv",
        record="results/splits/{split}.json",
        catalogs=lambda wildcards: PATHS.catalogs(wildcards.split),
    output:
        curve="results/scores/more_photos/{split}/curve.json",
        cost="results/costs/weigh_more_photos/{split}.csv",
    log:
        "results/logs/weigh_more_photos/{split}.log",
    wildcard_constraints:
        split="|".join(PLAN.more_photos) or "none",
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/weigh_more_photos.py"
