"""What a model is asked: which photos, for which class shares, and where its answers go; and the jobs that follow.

`request.json` in the folder of the answers holds it, with paths as seen from there, so that a moved tree stays whole.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from manihot.applied.home import Home, find_model
from manihot.core import files
from manihot.core.errors import StudyError
from manihot.core.names import PARTS, RECORD, SETS
from manihot.core.text import shorten

FILE, SCHEMA_VERSION = "request.json", 2
SHARES = ("equal", "as_found", "estimated")
# A photo of more is not opened.
MAX_PIXELS = 100_000_000
# Photos of a shard (fewer, and its job's start is much of its time), how many times as many it may come to hold, and
# the most shards.
PER_SHARD, GROWN, MOST_SHARDS = 4000, 4, 500


@dataclass(frozen=True)
class Request:
    """Paths are as seen from the folder of the answers.

    `photos` is the photo folder and `model` that of the model; `shares` one of SHARES; `coverage` the share of photos
    whose set should hold the true class; a photo that is more `unlike` than `none_above` percent is said to be none of
    the classes; `group_pattern` takes a photo's plant from its path (None: no plants are known). `labels` says that the
    answers are held against labels: those of a file, or of sub-folders (an empty text); None: there are none. `classes`
    has the class of each label, None where labels are classes.
    """

    photos: str
    model: str
    shares: str = "equal"
    coverage: float = 0.9
    none_above: float = 99.0
    group_pattern: str | None = None
    shards: int = 1
    labels: str | None = None
    classes: Mapping[str, str | None] | None = None

    def check(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            StudyError: a value that is none.
        """
        if self.shares not in SHARES:
            raise StudyError(f"SHARES={self.shares}: must be one of {', '.join(SHARES)}")
        if not 0 < self.coverage < 1:
            raise StudyError(f"COVERAGE={self.coverage}: must lie between 0 and 1, as 0.9")
        if not 0 <= self.none_above <= 100:
            raise StudyError(f"NONE_ABOVE={self.none_above}: must be a percentage, 0 to 100")
        try:
            groups = 1 if self.group_pattern is None else re.compile(self.group_pattern).groups
        except re.error as error:
            raise StudyError(f"GROUP_PATTERN={self.group_pattern}: is no regular expression ({error})") from None
        if groups != 1:
            raise StudyError(
                f"GROUP_PATTERN={self.group_pattern}: needs one group in parentheses, not {groups}: what it matches is "
                "the plant"
            )

    def write(self, out: Path) -> None:
        """Write it to the folder of the answers.

        Raises:
            StudyError: the folder holds something else, or answers to other photos.
        """
        try:
            holds = sorted(path.name for path in out.iterdir()) if out.exists() else []
        except NotADirectoryError:
            raise StudyError(f"{out} is a file: name a folder with OUT") from None
        if holds and not (out / FILE).is_file():
            raise StudyError(
                f"{out} holds something else ({shorten(holds[0])}): name another folder with OUT, or an empty one"
            )
        if holds and (other := read(out).photos) != self.photos:
            raise StudyError(
                f"{out} holds answers to the photos in {os.path.normpath(out / other)}: name another folder with "
                "OUT, or remove this one"
            )
        files.write_json_if_changed(out / FILE, {"schema_version": SCHEMA_VERSION, **asdict(self)})

    def files_of(self, out: Path) -> dict[str, Path]:
        """The files of the model that its answers depend on, but for weights, whose SHA-256 is in the records: its
        `record`, and where there are such, that of its `sets` and the manifest of what photos are `unlike` to.

        Raises:
            StudyError: the model is not there any more.
        """
        folder = out / self.model
        found = {"record": folder / RECORD, "sets": folder / SETS}
        try:
            record = files.read_json(found["record"])
        except (OSError, ValueError):
            raise StudyError(f"{found['record']} is missing or damaged: ask again with a model that is there") from None
        if (reference := record.get("unlike")) is not None:
            home = Home(folder, record["name"])
            found["unlike"] = home.find(reference, "what photos of the study look like").with_suffix(".json")
        return {name: path for name, path in found.items() if path.is_file()}

    def study(self, out: Path) -> dict[str, dict[str, Any]]:
        """The data sets of the model's study whose catalogs are there: of each its `catalog`, the `fingerprints` of its
        shards and the `root` of its photos, as seen from the folder of the answers; and the catalog's `content`."""
        run = (out / self.model).resolve().parents[2]
        found = {}
        for catalog in sorted((run / "results" / "catalog").glob("*.csv")):
            prints = sorted(catalog.with_suffix("").glob("*.npy"), key=lambda path: (len(path.name), path.name))
            settings = run / "results" / "settings" / "catalog_shard" / f"{catalog.stem}.json"
            if prints and settings.is_file():
                root = run / files.read_json(settings)["settings"]["root"]
                found[catalog.stem] = {
                    "catalog": os.path.relpath(catalog, out.resolve()),
                    "fingerprints": [os.path.relpath(path, out.resolve()) for path in prints],
                    "root": os.path.relpath(root, out.resolve()),
                    "content": files.sha256(catalog),
                }
        return found

    def jobs(self, out: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Every job as (rule, name, settings), as `study.jobs.all_jobs` has those of a study."""
        contents = {name: files.sha256(path) for name, path in self.files_of(out).items()}
        yield "predict_new", "all", {"model": self.model, "root": self.photos, "files": contents}
        study, seen = self.study(out), {"root": self.photos, "max_pixels": MAX_PIXELS}
        if study:
            yield "catalog_shard", "all", seen
            yield "copies_new", "all", {**seen, "study": study}
        told = {"none_above": self.none_above, "group_pattern": self.group_pattern}
        how = {"shares": self.shares, "coverage": self.coverage}
        yield "join_new", "all", {"model": self.model, **told, **how, "files": contents}
        yield "show_new", "all", {"root": self.photos}
        if self.labels is not None:
            tested = {"own": self.own_tests(out), "catalogs": {name: entry["catalog"] for name, entry in study.items()}}
            known = {"contents": {name: entry["content"] for name, entry in study.items()}, "files": contents}
            drawn = {**self.drawn(out), "coverage": self.coverage}
            yield "evaluate_new", "all", {"model": self.model, "classes": self.classes, **tested, **known, **drawn}
            yield "show_evaluation", "all", {"root": self.photos}

    def own_tests(self, out: Path) -> dict[str, list[dict[str, str]]]:
        """What each fold of the model said of its own tests, by part, where the study's predictions are there: of each
        table its `path`, as seen from the folder of the answers, and its `content`."""
        folder = (out / self.model).resolve()
        record = files.read_json(folder / RECORD)
        place = folder.parents[1] / "predictions" / record["name"]
        found = {}
        for part in PARTS[2:]:
            paths = [place / f"fold{member['fold']}" / f"{part}.csv" for member in record["members"]]
            if all(path.is_file() for path in paths):
                found[part] = [
                    {"path": os.path.relpath(path, out.resolve()), "content": files.sha256(path)} for path in paths
                ]
        return found

    def drawn(self, out: Path) -> dict[str, int]:
        """The seed and the resamples that the study scored the model with, or what a study has by default."""
        folder = (out / self.model).resolve()
        told = folder.parents[1] / "settings" / "score_model" / f"{folder.name}.json"
        known = files.read_json(told)["settings"] if told.is_file() else {}
        return {"seed": known.get("seed", 42), "resamples": known.get("resamples", 2000)}


def read(out: Path) -> Request:
    """The request whose answers are in a folder.

    Raises:
        StudyError: it is damaged, or of a later version.
    """
    path = out / FILE
    mend = f"remove {out}, or name another folder with OUT"
    try:
        content = files.read_json(path)
        version = content.pop("schema_version")
        whole = set(content) == {field.name for field in fields(Request)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        whole, version = False, SCHEMA_VERSION
    if version != SCHEMA_VERSION:
        raise StudyError(
            f"{path} has the schema version {version}, this version of Manihot reads {SCHEMA_VERSION}: {mend}"
        )
    if not whole:
        raise StudyError(f"{path} is damaged: {mend}")
    return Request(**content)


def shards_for(photos: int, out: Path) -> int:
    """In how many parts so many photos are answered: as many as before in this folder, unless these have grown much."""
    before = read(out).shards if (out / FILE).is_file() else 0
    if before and photos <= before * PER_SHARD * GROWN:
        return before
    return min(MOST_SHARDS, max(1, -(-photos // PER_SHARD)))


def check_model(folder: Path) -> Path:
    """The folder of the model that `folder` stands for, once all that it needs is known to be there and whole.

    Raises:
        StudyError: there is no such model, a file of it is missing or damaged, or a later version wrote it.
    """
    from manihot.networks import bundle

    folder = find_model(folder)
    record = bundle.read_whole(folder / RECORD)
    home = Home(folder, record["name"])
    frozen: dict[str, str] = {}
    for entry in record["members"]:
        fitted = bundle.read(home.find(entry["record"], f"a fold of the model {home.name}"))
        fitted.weights()
        if fitted.record["weights"]["sha256"] != entry["sha256"]:
            raise StudyError(f"{fitted.path} is of another fit than {folder / RECORD}: take both from one study")
        frozen |= {one["weights"]["path"]: one["weights"]["sha256"] for one in fitted.record.get("backbones", [])}
    if (reference := record.get("unlike")) is not None:
        home.find(reference, f"what photos the model {home.name} knows")
    for path, digest in frozen.items():
        weights = home.find(path, f"a backbone of {folder}")
        if files.sha256(weights) != digest:
            raise StudyError(
                f"{weights} is damaged or of another fit: copy it from the study's results, or run it again"
            )
    return folder
