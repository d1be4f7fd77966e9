"""A small export on the disk, made without the workflow: a head of two folds, with prediction sets and references."""

import contextlib
from pathlib import Path

import numpy as np
import small_study

from manihot import load_model
from manihot.applied import sets, unlike
from manihot.core import files
from manihot.core.names import SETS
from manihot.core.tables import read_photos
from manihot.export import about, layout, publish
from manihot.export.graph import Graph, to_onnx
from manihot.features import table as feature_table
from manihot.networks import bundle

MODEL = "squeeze_head"


def make(study: Path, folder: Path) -> None:
    """A study below `study`, and the export of its head in `folder`."""
    with contextlib.chdir(study):
        small_study.make()
        features = small_study.backbone("squeeze")
        small_study.head(MODEL, features)
        small_study.answer(MODEL, "head", features=features)
        pool = read_photos("split.csv").query("role == 'pool'")
        reference = unlike.Reference.of(feature_table.select(features, pool), pool["group"].to_numpy())
        (record,) = feature_table.backbones(features)
        reference.write("results/features/unlike/main.npy", pool, record, 1)
        path = f"results/models/{MODEL}/model.json"
        files.write_json(path, files.read_json(path) | {"unlike": "results/features/unlike/main.npy"})
        tables = [read_photos(f"results/predictions/{MODEL}/fold{fold}/validation.csv") for fold in (1, 2)]
        priors = [bundle.read(small_study.fold_folder(MODEL, fold) / "model.json").record["prior"] for fold in (1, 2)]
        known = sets.calibrate(tables, priors, [1, 2], small_study.LABELS, read_photos(small_study.CATALOG), 1)
        files.write_json(f"results/models/{MODEL}/{SETS}", known)
    model = load_model(study / "results/models" / MODEL, device="cpu", precision="float32", workers=1)
    graph = Graph(model)
    made = study / "made"
    made.mkdir()
    (made / layout.ONNX).write_bytes(to_onnx(graph))
    assert model.reference is not None
    np.save(made / layout.REFERENCE, model.reference[0].rows)
    told = {"about": about.describe(model, graph.outputs), "checks": {"int8": {"passed": False}}}
    given = {name: made / name for name in (layout.ONNX, layout.REFERENCE)}
    files.write_json(folder / layout.ABOUT, publish.publish(folder, given, told))
