rule build_report:
    input:
        **PATHS.report_inputs(),
        settings=settings_of("build_report", "all"),
    output:
        report="results/report.html",
        figures=[report(path, category=category, labels=labels) for path, category, labels in PATHS.figures()],
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


rule build_partial_report:
    # Made on request, of whatever is there (make partial-report): it depends on no result.
    input:
        settings=settings_of("build_report", "all"),
    output:
        report="results/partial_report.html",
    log:
        "results/logs/build_report/partial.log",
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    script:
        "../scripts/build_report.py"
