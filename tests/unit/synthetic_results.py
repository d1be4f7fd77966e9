"""A small but complete results folder, made up and seeded: what the tests of figures and report read.

Two data sets of synthetic photos, three experiments (one with test-time augmentation, one with a new class),
a backbone with its head, two boosters (one refitted), three folds. The project's own code scores them.
"""

import base64
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFilter

from manihot.applied import sets
from manihot.core import files
from manihot.core.names import ANSWERS, PARTS
from manihot.core.tables import history_columns, read_catalogs, read_photos
from manihot.photos.facts import FACTS
from manihot.predictions import calibration
from manihot.predictions.telling import ranked
from manihot.published import conclusions, numbers, paper
from manihot.published.evidence import Evidence
from manihot.scores import choice, comparisons, more_photos, probes, strangers, summaries, switches
from manihot.scores import score as scores
from manihot.scores.answers import score_answers
from manihot.scores.coverage import held_sets, score_sets

CLASSES = {
    "0": "Bacterial Blight (CBB)",
    "1": "Brown Streak (CBSD)",
    "2": "<script>alert(1)</script>",
    "3": "Mosaic (CMD)",
}
COUNTS = {"0": 24, "1": 30, "2": 36, "3": 90}
NEW = "pinus_flexilis"
FOLDS = [1, 2, 3]
PUBLISHED = Path(__file__).parents[2] / "config/published"
DATASETS = ("leaves", "needles")
EXPERIMENTS = ("imbalanced", "balanced", "new_class")
HEAD = "efficientnet_b0_head"
# name: (kind, family, split, based_on, experiment, backbone, folds, skill)
MODELS: dict[str, tuple[str, str, str, str | None, str | None, str | None, list[int], float]] = {
    "imbalanced": ("network", "small_cnn", "main", None, "imbalanced", None, FOLDS, 0.5),
    "balanced": ("network", "small_cnn", "main", "imbalanced", "balanced", None, FOLDS, 1.0),
    "balanced_tta": ("tta", "small_cnn", "main", "balanced", "balanced", None, FOLDS, 1.1),
    "new_class": ("network", "new_class", "with_new", None, "new_class", None, FOLDS, 1.0),
    "efficientnet_b0_head": ("head", "backbones", "main", None, None, "efficientnet_b0", FOLDS, 2.2),
    "xgboost_1": ("boosting", "xgboost", "main", None, None, "efficientnet_b0", FOLDS, 1.6),
    "xgboost_8": ("boosting", "xgboost", "main", "xgboost_1", None, "efficientnet_b0", FOLDS, 2.0),
    "xgboost_8_refit": ("boosting", "xgboost", "main", "xgboost_8", None, "efficientnet_b0", [0], 2.1),
}
# Mosaic that is taken for blight is the worst mistake; blight taken for the other wrong ones costs little.
COSTS = {"3": {"0": 8}, "0": {"1": 0.5}}
PARAMETERS = {"network": 13_218_309, "tta": 13_218_309, "head": 4_013_953, "boosting": 1_920}


def described() -> list[dict[str, Any]]:
    """The models as the study's plan describes them."""
    keys = ("kind", "family", "split", "based_on", "experiment", "backbone", "folds")
    models = [{"name": name, **dict(zip(keys, entry, strict=False))} for name, entry in MODELS.items()]
    return [
        {**model, "sample": model["experiment"] or model["backbone"], "repeat": 0, "repeat_of": None, "leak": False}
        for model in models
    ]


def settings(results: Path) -> dict[str, Any]:
    """What the report is told beside the files."""
    learning = {
        "network": "small_cnn", "size": 96, "batch_size": 32, "epochs": 6, "learning_rate": 5e-5, "dropout": 0.3,
        "schedule": "constant", "frozen": False, "augment": {}, "leak": False, "tta": [],
    }  # fmt: skip
    drawn = {**learning, "split": "main", "draw": "balanced", "train_photos": 100}
    return {
        "title": "A made-up study of <drawn> leaves",
        "description": "Synthetic photos, random predictions: nothing here is a finding.",
        "protocol": "corrected",
        "seed": 42,
        "models": described(),
        "more_photos": ["main"],
        "references": ["main"],
        "trials": [],
        "looked": [name for name, entry in MODELS.items() if entry[0] in {"network", "head"}],
        "datasets": {
            name: {"root": str(results / f"photos/{name}/images"), "source": "demo"} for name in DATASETS
        },
        "study": {
            "title": "A made-up study of <drawn> leaves", "seed": 42, "resamples": 100,
            "equivalence_margin": 2.0, "costs": COSTS,
            "device": "auto", "precision": "auto", "published": str(PUBLISHED), "photos": {"decode": "exact", "max_pixels": 10**6},
            "experiments": {
                "imbalanced": {**drawn, "draw": "as_found"}, "balanced": drawn,
                "new_class": {**drawn, "split": "with_new", "augment": {"vertical_flip": True, "random_crop": 0.5}},
            },
            "backbones": {
                "efficientnet_b0": {
                    "network": "efficientnet_b0", "weights": "none", "size": 96, "batch_size": 32, "split": "main",
                    "normalisation": "weights", "draw": "balanced", "train_photos": None, "per_class": None, "leak": False,
                    "head": {"epochs": 6, "batch_size": 32, "learning_rate": 1e-3},
                }
            },
            "boosting": {
                "xgboost_1": {"n_estimators": 20, "max_depth": 3, "learning_rate": 0.1},
                "xgboost_8": {"n_estimators": 100, "max_depth": 5, "learning_rate": 0.05},
            },
            "overfit": {"small_cnn": {**learning, "photos": 40, "batch_size": 16}},
            "splits": {
                "main": {"dataset": "leaves", "folds": 3, "new_class": None},
                "with_new": {"dataset": "leaves", "like": "main", "folds": 3, "new_class": {"in_every_fold": False}},
            },
        },
    }  # fmt: skip


def build(results: Path, seed: int = 7) -> dict[str, Any]:
    """Write the whole folder below `results`; returns the report's settings."""
    rng = np.random.default_rng(seed)
    leaves = _dataset(results, "leaves", COUNTS, CLASSES, rng)
    needles = _dataset(results, "needles", {NEW: 20}, {NEW: NEW}, rng)
    _split(results, "main", leaves, None, rng)
    _split(results, "with_new", leaves, needles, rng)
    for model in described():
        _model(results, model, rng)
    for name in EXPERIMENTS:
        for fold in FOLDS:
            files.write_table(results / f"models/{name}/fold{fold}/history.csv", _history(rng))
    files.write_table(results / "training/overfit/small_cnn/history.csv", _history(rng))
    (results / "training/augmented").mkdir()
    Image.new("RGB", (586, 194), "green").save(results / "training/augmented/new_class.jpg")
    _scores(results)
    _probes(results, rng)
    _more_photos(results, np.random.default_rng(5))
    _unlike(results, np.random.default_rng(6))
    _grad_cams(results, np.random.default_rng(7))
    _published(results)
    _costs(results, rng)
    return settings(results)


def _dataset(
    results: Path, dataset: str, counts: dict[str, int], names: dict[str, str], rng: np.random.Generator
) -> pd.DataFrame:
    """Draw the photos, write and return the catalog: two pairs of duplicates, three photos set aside."""
    rows: list[dict[str, Any]] = []
    for label, count in counts.items():
        for number in range(count):
            image_id = f"{dataset}_{label}_{number}.jpg" if (label, number) != ("3", 0) else "=cmd().jpg"
            path = results / f"photos/{dataset}/images/{image_id}"
            path.parent.mkdir(parents=True, exist_ok=True)
            _leaf(rng, int(label) if label.isdigit() else 5).save(path, quality=80)
            rows.append({"image_id": image_id, "label": label, "name": names[label], "bytes": path.stat().st_size})
    table = pd.DataFrame(rows).assign(
        dataset=dataset, shard=0, row=range(len(rows)), width=160, height=120, mode="RGB", sha256="", hash="",
        status="ok", group=range(len(rows)), taken="",
    )  # fmt: skip
    # Whose photos were taken with another camera: three of four of the commonest class.
    table["camera"] = np.where((table["label"] == "3") & (table.index % 4 > 0), "<i>Box</i> camera", "")
    if dataset == "leaves":
        table.loc[5, "mode"] = "CMYK"
        table.loc[5, ["width", "height"]] = [120, 160]
        table.loc[[10, 40, 100], "status"] = [
            "missing",
            "truncated: <b>12</b> bytes are not there",
            "1x1 pixels",
        ]
        table.loc[1, "group"], table.loc[30, "group"] = 0, 29
        # Three photos of a plant, which stands in one of two fields.
        table["given_group"] = [f"plant {label}.{number // 3}" for number, label in enumerate(table["label"])]
        table["site"] = np.where(table["given_group"].str[-1].isin(list("13579")), "north field", "south field")
    else:
        table["given_group"] = table["site"] = ""
    table["copies"] = table["group"]
    table[["given_role", "given_fold"]] = ""
    columns = [
        "dataset",
        "image_id",
        "label",
        "name",
        "shard",
        "row",
        "width",
        "height",
        "mode",
        "bytes",
        "camera",
        "taken",
        "sha256",
    ]
    table = table[[*columns, "hash", "status", "copies", "group", *FACTS]]
    files.write_table(results / f"catalog/{dataset}.csv", table)
    pairs = [(0, 1, "exact", 0, 0.0, 1.0), (29, 30, "near", 3, 0.0, 1.0)] if dataset == "leaves" else []
    ids, labels = table["image_id"], table["label"].where(table.index != 30, "0")
    files.write_rows(
        results / f"catalog/{dataset}/duplicates.csv",
        ["image_id_a", "image_id_b", "label_a", "label_b", "kind", "distance", "angle", "scale"],
        [[ids[a], ids[b], labels[a], labels[b], *change] for a, b, *change in pairs],
    )
    files.write_json(results / f"catalog/{dataset}/duplicates.json", {"remark": ""})
    return table


def _leaf(rng: np.random.Generator, kind: int) -> Image.Image:
    """A green leaf with spots on a noisy ground."""
    ground = rng.integers(60, 130, (30, 40, 3), dtype=np.uint8)
    image = Image.fromarray(ground).resize((160, 120), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(image)
    x, y = rng.integers(10, 30, 2)
    draw.ellipse((x, y, x + 110, y + 70), fill=(50 + 12 * kind, 110 + int(rng.integers(0, 60)), 50))
    for _ in range(3 + 2 * kind):
        a, b = rng.integers(25, 100), rng.integers(20, 75)
        draw.ellipse((a, b, a + 6 + kind, b + 6 + kind), fill=(170, 130 + 15 * kind, 40))
    return image


def _split(results: Path, split: str, leaves: pd.DataFrame, new: pd.DataFrame | None, rng: np.random.Generator) -> None:
    usable = leaves[leaves["status"] == "ok"]
    usable = usable if new is None else pd.concat([usable, new])
    table = usable[["dataset", "image_id", "label", "group"]].reset_index(drop=True).assign(role="pool")
    for role, count in (("test", 10), ("test_as_found", 4)):
        pool = table[table["role"] == "pool"]
        if role == "test_as_found":
            pool = pool[pool["label"] != NEW]
        chosen = pool.groupby("label").sample(count, random_state=int(rng.integers(1 << 31))).index
        table.loc[chosen, "role"] = role
    pool = table["role"] == "pool"
    table["fold"] = pd.Series(rng.integers(1, 4, len(table)), index=table.index).where(pool).astype("Int64")
    files.write_table(results / f"splits/{split}.csv", table)
    classes = [{"label": label, "name": name} for label, name in CLASSES.items()]
    counts = {role: group.value_counts().to_dict() for role, group in table.groupby("role")["label"]}
    record = {
        "classes": [*classes, *([{"label": NEW, "name": NEW}] if new is not None else [])],
        "new_class": None if new is None else NEW,
        "counts": counts,
        "shares": table["label"].value_counts(normalize=True).to_dict(),
        "conflicts": 1,
        "folds": 3,
        "given_groups": int(usable["given_group"].nunique()),
        "asked": {"test": 48, "test_as_found": 20},
        "sites": [],
        "copied": 0 if new is None else 2,
        "leaks": _leaks(table["image_id"].tolist()) if new is None else [],
    }
    files.write_json(results / f"splits/{split}.json", record)


def _leaks(names: list[str]) -> list[dict[str, Any]]:
    """One leak of each kind, as `splits.leaks` finds them."""
    kept = {"border": "test", "kind": "copies", "photos": 1, "pairs": [names[:2]], "excluded": False}
    return [kept, {"border": "folds", "kind": "groups", "photos": 7, "pairs": [names[2:4]] * 6, "excluded": True}]


def _model(results: Path, model: dict[str, Any], rng: np.random.Generator) -> None:
    """Random predictions that know the true class more or less well, and what the model is."""
    split = pd.read_csv(results / f"splits/{model['split']}.csv", dtype={"label": str, "fold": "Int64"})
    labels = [entry["label"] for entry in files.read_json(results / f"splits/{model['split']}.json")["classes"]]
    pool = split[split["role"] == "pool"]
    parts = {"train": pool, "validation": pool if model["folds"] != [0] else pool[:0]}
    parts |= {part: split[split["role"] == part] for part in ("test", "test_as_found")}
    skill = MODELS[model["name"]][-1]
    for part, rows in parts.items():
        for fold in [None, *model["folds"]]:
            kept = (
                rows
                if fold is None or part.startswith("test")
                else rows[(rows["fold"] == fold) == (part == "validation")]
            )
            truth = np.array([labels.index(label) for label in kept["label"]], dtype=int)
            logits = rng.normal(size=(len(kept), len(labels)))
            logits[np.arange(len(kept)), truth] += skill * (1.6 if part == "train" else 1) + 2 * (kept["label"] == NEW)
            logits = np.exp(1.3 * logits)
            table = kept[["dataset", "image_id", "label"]].reset_index(drop=True)
            table["fold"] = kept["fold"].to_numpy() if part == "validation" else fold
            for index in range(len(labels)):
                table[f"p{index}"] = (logits / logits.sum(axis=1, keepdims=True))[:, index]
            place = model["name"] if fold is None else f"{model['name']}/fold{fold}"
            files.write_table(results / f"predictions/{place}/{part}.csv", table)
    record = files.read_json(results / f"splits/{model['split']}.json")
    shares = pool["label"].value_counts(normalize=True).reindex(labels, fill_value=0.0).tolist()
    folds = {
        part: [read_photos(results / f"predictions/{model['name']}/fold{fold}/{part}.csv") for fold in model["folds"]]
        for part in PARTS
    }
    source = model["based_on"] if list(model["folds"]) == [0] else model["name"]
    known = files.read_json(results / f"models/{source}/model.json") if source != model["name"] else None
    of_folds = known and known["calibration"]["temperature"]
    answers, temperature = calibration.answer(folds, [shares] * len(model["folds"]), record, of_folds)
    for kind, tables in answers.items():
        for part, table in tables.items():
            files.write_table(results / f"predictions/{model['name']}/{kind}/{part}.csv", table)
    whole = {"temperature": temperature, "temperature_from": source, "shares": record["shares"]}
    files.write_json(results / f"models/{model['name']}/model.json", {"calibration": whole})
    if model["kind"] != "tta":
        counts = {"parameters": PARAMETERS[model["kind"]], "trainable": PARAMETERS[model["kind"]]}
        counts |= {"trainable": 5125} if model["kind"] == "head" else {}
        for fold in model["folds"]:
            folder = results / f"models/{model['name']}/fold{fold}"
            files.write_json(folder / "model.json", {"network": "small_cnn", "precision": "float32", **counts})
            if model["kind"] != "network":  # an experiment's comes after all models
                files.write_table(folder / "history.csv", _history(rng))


def _probes(results: Path, rng: np.random.Generator) -> None:
    """What facts tell in both splits, and a head that knows less of photos without their middle."""
    for split in ("main", "with_new"):
        record = files.read_json(results / f"splits/{split}.json")
        table, folder = read_photos(results / f"splits/{split}.csv"), results / f"scores/probes/{split}"
        catalogs = read_catalogs([results / f"catalog/{name}.csv" for name in DATASETS])
        about = {"seed": 1, "resamples": 100}
        majority = scores.majority_class(record)
        found, predictions = probes.probe_facts(table, catalogs, record["classes"], majority=majority, **about)
        files.write_json(folder / "facts.json", found)
        files.write_table(folder / "facts.csv", predictions)
        if split == "main":
            whole = read_photos(results / f"predictions/{HEAD}/validation.csv")
            masked = whole.copy()
            columns = [column for column in masked if column.startswith("p")]
            masked[columns] = 0.5 * masked[columns] + 0.5 * rng.dirichlet([0.4] * len(columns), len(masked))
            weighed = probes.weigh_masked(masked, whole, catalogs, record["classes"], size=96, **about)
            files.write_json(folder / "masked.json", {"head": HEAD, **weighed})


def _more_photos(results: Path, rng: np.random.Generator) -> None:
    """The head on fewer photos: the fewer, the more of what it knows is noise."""
    tables = {}
    for kind, place in (("raw", ""), ("calibrated", "calibrated/")):
        whole = read_photos(results / f"predictions/{HEAD}/{place}validation.csv")
        columns = [column for column in whole if column.startswith("p")]
        parts = []
        for share in (0.125, 0.2, 0.35, 0.6, 1.0):
            part = whole.assign(photos=round(90 * share))
            part.insert(0, "share", share)
            noise = 0.4 * (share**-0.5 - 1)
            part[columns] = (part[columns] + noise * rng.dirichlet([0.4] * len(columns), len(part))) / (1 + noise)
            parts.append(part)
        tables[kind] = pd.concat(parts, ignore_index=True)
    catalogs = read_catalogs([results / f"catalog/{name}.csv" for name in DATASETS])
    classes = files.read_json(results / "splits/main.json")["classes"]
    weighed = more_photos.weigh(tables, catalogs, classes, margin=2.0, seed=1, resamples=100)
    files.write_json(results / "scores/more_photos/main/curve.json", {"head": HEAD, **weighed})


def _unlike(results: Path, rng: np.random.Generator) -> None:
    """How unlike the photos of main those of the tests and strange ones are."""
    own, strange = rng.uniform(0, 100, 60), {"noise": np.full(50, 100.0), "photos of needles": rng.uniform(40, 100, 40)}
    told = {"network": "efficientnet_b0", "reference": 90, **strangers.weigh(own, np.arange(60), strange)}
    files.write_json(results / "scores/unlike/main.json", told)


def _grad_cams(results: Path, rng: np.random.Generator) -> None:
    """Where the networks looked: somewhere on the leaf. One network has no last maps."""
    for name, (kind, _, split, *_) in MODELS.items():
        if kind not in {"network", "head"}:
            continue
        classes = [entry["label"] for entry in files.read_json(results / f"splits/{split}.json")["classes"]]
        photos = []
        for group, rows in ranked(read_photos(results / f"predictions/{name}/validation.csv"), classes, 4).items():
            for row in rows.to_dict("records"):
                with Image.open(results / f"photos/{row['dataset']}/images/{row['image_id']}") as file:
                    plain = file.convert("RGB").resize((144, 144))
                x, y = rng.integers(10, 90, 2)
                lit = Image.new("L", plain.size)
                ImageDraw.Draw(lit).ellipse((x, y, x + 45, y + 45), fill=255)
                sheet = Image.new("RGB", (290, 144), "white")
                sheet.paste(plain)
                dark = plain.convert("L").point(lambda value: 0.3 * value).convert("RGB")
                sheet.paste(Image.composite(plain, dark, lit.filter(ImageFilter.GaussianBlur(12))), (146, 0))
                buffer = io.BytesIO()
                sheet.save(buffer, "JPEG")
                picture = base64.b64encode(buffer.getvalue()).decode()
                photos.append({**row, "fold": int(row["fold"]), "kind": group, "silent": False, "picture": picture})
        drawn = {"network": "small_cnn", "layer": "2", "grid": [6, 6], "photos": photos}
        none = {"none": "its network has no last maps that a Grad-CAM could take"}
        files.write_json(results / f"predictions/{name}/grad_cam.json", none if name == "imbalanced" else drawn)


def _history(rng: np.random.Generator, epochs: int = 6) -> pd.DataFrame:
    epoch = np.arange(1, epochs + 1)
    noise = rng.normal(0, 0.03, (4, epochs))
    values = [
        1.5 * np.exp(-epoch / 4) + 0.2 + noise[0], 0.4 + 0.09 * epoch + noise[1],
        1.4 * np.exp(-epoch / 6) + 0.5 + noise[2], 0.35 + 0.05 * epoch + noise[3], np.full(epochs, 5e-5),
    ]  # fmt: skip
    return pd.DataFrame(dict(zip(history_columns("epoch"), [epoch, *values], strict=True)))


def _published(results: Path) -> None:
    """The published numbers beside the made-up ones, the conclusions and the switches, by the project's functions."""
    study = settings(results)["study"]
    names = list(MODELS)
    records = {(n, part): files.read_json(results / f"scores/{n}/{part}.json") for n in names for part in PARTS}
    histories = {
        (name, fold): pd.read_csv(results / f"models/{name}/fold{fold}/history.csv")
        for name in (*EXPERIMENTS, HEAD)
        for fold in FOLDS
    }
    asked = {key: study[key] for key in ("experiments", "backbones", "boosting", "splits")}
    models = {model["name"]: model for model in described()}
    measured = numbers.Measured(records, histories, models, asked["experiments"], asked["backbones"], asked["boosting"])
    files.write_table(results / "published/numbers.csv", numbers.compare(PUBLISHED, measured))
    compared = pd.read_csv(results / "scores/comparisons.csv", dtype={"model": str, "based_on": str})
    pairs = paper.weighed_pairs(SimpleNamespace(**model) for model in described())
    tables = {
        (name, part): read_photos(results / f"predictions/{name}/{part}.csv")
        for name, part in paper.predictions_of(pairs)
    }
    catalogs = read_catalogs([results / f"catalog/{name}.csv" for name in DATASETS])
    classes = {name: files.read_json(results / f"splits/{name}.json")["classes"] for name in ("main", "with_new")}
    evidence = Evidence(
        models=models, experiments=asked["experiments"], backbones=asked["backbones"],
        boosting=asked["boosting"], splits=asked["splits"],
        checks=study["overfit"], scores=records,
        overfit={"small_cnn": pd.read_csv(results / "training/overfit/small_cnn/history.csv")}, compared=compared,
        paired=conclusions.paired(pairs, tables, catalogs, classes, seed=1, resamples=100),
    )  # fmt: skip
    weighed = {"conclusions": conclusions.weigh(evidence), "balancing": conclusions.balancing(evidence)}
    files.write_json(results / "published/conclusions.json", weighed)
    roles = {name: read_photos(results / f"splits/{name}.csv") for name in ("main", "with_new")}
    sides = {
        "model": "xgboost_8_refit", "models": ["xgboost_8_refit"],
        "based_on": "xgboost_8", "based_on_models": [f"xgboost_8/fold{fold}" for fold in FOLDS],
    }  # fmt: skip
    refitted = [{**sides, "split": "main", "part": part} for part in ("test", "test_as_found")]
    fitted = {
        (name, part): read_photos(results / f"predictions/{name}/{part}.csv")
        for part in ("test", "test_as_found")
        for name in (*sides["models"], *sides["based_on_models"])
    }
    refits = switches.beside_single_folds(refitted, fitted, catalogs, classes, seed=1, resamples=100)
    worth = switches.weigh(compared, described(), asked["experiments"], asked["splits"], roles, {}, refits)
    files.write_table(results / "scores/switches.csv", worth)


def _costs(results: Path, rng: np.random.Generator) -> None:
    """A row of costs a job, under the name of the job's settings."""
    names = {
        "catalog_shard": {"leaves": ["0"]}, "cache_pixels": {"leaves_96px": ["0"]}, "split_photos": {"main": [""]},
        "train_fold": {name: FOLDS for name in ("imbalanced", "balanced")},
        "extract_features": {"efficientnet_b0": ["leaves_96px_identity"]},
        "fit_head": {"efficientnet_b0_head": FOLDS}, "fit_booster": {"xgboost_8": FOLDS},
        "score_model": {"balanced": [""]},
    }  # fmt: skip
    for rule, jobs in names.items():
        for name, job in ((name, job) for name, each in jobs.items() for job in each):
            row = {
                "stage": rule, "name": name, "seconds": round(float(rng.gamma(2, 4)), 2), "photos": 180,
                "photos_per_second": 22.5, "peak_memory_mb": round(float(rng.uniform(200, 900)), 1),
                "device": "cpu",
                "precision": "float32", "threads": 2, "reused": 0, "host": "here",
            }  # fmt: skip
            files.write_rows(results / f"costs/{rule}/{name}/{job}.csv", list(row), [row])
            files.write_json(results / f"settings/{rule}/{name}.json", {})
    # Of twice as many jobs as there are costs of: what is reckoned for them is half.
    stages = [{"stage": "train_fold", "jobs": 2 * 2 * len(FOLDS), "seconds": 40.0, "bytes": 1000}]
    files.write_json(results / "costs/estimate.json", {"stages": stages, "about": {}})


def _sets(
    results: Path, model: dict[str, Any], part: str, split: dict[str, Any], tables: list[pd.DataFrame]
) -> dict[str, Any]:
    """What the sets of a model are worth on a test; those of a refit are of its folds' scores."""
    catalogs = pd.concat([read_photos(results / f"catalog/{name}.csv") for name in DATASETS])
    labels = [entry["label"] for entry in split["classes"]]
    refit = model["folds"] == [0]
    folds, of = (FOLDS, model["based_on"]) if refit else (model["folds"], model["name"])
    shown = [read_photos(results / f"predictions/{of}/fold{fold}/validation.csv") for fold in folds]
    shares = [split["shares"][label] for label in labels]
    record = sets.calibrate(shown, [shares] * len(shown), folds, labels, catalogs, 1)
    record = sets.of_refit(record) if refit else record
    answers = read_photos(results / f"predictions/{model['name']}/calibrated/{part}.csv")
    held = held_sets(record, tables, [shares] * len(tables), answers, 0.9)
    return score_sets(record, held, answers, catalogs, split["classes"], 0.9)


def _scores(results: Path) -> None:
    """Scores, summary, choices and comparisons, made by the project's own functions."""
    catalogs = pd.concat([read_photos(results / f"catalog/{name}.csv") for name in ("leaves", "needles")])
    records: dict[tuple[str, str], dict[str, Any]] = {}
    for model in described():
        name, record = model["name"], files.read_json(results / f"splits/{model['split']}.json")
        about = {"kind": model["kind"], "parameters": PARAMETERS[model["kind"]]}
        for part in PARTS:
            folder = results / f"predictions/{name}"
            tables = [
                read_photos(folder / place / f"{part}.csv") for place in (f"fold{fold}" for fold in model["folds"])
            ]
            raw = read_photos(folder / f"{part}.csv")
            records[name, part] = about | scores.score(
                raw, catalogs, record["classes"], seed=1, resamples=100,
                marked=scores.Marked(record["new_class"], scores.majority_class(record), COSTS), folds=tables,
            )  # fmt: skip
            if part.startswith("test"):
                records[name, part]["sets"] = _sets(results, model, part, record, tables)
            if part != "train":
                kinds = {"raw": raw} | {kind: read_photos(folder / kind / f"{part}.csv") for kind in ANSWERS}
                records[name, part]["answers"] = score_answers(
                    kinds,
                    catalogs,
                    record["classes"],
                    as_found=calibration.as_found(record),
                    costs=COSTS,
                    target=calibration.targets(record)[part] if part == "validation" else None,
                    seed=1,
                    resamples=100,
                )
            files.write_json(results / f"scores/{name}/{part}.json", records[name, part])
    files.write_table(results / "summary.csv", summaries.summarise(records, described()))
    for split in ("main", "with_new"):
        made = choice.choose(
            [model for model in described() if model["split"] == split], records,
            lambda name: read_photos(results / f"predictions/{name}/calibrated/validation.csv"), catalogs,
            files.read_json(results / f"splits/{split}.json")["classes"], seed=1, resamples=100,
        )  # fmt: skip
        files.write_json(results / f"scores/choice/{split}.json", made)
    compared = []
    for model in described():
        # A refit stands beside the single models of its folds instead.
        for part in PARTS[1:] if model["based_on"] and model["folds"] != [0] else ():
            pair = {key: model[key] for key in ("family", "based_on")} | {
                "model": model["name"],
                "part": part,
            }
            paths = [results / f"predictions/{model[key]}/{part}.csv" for key in ("name", "based_on")]
            sides = [[read_photos(path)] for path in paths]
            classes = files.read_json(results / f"splits/{model['split']}.json")["classes"]
            result = comparisons.compare(*sides, catalogs, classes, seed=1, resamples=100, permutations=200)
            compared.append((pair, result))
    files.write_table(results / "scores/comparisons.csv", comparisons.tabulate(compared, 2.0))
