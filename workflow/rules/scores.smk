rule score_model:
    """Score a model's predictions, with intervals."""
    input:
        **each_part("results/predictions/{model}/{part}.csv"),
        **answers_of("{model}"),
        **{f"fold_{part}": fold_tables(part) for part in PARTS},
        settings=settings_of("score_model", "{model}"),
        model=record_of("{model}"),
        members=lambda wildcards: PATHS.members(wildcards.model),
        sets=sets_of("{model}"),
        record=lambda wildcards: PATHS.sampled(wildcards.model)["record"],
        catalogs=lambda wildcards: PATHS.catalogs(PLAN.models[wildcards.model].split),
    output:
        **each_part("results/scores/{model}/{part}.json"),
        cost="results/costs/score_model/{model}.csv",
    log:
        "results/logs/score_model/{model}.log",
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/score_model.py"


rule summarise_scores:
    """Put all models side by side."""
    input:
        settings=settings_of("summarise_scores", "all"),
        scores=expand("results/scores/{model}/{part}.json", model=PLAN.models, part=PARTS),
    output:
        summary=report("results/summary.csv", caption="../report/summary.rst", category="Summary"),
        cost="results/costs/summarise_scores/all.csv",
    log:
        "results/logs/summarise_scores/all.log",
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/summarise_scores.py"


rule choose_model:
    """Choose one model of a split, by what the models predict out of fold."""
    input:
        settings=settings_of("choose_model", "{split}"),
        predictions=lambda wildcards: PATHS.out_of_fold(wildcards.split),
        scores=lambda wildcards: expand(
            "results/scores/{model}/{part}.json", model=PLAN.models_of(wildcards.split), part=PARTS[1:]
        ),
        record="results/splits/{split}.json",
        catalogs=lambda wildcards: PATHS.catalogs(wildcards.split),
    output:
        choice="results/scores/choice/{split}.json",
        cost="results/costs/choose_model/{split}.csv",
    log:
        "results/logs/choose_model/{split}.log",
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    script:
        "../scripts/choose_model.py"


rule compare_models:
    """Compare each model with the one it is based on, photo by photo."""
    input:
        settings=settings_of("compare_models", "all"),
        validation=expand("results/predictions/{model}/validation.csv", model=PLAN.compared),
        test=expand("results/predictions/{model}/test.csv", model=PLAN.compared),
        test_as_found=expand("results/predictions/{model}/test_as_found.csv", model=PLAN.compared),
        records=expand("results/splits/{split}.json", split=PLAN.splits),
        catalogs=expand("results/catalog/{dataset}.csv", dataset=PLAN.datasets),
    output:
        comparisons="results/scores/comparisons.csv",
        cost="results/costs/compare_models/all.csv",
    log:
        "results/logs/compare_models/all.log",
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    script:
        "../scripts/compare_models.py"


rule weigh_switches:
    """Say what each switch of the protocol changed in this study."""
    input:
        settings=settings_of("weigh_switches", "all"),
        comparisons="results/scores/comparisons.csv",
        roles=expand("results/splits/{split}.csv", split=PLAN.splits),
        samples=[
            f"results/splits/{entry.split}/{experiment}.csv" for experiment, entry in PLAN.study.experiments.items()
        ],
        predictions=[f"results/predictions/{name}/{part}.csv" for name, part in PLAN.refit_predictions],
        records=rules.compare_models.input.records,
        catalogs=rules.compare_models.input.catalogs,
    output:
        switches="results/scores/switches.csv",
        cost="results/costs/weigh_switches/all.csv",
    log:
        "results/logs/weigh_switches/all.log",
    conda:
        "../../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=30,
    script:
        "../scripts/weigh_switches.py"
