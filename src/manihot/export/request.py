"""What is exported: which model, into which folder, and what of its study the checks need; and the jobs that follow.

`request.json` in the folder where the export is made holds it, with paths as seen from there. What is made lies there
until it is checked; the folder of the export itself has a file only then. Written for the main process: no torch.
"""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from manihot.applied.home import Home
from manihot.core import files
from manihot.core.errors import StudyError
from manihot.core.names import RECORD, SETS
from manihot.export import layout

FILE, SCHEMA_VERSION = "request.json", 1
TESTS = ("test", "test_as_found")


@dataclass(frozen=True)
class Request:
    """Paths are as seen from the folder where the export is made: `model` is the folder of the model, `out` that of the
    export."""

    model: str
    out: str

    def write(self, work: Path) -> None:
        """Write it to the folder where the export is made."""
        files.write_json_if_changed(work / FILE, {"schema_version": SCHEMA_VERSION, **asdict(self)})

    def files_of(self, work: Path) -> dict[str, Path]:
        """The files of the model, but for weights, whose SHA-256 is in the records: its `record`, and where there are
        such, that of its `sets` and the manifest of what photos are `unlike` to.

        Raises:
            StudyError: the model is not there any more.
        """
        folder = work / self.model
        found = {"record": folder / RECORD, "sets": folder / SETS}
        try:
            record = files.read_json(found["record"])
        except (OSError, ValueError):
            raise StudyError(f"{found['record']} is missing or damaged: export a model that is there") from None
        if (reference := record.get("unlike")) is not None:
            home = Home(folder, record["name"])
            found["unlike"] = home.find(reference, "what photos of the study look like").with_suffix(".json")
        return {name: path for name, path in found.items() if path.is_file()}

    def study(self, work: Path) -> dict[str, Any]:
        """What the checks need of the model's study: `run` (its folder) and `split` (its table) as seen from the folder
        where the export is made, `roots` of its data sets' photos, `catalogs`, `scores` on the tests, the `title`, the
        `seed`, `resamples` and `max_pixels`.

        Raises:
            StudyError: the study is not there, or does not know the model.
        """
        # The folder may not be there yet, and no path leads through it.
        model = Path(os.path.normpath(work.resolve() / self.model))
        run, name = model.parents[2], files.read_json(model / RECORD)["name"]
        told = run / "results" / "settings" / "build_report" / "all.json"
        try:
            known = files.read_json(told)["settings"]
            (split,) = [model["split"] for model in known["models"] if model["name"] == name]
            study = known["study"]
            asked = {"title": known["title"], "seed": known["seed"], "resamples": study["resamples"]}
            asked["max_pixels"] = study["photos"]["max_pixels"]
            roots = {dataset: entry["root"] for dataset, entry in known["datasets"].items()}
        except (OSError, ValueError, KeyError, TypeError):
            raise StudyError(
                f"an export is checked on the test photos of its study, and {told} does not tell them: export the "
                "model in the folder of its study (DIR=…)"
            ) from None
        table = run / "results" / "splits" / f"{split}.csv"
        scores = [run / "results" / "scores" / name / f"{part}.json" for part in TESTS]
        catalogs = [run / "results" / "catalog" / f"{dataset}.csv" for dataset in roots]
        tried = {other: run / "results" / "external" / other / name / "scores.json" for other in study["external"]}
        needed = [table, *scores]
        if missing := [path for path in needed if not path.is_file()]:
            raise StudyError(f"{missing[0]} is missing, on which an export is checked: run the study (make report)")
        return {
            **asked,
            "split": self._seen(table, work),
            "roots": {dataset: self._seen(run / root, work) for dataset, root in roots.items()},
            "catalogs": [self._seen(path, work) for path in catalogs if path.is_file()],
            "scores": dict(zip(TESTS, (self._seen(path, work) for path in scores), strict=True)),
            "external": {other: self._seen(path, work) for other, path in tried.items() if path.is_file()},
        }

    @staticmethod
    def _seen(path: Path, work: Path) -> str:
        return os.path.relpath(path.absolute(), work.resolve())

    def jobs(self, work: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Every job as (rule, name, settings), as `study.jobs.all_jobs` has those of a study."""
        contents = {name: files.sha256(path) for name, path in self.files_of(work).items()}
        study = self.study(work)
        shown = {key: study[key] for key in ("roots", "seed", "max_pixels")}
        model = {"model": self.model, "files": contents}
        yield "export_graph", "all", model
        yield "quantise_graph", "all", shown
        yield "check_export", "all", {**model, **shown, "resamples": study["resamples"]}
        tried = {other: files.sha256(work / path) for other, path in study["external"].items()}
        yield "write_export", "all", {"title": study["title"], "model": self.model, "external": tried}


def read(work: Path) -> Request:
    """The request whose export is made in a folder.

    Raises:
        StudyError: it is damaged, or of a later version.
    """
    path = work / FILE
    try:
        content = files.read_json(path)
        version = content.pop("schema_version")
        whole = set(content) == {field.name for field in fields(Request)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        whole, version = False, SCHEMA_VERSION
    if version != SCHEMA_VERSION or not whole:
        raise StudyError(f"{path} is damaged or of a later version: remove {work}, and run make export again")
    return Request(**content)


def check_whole(out: Path) -> None:
    """Make an export that lost or changed a file be written anew: its record, which says what it holds, is removed.

    Raises:
        StudyError: the folder holds something else, or an export of a later version.
    """
    path = out / layout.ABOUT
    if not path.is_file():
        if out.is_dir() and any(out.iterdir()):
            raise StudyError(f"{out} holds something else than an export: name another folder with OUT, or remove it")
        return
    try:
        about = files.read_json(path)
        version, kept = about["schema_version"], about["files"]
        same = all((out / name).is_file() and files.sha256(out / name) == kept[name]["sha256"] for name in kept)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        same, version = False, layout.SCHEMA_VERSION
    if version != layout.SCHEMA_VERSION:
        raise StudyError(
            f"{path} has the schema version {version}, and this version of Manihot writes {layout.SCHEMA_VERSION}: "
            f"remove {out}, or take the version that wrote it"
        )
    if not same:
        path.unlink()
