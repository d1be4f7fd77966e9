from manihot.published import paper


rule compare_published:
    """Set this study's numbers beside the published ones."""
    input:
        settings=settings_of("compare_published", "all"),
        published=PLAN.published_files,
        scores=rules.summarise_scores.input.scores,
        histories=PATHS.histories(*PLAN.of_kind("network")),
    output:
        numbers="results/published/numbers.csv",
        cost="results/costs/compare_published/all.csv",
    log:
        "results/logs/compare_published/all.log",
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/compare_published.py"


rule weigh_conclusions:
    """Weigh the conclusions of the published study on these photos."""
    input:
        settings=settings_of("weigh_conclusions", "all"),
        scores=rules.summarise_scores.input.scores,
        overfit=expand("results/training/overfit/{check}/history.csv", check=PLAN.study.overfit),
        comparisons="results/scores/comparisons.csv",
        predictions=[
            f"results/predictions/{name}/{part}.csv"
            for name, part in paper.predictions_of(paper.weighed_pairs(PLAN.models.values()))
        ],
        records=rules.compare_models.input.records,
        catalogs=rules.compare_models.input.catalogs,
    output:
        conclusions="results/published/conclusions.json",
        cost="results/costs/weigh_conclusions/all.csv",
    log:
        "results/logs/weigh_conclusions/all.log",
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    script:
        "../scripts/weigh_conclusions.py"
