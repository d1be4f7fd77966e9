"""`make evaluate`: holds a model of a study against the labels of photos that are none of the study's.

It asks what `make predict` asks, and beside the answers for `evaluation.html`.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from manihot.applied.home import find_model
from manihot.applied.request import Request
from manihot.core import files
from manihot.core.classes import map_labels
from manihot.core.command import ends_in_one_line
from manihot.core.errors import StudyError
from manihot.core.names import RECORD
from manihot.networks import bundle
from manihot.photos.facts import Label
from manihot.photos.labels import as_csv, read_csv, read_labels
from manihot.study.looking import FACT_COLUMNS, find_source
from manihot.study.predict import arguments_of, model_folder, prepare, run
from manihot.study.sources import Label as LabelText
from manihot.study.yaml_files import read_file

COLUMNS = ("image_id", "label", "given_group", "site")


def labels_of(photos: Path, labels: Path | None) -> list[Label]:
    """The labelled photos of a folder, `image_id` as seen from it: of a labels file, or of its sub-folders.

    Raises:
        StudyError: it is not clear what labels the photos.
    """
    header, rows = read_csv(labels) if labels is not None else ([], [])
    if labels is not None and {"image_id", "label"} <= set(header):
        # What is not said of every photo is not known.
        whole = [name for place, name in enumerate(header) if all(fields[place] for _, fields in rows)]
        facts = {
            fact: next((name for name in whole if name.lower() in FACT_COLUMNS[fact]), None)
            for fact in ("given_group", "site")
        }
        return read_labels(labels, facts=facts)
    source = find_source(photos, labels)
    below = source.root.resolve().relative_to(photos.resolve())
    return [label._replace(image_id=(below / label.image_id).as_posix()) for label in source.labels]


def read_map(path: Path) -> dict[str, str | None]:
    """A map of labels, `label: class` or `label: null` a line.

    Raises:
        StudyError: the file is missing or says something else.
    """
    if not path.is_file():
        raise StudyError(f"{path}: no such file: give a map of labels as CLASSES")
    try:
        raw = {str(label): target for label, target in read_file(path).items()}
    except StudyError as error:
        # Another file of YAML than this is meant for: its words are about studies.
        said = str(error).partition(": is no study file")
        raise StudyError(f"{path}: must hold lines such as `mosaic: class`" if said[1] else said[0]) from None
    try:
        return TypeAdapter(dict[LabelText, LabelText | None]).validate_python(raw, strict=True)
    except ValidationError as error:
        place = error.errors()[0]["loc"][0]
        raise StudyError(f"{path}: {place}: must be the label of a class, or null, which leaves photos out") from None


def write_labels(asked: Request, out: Path, written: Path) -> None:
    """Write `listing/labels.csv` below `written`, of the labels that a request in the folder `out` names.

    Raises:
        StudyError: it is not clear what labels the photos.
    """
    found = labels_of(out / asked.photos, out / asked.labels if asked.labels else None)
    rows = [tuple(getattr(label, column) for column in COLUMNS) for label in found]
    files.if_changed(written / "listing" / "labels.csv", as_csv(COLUMNS, rows))


@ends_in_one_line
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0, or what the workflow ended with, or 1 after an error of one line."""
    parser = arguments_of("evaluate", "Hold a model's answers to the photos of a folder against their labels.")
    parser.add_argument("--labels", type=Path, help="the labels file (CSV); else a sub-folder a class, or a CSV in it")
    parser.add_argument("--classes", type=Path, help="a YAML file with the model's class of each label: label: class")
    given = parser.parse_args(arguments)
    classes: Mapping[str, str | None] | None = read_map(given.classes) if given.classes else None
    record = bundle.read_whole(find_model(model_folder(given)) / RECORD)
    labels = {label.label for label in labels_of(Path(given.photos), given.labels)}
    map_labels(classes, labels, [entry["label"] for entry in record["classes"]], str(given.classes or "CLASSES"))
    out = prepare(given, str(given.labels) if given.labels else "", classes)
    code = run(out, given)
    if not code:
        print(f"The evaluation: {out}/evaluation.html; the answers: predictions.html beside it")
    return code


if __name__ == "__main__":
    sys.exit(main())
