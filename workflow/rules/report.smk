rule measure_speeds:
    """Measure what this machine does a second, so that the time left can be told."""
    input:
        settings=settings_of("measure_speeds", "all"),
        labels=listings,
    output:
        speeds="results/costs/speeds.json",
        cost="results/costs/measure_speeds/all.csv",
    log:
        "results/logs/measure_speeds/all.log",
    # Early: it tells how long the rest takes.
    priority: 20
    conda:
        "../../envs/torch.yaml"
    threads: PLAN.study.threads
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=20,
        gpu=GPUS,
    script:
        "../scripts/measure_speeds.py"


rule build_report:
    """Write results/report.html and its charts."""
    input:
        **PATHS.report_inputs(),
        settings=settings_of("build_report", "all"),
        # It only has to be there: another measurement is no other report.
        speeds=ancient("results/costs/speeds.json"),
    output:
        report=report("results/report.html", caption="../report/report.rst", category="The study's report"),
        figures=[
            report(path, caption=f"../report/{caption}.rst", category=category, labels=labels)
            for path, caption, category, labels in PATHS.figures()
        ],
        cost="results/costs/build_report/all.csv",
    log:
        "results/logs/build_report/all.log",
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    script:
        "../scripts/build_report.py"
