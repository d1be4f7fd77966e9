rule plot_exploration:
    input:
        settings=settings_of("plot_exploration", "{dataset}"),
        catalog="results/catalog/{dataset}.csv",
    output:
        classes=report(
            "results/figures/exploration/{dataset}_classes.svg",
            category="Exploration",
            labels={"data set": "{dataset}", "figure": "photos a class"},
        ),
        sizes=report(
            "results/figures/exploration/{dataset}_sizes.svg",
            category="Exploration",
            labels={"data set": "{dataset}", "figure": "photo sizes"},
        ),
        cost="results/costs/plot_exploration/{dataset}.csv",
    log:
        "results/logs/plot_exploration/{dataset}.log",
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=10,
    script:
        "../scripts/plot_exploration.py"


rule plot_curves:
    input:
        settings=settings_of("plot_curves", "{experiment}"),
        histories=lambda wildcards: PATHS.histories(wildcards.experiment),
    output:
        curves=report(
            "results/figures/curves/{experiment}.svg",
            category="Learning curves",
            labels={"experiment": "{experiment}"},
        ),
        cost="results/costs/plot_curves/{experiment}.csv",
    log:
        "results/logs/plot_curves/{experiment}.log",
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=10,
    script:
        "../scripts/plot_curves.py"


rule plot_confusion:
    input:
        settings=settings_of("plot_confusion", "{model}"),
        validation="results/scores/{model}/validation.json",
        test="results/scores/{model}/test.json",
    output:
        confusion=report(
            "results/figures/confusion/{model}.svg",
            category="Confusion matrices",
            labels={"model": "{model}"},
        ),
        cost="results/costs/plot_confusion/{model}.csv",
    log:
        "results/logs/plot_confusion/{model}.log",
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=10,
    script:
        "../scripts/plot_confusion.py"


rule plot_summary:
    input:
        settings=settings_of("plot_summary", "all"),
        summary="results/summary.csv",
        comparisons="results/scores/comparisons.csv",
    output:
        models=report(
            "results/figures/summary/models.svg",
            category="Summary",
            labels={"figure": "all models on the test"},
        ),
        comparisons=report(
            "results/figures/summary/comparisons.svg",
            category="Summary",
            labels={"figure": "paired comparisons"},
        ),
        cost="results/costs/plot_summary/all.csv",
    log:
        "results/logs/plot_summary/all.log",
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=10,
    script:
        "../scripts/plot_summary.py"
