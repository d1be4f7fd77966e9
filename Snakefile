"""Manihot: labelled leaf photos in, results/report.html out.

Reads and checks the study, writes what each job depends on to results/settings/, and names the targets.
"""

import gc
import os
import socket
import sys
from pathlib import Path

# The graph's many objects live to the end: looking through them for garbage again and again is a tenth of a dry run.
gc.freeze()
gc.set_threshold(100_000)
PROJECT = Path(workflow.basedir)
sys.path.insert(0, str(PROJECT / "src"))

from manihot.core.errors import StudyError
from manihot.core.names import PARTS
from manihot.study import settings
from manihot.study.load import load
from manihot.study.paths import Paths, each_part, fitted_files, record_of, settings_of
from manihot.study.plan import Plan

# Jobs run these very sources, whether local, in a conda environment or on a cluster.
os.environ["PYTHONPATH"] = str(PROJECT / "src")
# Large activations are otherwise mapped and unmapped at every training step (read when a Python starts).
os.environ.setdefault(
    "GLIBC_TUNABLES",
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0"
    ":glibc.malloc.trim_threshold=34359738368:glibc.malloc.top_pad=268435456",
)
STUDY_FILE = Path(os.path.relpath([PROJECT / "config" / "config.yaml", *workflow.configfiles][-1]))
try:
    PLAN = Plan(load(STUDY_FILE, workflow.config_settings.config), PROJECT)
    if workflow.is_main_process:
        settings.take_folder()
        settings.write_settings(PLAN, PROJECT / "workflow" / "scripts")
        settings.list_photos(PLAN, STUDY_FILE)
        os.environ["MANIHOT_MAIN"] = f"{socket.gethostname()}:{os.getpid()}"
except StudyError as error:
    sys.exit(f"error: {error}")
PATHS = Paths(PLAN)

# A job on this machine asks for a GPU only where there is one; a cluster's profile asks for its own.
GPUS = int(PLAN.study.device == "cuda" or (PLAN.study.device == "auto" and any(Path("/dev").glob("nvidia[0-9]*"))))


wildcard_constraints:
    dataset="|".join(PLAN.datasets),
    split="|".join(PLAN.splits),
    experiment="|".join(PLAN.study.experiments) or "none",
    check="|".join(PLAN.study.overfit) or "none",
    backbone="|".join(PLAN.study.backbones) or "none",
    model="|".join(PLAN.models),
    weights="|".join(PLAN.weights) or "none",
    fold=r"\d+",
    shard=r"\d+",
    size=r"\d+",
    view="[a-z0-9]+",


localrules:
    all,


rule all:
    input:
        "results/report.html",


include: "workflow/rules/common.smk"
include: "workflow/rules/photos.smk"
include: "workflow/rules/catalog.smk"
include: "workflow/rules/pixels.smk"
include: "workflow/rules/splits.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/predictions.smk"
include: "workflow/rules/scores.smk"
include: "workflow/rules/published.smk"
include: "workflow/rules/report.smk"
