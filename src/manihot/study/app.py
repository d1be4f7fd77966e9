"""`make app`: a page that runs a model of a study in a browser, in the folder of its export, which it makes where it
is not there."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from manihot.app import page, runtime
from manihot.applied.home import BEST
from manihot.applied.request import check_model
from manihot.core import files
from manihot.core.command import ends_in_one_line
from manihot.core.names import RECORD
from manihot.study import export


@ends_in_one_line
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0, or what making the export ended with, or 1 after an error of one line."""
    parser = argparse.ArgumentParser(
        prog="manihot app", description="Make a page that runs a model of the study in a browser, without a network."
    )
    parser.add_argument("model", nargs="?", default=BEST, help="a model of the study; else the one that it chose")
    parser.add_argument("--dir", default=".", help="the folder of the study's results/")
    parser.add_argument("--cores", default="all", help="processor cores")
    parser.add_argument(
        "--int8", action="store_true", help="take the smaller file of the model, where it passed its check"
    )
    given = parser.parse_args(arguments)
    results = Path(given.dir) / "results"
    model = check_model(results / "models" / given.model)
    # First what may fail at once.
    fetched = runtime.fetch(results / "exporting")
    if code := export.main([given.model, "--dir", given.dir, "--cores", given.cores]):
        return code
    folder = results / "export" / files.read_json(model / RECORD)["name"]
    size = page.build(folder, fetched, _title(results), given.int8)
    print(f"The page: {(folder / page.PAGE).resolve()} ({size / 1e6:.1f} MB)")
    if size > page.LARGE:
        print("  That is much for a phone. A refit (MODEL=…_refit) has one network in place of one a fold;")
        print("  INT8=1 takes the export's smaller file, where it has one.")
    return 0


def _title(results: Path) -> str:
    """The title of the study."""
    return str(files.read_json(results / "settings" / "build_report" / "all.json")["settings"]["title"])


if __name__ == "__main__":
    sys.exit(main())
