rule build_report:
    """Write results/report.html and its charts."""
    input:
        **PATHS.report_inputs(),
        settings=settings_of("build_report", "all"),
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
