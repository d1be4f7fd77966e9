"""Is an exported model the model? Its answers to the test photos are held against those of the study's own code."""

import contextlib
import csv
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manihot.applied.model import Model
from manihot.applied.photos import decoded
from manihot.core.errors import StudyError
from manihot.core.tables import probabilities, probability_columns
from manihot.export.standalone import ExportError, Predictor
from manihot.scores.comparisons import compare

SCHEMA_VERSION = 1
# How far probabilities may lie from the study's: of the same pixels, and of pixels that another library decoded.
SAME, CLOSE = 1e-4, 0.02
# Where the two best classes of a photo lie nearer than this, either may be its answer.
TIE = 0.02
# A feature on a tree's threshold falls to either side of it: the share of photos that may differ by more, of trees.
ON_THRESHOLD = 0.02
# Points of accuracy that the smaller file may lose.
MOST_LOST = 0.01

Floats = NDArray[np.floating[Any]]
Progress = Callable[[int, int, str], None]


def away(found: Floats, expected: Floats, limit: float, kind: str) -> dict[str, Any]:
    """How far probabilities [n, K] are from those that are expected.

    `n`; `largest` and `mean` difference; `limit`; `beyond`, how many photos have a larger one; `changed`, how many have
    another answer, and `ties`, how many of these have their two best classes within TIE; `passed`.
    """
    each = np.abs(found.astype(np.float64) - expected).max(axis=1)
    best_two = np.sort(expected, axis=1)[:, -2:]
    changed = found.argmax(axis=1) != expected.argmax(axis=1)
    ties = changed & (best_two[:, 1] - best_two[:, 0] < TIE)
    beyond = int((each > limit).sum())
    allowed = ON_THRESHOLD * len(each) if kind == "boosting" else 0
    other = int(changed.sum()) - (int(ties.sum()) if limit > SAME else 0)
    return {
        "n": len(each),
        "largest": float(each.max()),
        "mean": float(np.abs(found - expected).mean()),
        "limit": limit,
        "beyond": beyond,
        "changed": int(changed.sum()),
        "ties": int(ties.sum()),
        "passed": beyond <= allowed and other <= allowed,
    }


def from_pixels(model: Model, predictor: Predictor, paths: Sequence[Path], expected: pd.DataFrame) -> dict[str, Any]:
    """The float32 graph against torch, on the pixels that the study's networks see.

    A model that sees photos in several sizes has no such pixels for all of its networks: its answers from the files are
    all there is to compare.
    """
    ways = {way for member in model.members for way in member.seen}
    if len({way.size for way in ways} | {part.seen.size for part in _reference(model)}) > 1:
        return {"n": 0, "passed": True, "reason": "its networks see photos in several sizes"}
    (way,) = ways
    answers = []
    for batch in decoded(paths, [way], model.settings.batch_size, model.settings.workers, model.settings.max_pixels):
        if batch.usable.any():
            answers.append(predictor.run(batch.pixels[way])["probabilities"])
    usable = expected[expected["problem"] == ""]
    return away(np.concatenate(answers), probabilities(usable, len(model.labels)), SAME, model.record["kind"])


def _reference(model: Model) -> list[Any]:
    return [model.reference[1]] if model.reference else []


def standalone(folder: Path, paths: Sequence[Path], arguments: Sequence[str] = ()) -> pd.DataFrame:
    """What predict.py of an export says of photos, as a program of its own: the columns of its table and `problem`, a
    row a photo in the order of `paths`.

    Raises:
        StudyError: it ends with an error.
    """
    with tempfile.TemporaryDirectory() as place:
        shown, out = Path(place, "photos"), Path(place, "out", "predictions.csv")
        shown.mkdir()
        for row, path in enumerate(paths):
            (shown / f"{row:07}{path.suffix or '.jpg'}").symlink_to(path.absolute())
        command = [sys.executable, "-I", str(folder / "predict.py"), str(shown), "-o", str(out), *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
            raise StudyError(f"predict.py of the export fails: {said}")
        table = _rows(out)
        problems = _rows(out.with_name("problems.csv"))
    told = pd.concat([table.assign(problem=""), problems], ignore_index=True).fillna({"problem": ""})
    told.index = pd.Index([int(name.split(".")[0]) for name in told["image_id"]])
    return told.reindex(range(len(paths)))


def _rows(path: Path) -> pd.DataFrame:
    with path.open(newline="", encoding="utf-8") as handle:
        table = pd.DataFrame(list(csv.DictReader(handle)), dtype="str")
    for column in table.columns.difference(["image_id", "answer", "set", "review", "problem"]):
        table[column] = pd.to_numeric(table[column])
    return table if len(table.columns) else pd.DataFrame(columns=["image_id", "problem"], dtype="str")


def from_files(found: pd.DataFrame, expected: pd.DataFrame, kind: str, classes: int) -> dict[str, Any]:
    """The table of `standalone` against `Model.predict`'s, from the same files: `away`, and which photos have a problem
    on one side only (`problems`), another `set` (`sets`), and how far `unlike` lies, in points of its percent."""
    usable = (found["problem"] == "") & (expected["problem"] == "")
    given, wanted = (probabilities(table[usable], classes) for table in (found, expected))
    told = away(given, wanted, CLOSE, kind)
    told["problems"] = int(((found["problem"] == "") != (expected["problem"] == "")).sum())
    if "set" in expected:
        told["sets"] = int((found["set"] != expected["set"])[usable].sum())
    if "unlike" in expected:
        differ = (found["unlike"] - expected["unlike"])[usable].abs()
        told["unlike"] = {"largest": float(differ.max()), "mean": float(differ.mean())}
    told["passed"] = told["passed"] and not told["problems"]
    return told


def smaller(
    found: pd.DataFrame, expected: pd.DataFrame, photos: pd.DataFrame, catalogs: pd.DataFrame, drawn: Mapping[str, Any]
) -> dict[str, Any]:
    """The int8 file against the float32 one, of tables of `standalone` for `photos` (dataset, image_id, label).

    `accuracy` (of int8), `accuracy_float32`, their paired `difference` with its interval `low` and `high` (over groups;
    these very models), `largest` and `mean` difference of probabilities, `changed` answers, and `passed`: no more than
    MOST_LOST is lost. `drawn` has the labels of the `classes`, `seed` and `resamples`.
    """
    usable = ((found["problem"] == "") & (expected["problem"] == "")).to_numpy()
    classes = [{"label": label, "name": label} for label in drawn["classes"]]
    columns = probability_columns(len(classes))
    rows = photos[usable].reset_index(drop=True)
    sides = [rows.join(table[usable].reset_index(drop=True)[columns]) for table in (found, expected)]
    told = compare(
        [sides[0]], [sides[1]], catalogs, classes, seed=drawn["seed"], resamples=drawn["resamples"], fixed=True
    )
    accuracy = told["metrics"]["accuracy"]
    given = away(sides[0][columns].to_numpy(), sides[1][columns].to_numpy(), 1.0, "")
    return {
        "n": told["n"],
        "accuracy": accuracy["model_value"],
        "accuracy_float32": accuracy["based_on_value"],
        **{key: accuracy[key] for key in ("difference", "low", "high")},
        **{key: given[key] for key in ("largest", "mean", "changed")},
        "passed": bool(round(accuracy["difference"], 9) >= -MOST_LOST),
    }


def refuse(checks: Mapping[str, Any]) -> None:
    """Raise what says that the float32 export is not the model.

    Raises:
        StudyError: one of its checks fails.
    """
    names = {
        "pixels": "the ONNX file answers otherwise than torch, given the study's pixels",
        "files": "the export answers otherwise than torch in float32, from the photos' files",
        "predict": "predict.py answers otherwise than make predict, from the photos' files",
    }
    for name, said in names.items():
        if not (found := checks[name])["passed"]:
            told = ", ".join(f"{key} {found[key]}" for key in ("n", "largest", "beyond", "changed", "ties"))
            raise StudyError(f"nothing is exported: {said} ({told}); docs/using-a-model.md says what the check asks")


@contextlib.contextmanager
def folder_of(files: Mapping[str, Path]) -> Iterator[Path]:
    """A temporary folder that holds files by their names, as an export does.

    Raises:
        StudyError: an export in it cannot be run.
    """
    with tempfile.TemporaryDirectory() as place:
        for name, path in files.items():
            Path(place, name).symlink_to(path.absolute())
        try:
            yield Path(place)
        except ExportError as error:
            raise StudyError(f"nothing is exported: {error}") from error
