"""Manihot: labelled leaf photos in, results/report.html out.

Reads and checks the study, writes what each job depends on to results/settings/, and names the targets.
"""

import gc
import logging
import os
import socket
import sys
from pathlib import Path

from snakemake.utils import min_version

# Needed as early as this: an older version stumbles over what follows.
min_version("9.9")

# The graph's many objects live to the end: looking through them for garbage again and again is a tenth of a dry run.
gc.freeze()
gc.set_threshold(100_000)
# Of this very file, also where another workflow takes it in as a module.
PROJECT = Path(str(workflow.current_basedir))
sys.path.insert(0, str(PROJECT / "src"))

from manihot.core.errors import StudyError
from manihot.core.names import PARTS
from manihot.study import monitor, settings
from manihot.study.estimate import ALLOCATOR, likely
from manihot.study.jobs import all_jobs
from manihot.study.load import build, load
from manihot.study.paths import (
    Paths,
    answers_of,
    each_part,
    external_of,
    fitted_files,
    grad_cam_of,
    record_of,
    reference_of,
    sets_of,
)
from manihot.study.plan import PUBLISHED, Plan

# Jobs run these very sources, whether local, in a conda environment or on a cluster.
os.environ["PYTHONPATH"] = str(PROJECT / "src")
os.environ.setdefault("GLIBC_TUNABLES", ALLOCATOR)
STUDY_FILE = Path(os.path.relpath([PROJECT / "config" / "config.yaml", *workflow.configfiles][-1]))
# Where the files lie that this process writes: a mode that only looks (-n, --summary) writes nothing here.
LOOKS = workflow.is_main_process and settings.only_looks(sys.argv[1:])
WRITTEN = settings.elsewhere() if LOOKS else Path("results")
# Another workflow may take this one in; the terminal is then that one's.
MODULE = os.path.abspath(str(workflow.basedir)) != os.path.abspath(PROJECT)
try:
    if not MODULE:
        PLAN = Plan(load(STUDY_FILE, workflow.config_settings.config), PROJECT)
    else:
        # The outer workflow hands the study over as `config`; its paths start at the folder of the run.
        STUDY_FILE = Path("config of the module")
        PLAN = Plan(build(config, STUDY_FILE), Path.cwd())
    if workflow.is_main_process:
        if not LOOKS:
            settings.take_folder()
        settings.write_settings(all_jobs(PLAN), [PROJECT / "workflow" / "scripts"], WRITTEN)
        settings.list_photos(PLAN, STUDY_FILE, WRITTEN)
        os.environ["MANIHOT_MAIN"] = f"{socket.gethostname()}:{os.getpid()}"
except StudyError as error:
    sys.exit(f"error: {error}")
PATHS = Paths(PLAN)

# A job on this machine asks for a GPU only where there is one; a cluster's profile asks for its own.
GPUS = int(PLAN.study.device == "cuda" or (PLAN.study.device == "auto" and any(Path("/dev").glob("nvidia[0-9]*"))))


if PLAN.study.container:

    container: PLAN.study.container


wildcard_constraints:
    dataset="|".join(PLAN.catalogued),
    split="|".join(PLAN.splits),
    experiment="|".join(PLAN.of_kind("network")) or "none",
    check="|".join(PLAN.study.overfit) or "none",
    backbone="|".join(PLAN.frozen) or "none",
    model="|".join(PLAN.models),
    weights="|".join(PLAN.weights) or "none",
    cut="|".join(PLAN.cuts) or "none",
    external="|".join(PLAN.study.external) or "none",
    fold=r"\d+",
    shard=r"\d+",
    size=r"\d+",
    view="[a-z0-9]+",


rule all:
    """The whole study, to results/report.html and its charts."""
    input:
        "results/report.html",


report: "workflow/report/front.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/photos.smk"
include: "workflow/rules/catalog.smk"
include: "workflow/rules/pixels.smk"
include: "workflow/rules/splits.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/predictions.smk"
include: "workflow/rules/scores.smk"
include: "workflow/rules/probes.smk"
include: "workflow/rules/more_photos.smk"
include: "workflow/rules/external.smk"
include: "workflow/rules/published.smk"
include: "workflow/rules/report.smk"


def steps():
    """The jobs that this run needs, for its monitor."""
    return {
        workflow.dag.jobid(job): monitor.Step(
            job.rule.name,
            " ".join([job.rule.name, *map(str, job.wildcards_dict.values())]),
            getattr(job.output, "cost", None),
            next(iter(job.log), None),
        )
        for job in workflow.dag.needrun_jobs()
    }


if workflow.is_main_process and not LOOKS:
    engine = logging.getLogger("snakemake.logging")
    # Another logger than the engine's own (--logger rich) has the terminal for itself, too.
    own = [] if MODULE else [h for h in engine.handlers if type(h).__name__ == "ColorizingTextHandler"]
    for handler in own:
        handler.addFilter(monitor.is_news)
    monitor.follow(engine, steps, sys.stderr if own else None, lambda: likely(PLAN))
