"""All checks of an export, and how fast it is."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from manihot.applied.load import load_model
from manihot.core import files
from manihot.export import checks, layout, standalone
from manihot.export.checks import Progress

# The photo that is timed, and how often.
TIMED, TIMES = (600, 800, 3), 7


@dataclass(frozen=True)
class Export:
    """What was made: files by their names in the export (an empty model-int8.onnx is none), the record `about` the
    model, and what is known of how the int8 file was `made`."""

    files: Mapping[str, Path]
    about: Mapping[str, Any]
    made: Mapping[str, Any]

    def present(self) -> dict[str, Path]:
        """The files that there are."""
        return {name: path for name, path in self.files.items() if path.stat().st_size}


def verify(
    export: Export,
    asked: Mapping[str, Any],
    photos: pd.DataFrame,
    catalogs: pd.DataFrame,
    threads: int,
    progress: Progress,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check an export on photos (dataset, image_id, label, role, path) of the study.

    Args:
        export: what was made.
        asked: the folder of the `model`, `seed` and `resamples`.
        photos: those that it is checked on.
        catalogs: the groups of all photos.
        threads: processor cores.
        progress: told of the steps.

    Returns:
        The checks: `schema_version`, `photos` (how many of each role), `versions`, `pixels`, `files` and `predict`
        (`checks.away`), and `int8` (`checks.smaller`, how it was `made`, and `reason` where it is not written). And the
        speed of each file in milliseconds a photo.

    Raises:
        StudyError: the float32 export is not the model.
    """
    paths = list(photos["path"])
    present = export.present()
    about = layout.with_files(export.about, present)
    labels = [entry["label"] for entry in about["classes"]]
    with checks.folder_of({**present, layout.PREDICT: Path(standalone.__file__)}) as folder:
        files.write_json(folder / layout.ABOUT, about)
        predictor = standalone.Predictor(folder, threads=threads)
        exact = load_model(asked["model"], device="cpu", precision="float32", workers=threads)
        expected = exact.predict(paths)
        progress(1, 5, "checks")
        told = {"pixels": checks.from_pixels(exact, predictor, paths, expected)}
        progress(2, 5, "checks")
        found = checks.standalone(folder, paths, ["--threads", str(threads)])
        told["files"] = checks.from_files(found, expected, about["kind"], len(labels))
        progress(3, 5, "checks")
        # As make predict answers: in the precision that the model was fitted in.
        fitted = load_model(asked["model"], device="cpu", workers=threads).predict(paths)
        told["predict"] = checks.from_files(found, fitted, about["kind"], len(labels))
        checks.refuse(told)
        progress(4, 5, "checks")
        told["int8"] = {"passed": False, **export.made}
        speed = {layout.ONNX: _milliseconds(folder, False)}
        if layout.INT8 in present:
            small = checks.standalone(folder, paths, ["--threads", str(threads), "--int8"])
            drawn = {"classes": labels, "seed": asked["seed"], "resamples": asked["resamples"]}
            told["int8"] = {**export.made, **checks.smaller(small, found, photos, catalogs, drawn)}
            if not told["int8"]["passed"]:
                lost = -100 * told["int8"]["difference"]
                told["int8"]["reason"] = f"it loses {lost:.1f} points of accuracy on the test photos, more than 1"
            speed[layout.INT8] = _milliseconds(folder, True)
    names = ("onnx", "onnxruntime", "onnxscript", "torch")
    counts = photos["role"].value_counts().sort_index()
    head = {"schema_version": checks.SCHEMA_VERSION, "photos": {role: int(count) for role, count in counts.items()}}
    return {**head, "versions": {name: version(name) for name in names}, **told}, {
        "photo": list(TIMED),
        "threads": 1,
        "milliseconds": speed,
    }


def _milliseconds(folder: Path, int8: bool) -> float:
    """The median time for a photo of TIMED, on one core; the first one does not count."""
    predictor = standalone.Predictor(folder, int8=int8, threads=1)
    photo = np.random.default_rng(1).integers(0, 256, TIMED, dtype=np.uint8)[None]
    taken = []
    for _ in range(TIMES + 1):
        start = time.perf_counter()
        predictor.run(photo)
        taken.append(1000 * (time.perf_counter() - start))
    return round(float(np.median(taken[1:])), 1)
