"""`make predict`: answers the photos of a folder with a model of a study, shard by shard.

It writes down what is asked and starts the workflow in `workflow/applied/`, in the folder of the answers.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from manihot.applied.home import BEST
from manihot.applied.listing import find_photos
from manihot.applied.request import SHARES, Request, check_model, shards_for
from manihot.core import gpus
from manihot.core.command import ends_in_one_line
from manihot.study.workflows import WORKFLOWS


def prepare(
    given: argparse.Namespace, labels: str | None = None, classes: Mapping[str, str | None] | None = None
) -> Path:
    """Write the request that the command line makes, once all that it needs is there; the folder of the answers.

    `labels` and `classes` are those of a `Request`; the path of labels is as seen from here.

    Raises:
        StudyError: the model or the photos are not there, a value is none, or the folder holds something else.
    """
    model, photos = model_folder(given), Path(given.photos).resolve()
    out = Path(given.out) if given.out else Path(given.dir) / "results" / "applied" / (photos.name or "photos")
    out = out.resolve()
    asked = Request(
        photos=os.path.relpath(photos, out),
        model=os.path.relpath(check_model(model).resolve(), out),
        shares=given.shares,
        coverage=given.coverage,
        none_above=given.none_above,
        group_pattern=given.group_pattern or None,
        shards=given.shards or shards_for(len(find_photos(photos)[0]), out),
        labels=os.path.relpath(Path(labels).resolve(), out) if labels else labels,
        classes=classes,
    )
    asked.check()
    asked.write(out)
    return out


def model_folder(given: argparse.Namespace) -> Path:
    """The folder of the model that the command line names."""
    return Path(given.model) if "/" in given.model else Path(given.dir) / "results" / "models" / given.model


def arguments_of(name: str, what: str) -> argparse.ArgumentParser:
    """The arguments of a command on new photos."""
    parser = argparse.ArgumentParser(prog=f"manihot {name}", description=what)
    parser.add_argument("photos", help="the folder of the photos")
    parser.add_argument("--model", default=BEST, help="a model of the study, or its folder; else the chosen one")
    parser.add_argument("--out", default="", help="the folder of the answers; else results/applied/NAME in DIR")
    parser.add_argument("--dir", default=".", help="the folder of the study's results/")
    parser.add_argument("--shares", default="equal", help=f"the class shares of the photos: {', '.join(SHARES)}")
    parser.add_argument("--coverage", type=float, default=0.9, help="how often a set should hold the true class")
    parser.add_argument("--none-above", type=float, default=99.0, help="percent of unlike from which a photo is none")
    parser.add_argument("--group-pattern", default="", help="a regular expression for the plant in a photo's path")
    parser.add_argument("--shards", type=int, default=0, help="in how many parts the photos are answered")
    parser.add_argument("--cores", default="all", help="processor cores")
    parser.add_argument("engine", nargs="*", help="after --, arguments for snakemake")
    return parser


def run(out: Path, given: argparse.Namespace) -> int:
    """Run the workflow of the request in the folder `out`; what it ended with."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(WORKFLOWS / "workflow/applied/Snakefile")]
    command += ["--directory", str(out), "--cores", given.cores, "--resources", f"gpu={gpus.count()}"]
    if not any(word.startswith(("--workflow-profile", "--profile")) for word in given.engine):
        command += ["--workflow-profile", str(WORKFLOWS / "profiles/default")]
    return subprocess.run([*command, *given.engine], check=False).returncode


@ends_in_one_line
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0, or what the workflow ended with, or 1 after an error of one line."""
    given = arguments_of("predict", "Answer the photos of a folder with a model.").parse_args(arguments)
    out = prepare(given)
    code = run(out, given)
    if not code:
        print(f"The answers: {out}/predictions.html, and predictions.csv beside it")
    return code


if __name__ == "__main__":
    sys.exit(main())
