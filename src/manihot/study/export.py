"""`make export`: a model of a study as a folder that works without this project, once its checks pass.

It writes down what is asked and starts the workflow in `workflow/export/`, in `results/exporting/{model}/`: what is
made lies there, and the export's own folder is filled when it is checked.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from manihot.applied.home import BEST
from manihot.applied.request import check_model
from manihot.core import files, gpus
from manihot.core.command import ends_in_one_line
from manihot.core.errors import StudyError
from manihot.core.names import RECORD
from manihot.export.request import Request, check_whole
from manihot.study.workflows import WORKFLOWS

NEEDED = ("onnx", "onnxscript", "onnxruntime")


def prepare(given: argparse.Namespace) -> tuple[Path, Path]:
    """Write the request that the command line makes, once all that it needs is there; the folder where the export is
    made, and that of the export.

    Raises:
        StudyError: a package, the model or its study is not there, or the folder holds something else.
    """
    in_environments = any(word.startswith(("--sdm", "--software-deployment-method")) for word in given.engine)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing and not in_environments:
        raise StudyError(
            f"{missing[0]} is not installed, which an export needs: run make export, which installs it, or "
            "pip install -r envs/requirements-export.txt"
        )
    results = Path(given.dir) / "results"
    model = check_model(Path(given.model) if "/" in given.model else results / "models" / given.model).resolve()
    name = files.read_json(model / RECORD)["name"]
    out = (Path(given.out) if given.out else results / "export" / name).resolve()
    check_whole(out)
    work = (results / "exporting" / name).resolve()
    asked = Request(os.path.relpath(model, work), os.path.relpath(out, work))
    asked.study(work)
    asked.write(work)
    return work, out


@ends_in_one_line
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0, or what the workflow ended with, or 1 after an error of one line."""
    parser = argparse.ArgumentParser(
        prog="manihot export", description="Make a model of a study a folder that works without it, checked."
    )
    parser.add_argument("model", nargs="?", default=BEST, help="a model of the study; else the one that it chose")
    parser.add_argument("--out", default="", help="the folder of the export; else results/export/MODEL in DIR")
    parser.add_argument("--dir", default=".", help="the folder of the study's results/")
    parser.add_argument("--cores", default="all", help="processor cores")
    parser.add_argument("engine", nargs="*", help="after --, arguments for snakemake")
    # What follows -- is the engine's: without a model the first of it would be taken for one.
    words = list(sys.argv[1:] if arguments is None else arguments)
    cut = words.index("--") if "--" in words else len(words)
    given = parser.parse_args(words[:cut])
    given.engine = words[cut + 1 :]
    work, out = prepare(given)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(WORKFLOWS / "workflow/export/Snakefile")]
    command += ["--directory", str(work), "--cores", given.cores, "--resources", f"gpu={gpus.count()}"]
    if not any(word.startswith(("--workflow-profile", "--profile")) for word in given.engine):
        command += ["--workflow-profile", str(WORKFLOWS / "profiles/default")]
    code = subprocess.run([*command, *given.engine], check=False).returncode
    if not code:
        print(f"The export: {out}")
    return code


if __name__ == "__main__":
    sys.exit(main())
