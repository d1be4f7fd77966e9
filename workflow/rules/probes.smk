rule probe_facts:
    """Ask what facts that are no plant tell of the labels of a split."""
    input:
        settings=settings_of("probe_facts", "{split}"),
        split="results/splits/{split}.csv",
        record="results/splits/{split}.json",
        catalogs=lambda wildcards: PATHS.catalogs(wildcards.split),
    output:
        facts="results/scores/probes/{split}/facts.json",
        predictions="results/scores/probes/{split}/facts.csv",
        cost="results/costs/probe_facts/{split}.csv",
    log:
        "results/logs/probe_facts/{split}.log",
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/probe_facts.py"


rule probe_masked:
    """Fit a head on photos without their middle and on whole ones, and predict out of fold."""
    input:
        unpack(lambda wildcards: features_of(PLAN.masked[wildcards.split], ["identity", "masked"])),
        unpack(lambda wildcards: PATHS.sampled(PLAN.masked[wildcards.split])),
        settings=settings_of("probe_masked", "{split}"),
    output:
        masked="results/scores/probes/{split}/masked.csv",
        whole="results/scores/probes/{split}/whole.csv",
        cost="results/costs/probe_masked/{split}.csv",
    log:
        "results/logs/probe_masked/{split}.log",
    wildcard_constraints:
        split="|".join(PLAN.masked) or "none",
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 3000 * attempt,
        runtime=60,
    script:
        "../scripts/probe_masked.py"


rule weigh_masked:
    """Score a head on photos without their middle beside the same head on whole ones."""
    input:
        settings=settings_of("weigh_masked", "{split}"),
        masked="results/scores/probes/{split}/masked.csv",
        whole="results/scores/probes/{split}/whole.csv",
        record="results/splits/{split}.json",
        catalogs=lambda wildcards: PATHS.catalogs(wildcards.split),
    output:
        scores="results/scores/probes/{split}/masked.json",
        cost="results/costs/weigh_masked/{split}.csv",
    log:
        "results/logs/weigh_masked/{split}.log",
    wildcard_constraints:
        split="|".join(PLAN.masked) or "none",
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/weigh_masked.py"
