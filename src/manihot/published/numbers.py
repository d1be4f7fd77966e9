"""The paper's numbers beside the measured ones, with what both errors leave of the difference."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from scipy import special

from manihot.core import files
from manihot.published import paper
from manihot.scores.resampled import corrected_mean

COLUMNS = [
    "table", "row", "quantity", "published", "measured", "low", "high",
    "difference", "difference_low", "difference_high", "differs", "remark",
]  # fmt: skip
Settings: TypeAlias = Mapping[str, Any]
NOT_RUN = "not run in this study"
UNSEEDED = "unseeded there"
# What the paper's text says of all its backbones and boosters: their tables do not repeat it.
BACKBONE = {"size": 224, "batch_size": 256, "epochs": 10, "learning_rate": 1e-3}
TESTED, VALIDATED = 1000, 1138  # photos of its test, and of the fifth of its 5,687 others


class Estimate(NamedTuple):
    """A number and its 95 % interval; the ends are NaN where no error is known."""

    value: float
    low: float = math.nan
    high: float = math.nan

    def turned(self) -> "Estimate":
        """The same difference seen from the other side."""
        return Estimate(-self.value, -self.high, -self.low)


ABSENT = Estimate(math.nan)


@dataclass(frozen=True)
class Measured:
    """What this study measured: `scores` by (model, part), `histories` by (model, fold), and its settings.

    `models` are the plan's descriptions by name.
    """

    scores: Mapping[tuple[str, str], Settings]
    histories: Mapping[tuple[str, int], pd.DataFrame]
    models: Mapping[str, Settings]
    experiments: Mapping[str, Settings]
    backbones: Mapping[str, Settings]
    boosting: Mapping[str, Settings]

    def seen(self, model: str) -> dict[str, Any]:
        """Network and size of the backbone whose features a model has; of several that are joined, their names."""
        entry = self.backbones[self.models[model]["backbone"]]
        if "join" in entry:
            return dict.fromkeys(("network", "size"), f"of {' and '.join(entry['join'])}")
        return {key: entry[key] for key in ("network", "size")}

    def photos(self, model: str, part: str) -> int:
        """How many photos a part has."""
        return int(self.scores[model, part]["n"])

    def ensemble(self, model: str, part: str, metric: str = "accuracy") -> Estimate:
        """A metric of a model as a whole."""
        record = self.scores[model, part]
        return Estimate(**record["metrics"][metric]) if record["n"] else ABSENT

    def single(self, model: str, part: str, metric: str = "accuracy") -> Estimate:
        """The mean over the folds' own models, with an interval as wide as the whole model's."""
        whole, folds = self.ensemble(model, part, metric), self.scores[model, part].get("folds", [])
        if not folds:
            return whole
        shift = sum(fold[metric] for fold in folds) / len(folds) - whole.value
        return Estimate(*(end + shift for end in whole))

    def last_epoch(self, model: str, column: str) -> Estimate:
        """The mean over folds of the last epoch, with the interval of `mean`."""
        folds = [h[column].iloc[-1] for (name, _), h in self.histories.items() if name == model]
        return mean(folds)


def mean(values: Sequence[float]) -> Estimate:
    """The mean over the folds of a k-fold with its 95 % interval (`corrected_mean`), without ends for one fold."""
    column = np.asarray(values, dtype=np.float64)
    return Estimate(*corrected_mean(column, 1 / (len(column) - 1) if len(column) > 1 else math.inf)[:3])


def share(value: float, n: int) -> Estimate:
    """A published share of `n` photos with its Wilson interval (1927); it is taken as printed.

    The paper says of no photo which others it belongs to: they count one by one.
    """
    if math.isnan(value):
        return ABSENT
    square = float(special.ndtri(0.975)) ** 2 / n
    right = round(value * n) / n
    centre = (right + square / 2) / (1 + square)
    half = math.sqrt(square * right * (1 - right) + square**2 / 4) / (1 + square)
    return Estimate(value, min(value, centre - half), max(value, centre + half))


def difference(a: Estimate, b: Estimate) -> Estimate:
    """`a - b` of two independent estimates, with the interval of both (Zou and Donner 2008, MOVER)."""
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    return Estimate(value, low, value + math.hypot(a.high - a.value, b.value - b.low))


def compare(folder: Path, measured: Measured) -> pd.DataFrame:
    """A row (COLUMNS) a published number, in the order of the tables in `folder`; `difference` is measured - published.

    Rows match by name: experiments have their published names; backbone `b` is the model `b_head`, or the
    experiment `b`; XGBoost's attempt n is `xgboost_n`. Published accuracies have a Wilson interval over
    their photos, means over folds that of `corrected_mean`; a published loss is taken to be as uncertain as the
    measured one on as many photos. `differs` is empty where settings are not the paper's, or an error is not known.
    """
    experiments = pd.read_csv(folder / paper.EXPERIMENTS).set_index("experiment")
    boosters = pd.read_csv(folder / paper.XGBOOST)
    rows = [
        *_experiments(experiments, measured),
        *_epochs(pd.read_csv(folder / paper.EPOCHS), experiments, measured),
        *_backbones(pd.read_csv(folder / paper.BACKBONES, dtype={"parameters_millions": str}), measured),
        *_boosters(boosters, measured),
        *_recalls(files.read_json(folder / paper.CONFUSIONS), boosters, measured),
        *_hardware(pd.read_csv(folder / paper.HARDWARE)),
    ]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"differs": "boolean"})


def _row(
    place: tuple[str, str, str], printed: Estimate, own: Estimate, remarks: Sequence[str], comparable: bool
) -> dict[str, Any]:
    apart = difference(own, printed)
    known = comparable and not math.isnan(apart.low)
    return {
        **dict(zip(COLUMNS, (*place, printed.value, *own, *apart), strict=False)),
        "differs": not apart.low <= 0 <= apart.high if known else None,
        "remark": "; ".join(remarks),
    }


def _other_settings(theirs: Settings, ours: Settings) -> list[str]:
    """The settings that are not the paper's, each in words; two photos in a hundred more or fewer are none."""
    said = []
    for key, value in theirs.items():
        own = ours.get(key)
        if isinstance(value, str) or isinstance(own, str) or own is None:
            same = own == value
        else:
            same = math.isclose(own, value, rel_tol=0.02 if key == "training photos" else 1e-9)
        if not same:
            said.append(f"{key.replace('_', ' ')} {_number(own)} instead of {_number(value)}")
    return [f"not compared: {', '.join(said)}"] if said else []


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


def _experiment_settings(name: str, row: Settings, measured: Measured) -> list[str]:
    """What an experiment does otherwise than the published one of its name."""
    model = measured.models[name]
    ours = {
        **measured.experiments[model["experiment"]],
        "folds": len(model["folds"]),
        "training photos": measured.photos(name, "train"),
    }
    theirs = {
        "network": row["model"], "size": int(row["image_size"]), "training photos": int(row["train_size"]),
        "folds": int(row["folds_run"]),
        **{key: row[key] for key in ("batch_size", "epochs", "learning_rate", "schedule", "dropout")},
    }  # fmt: skip
    return _other_settings(theirs, ours)


def _tested(text: str) -> int:
    """The photos of a test set in words, such as `balanced test (1000) + 30 of the new class`."""
    return sum(map(int, re.findall(r"\d+", text)))


def _experiments(table: pd.DataFrame, measured: Measured) -> Iterator[dict[str, Any]]:
    for name, row in table.iterrows():
        place = ("experiments", str(name), "test accuracy")
        value = float(row["published_ensemble_accuracy"])
        photos = 0 if math.isnan(value) else _tested(row["test_set"])
        printed = share(value, photos)
        if name not in measured.models:
            yield _row(place, printed, ABSENT, [NOT_RUN], False)
            continue
        own = measured.ensemble(name, "test")
        if not photos:
            yield _row(place, printed, own, ["no ensemble was published"], False)
            continue
        other = _experiment_settings(name, row, measured)
        tested = measured.photos(name, "test")
        remarks = [UNSEEDED, *([f"{tested:,} test photos instead of {photos:,}"] if tested != photos else [])]
        yield _row(place, printed, own, other or remarks, not other)


def _epochs(logs: pd.DataFrame, experiments: pd.DataFrame, measured: Measured) -> Iterator[dict[str, Any]]:
    columns = {"val_loss": "validation_loss", "val_accuracy": "validation_accuracy"}
    for name, log in logs.groupby("experiment", sort=False):
        last = log[log["epoch"] == log["epoch"].max()]
        for theirs, ours in columns.items():
            place = ("epochs", str(name), ours.replace("_", " "))
            printed = mean(last[theirs])
            if name not in measured.models:
                yield _row(place, printed, ABSENT, [NOT_RUN], False)
                continue
            other = _experiment_settings(name, experiments.loc[name], measured)
            remark = f"mean of {len(last)} folds there, {UNSEEDED}"
            yield _row(place, printed, measured.last_epoch(name, ours), other or [remark], not other)


def _backbones(table: pd.DataFrame, measured: Measured) -> Iterator[dict[str, Any]]:
    for row in table.to_dict("records"):
        name = row["backbone"]
        model = next((m for m in (f"{name}_head", name) if m in measured.models), None)
        accuracies = {"val_accuracy": VALIDATED, "test_accuracy": TESTED}
        printed = {key: share(row[key], n) for key, n in accuracies.items()}
        correct = Estimate(*(TESTED * end for end in printed["test_accuracy"]))
        printed |= {"test_correct": correct, "test_errors": _rest(correct)}
        if model is None:
            for key in (
                "val_loss",
                "val_accuracy",
                "test_loss",
                "test_accuracy",
                "test_correct",
                "test_errors",
            ):
                place = ("backbones", name, _in_words(key))
                yield _row(place, printed.get(key, Estimate(row[key])), ABSENT, [NOT_RUN], False)
        else:
            yield from _backbone(name, model, row, printed, measured)
        yield _parameters(name, str(row["parameters_millions"]), model, measured)
        runtime = ("backbones", name, "run time, seconds")
        yield _row(runtime, Estimate(row["runtime_seconds"]), ABSENT, ["other hardware"], False)


def _backbone(
    name: str, model: str, row: Settings, printed: dict[str, Estimate], measured: Measured
) -> Iterator[dict[str, Any]]:
    """A backbone's losses, accuracies and counts: those of one model, as the paper fitted one."""
    backbone, experiment = measured.models[model]["backbone"], measured.models[model]["experiment"]
    if backbone:
        ours = {**measured.backbones[backbone]["head"], **measured.seen(model)}
    else:
        ours = dict(measured.experiments[experiment])
    tested = measured.photos(model, "test")
    other = _other_settings({**BACKBONE, "test photos": TESTED}, {**ours, "test photos": tested})
    accuracy = measured.single(model, "test")
    correct = Estimate(*(tested * end for end in accuracy))
    metric, said = _validation_metric(model, measured)
    own = {
        "val_loss": measured.single(model, "validation", "log_loss"),
        "val_accuracy": measured.single(model, "validation", metric),
        "test_loss": measured.single(model, "test", "log_loss"),
        "test_accuracy": accuracy,
        "test_correct": correct,
        "test_errors": _rest(correct, tested),
    }
    for key, value in own.items():
        part, n = ("validation", VALIDATED) if key.startswith("val") else ("test", TESTED)
        # An experiment of two classes' photos in other shares has another loss, whatever the network.
        mixed = key == "val_loss" and metric != "accuracy"
        remarks = [*(said if part == "validation" else []), UNSEEDED]
        scale = math.sqrt(measured.photos(model, part) / n)
        theirs = printed.get(key) or Estimate(row[key], *(row[key] + scale * (end - value.value) for end in value[1:]))
        if mixed:
            remarks = ["not compared: the photos out of fold have their classes as found"]
        yield _row(("backbones", name, _in_words(key)), theirs, value, other or remarks, not (other or mixed))


def _validation_metric(model: str, measured: Measured) -> tuple[str, list[str]]:
    """What corresponds to the accuracy on the paper's balanced validation photos.

    The corrected protocol validates on the whole pool with its classes as found.
    """
    counts = [entry["n"] for entry in measured.scores[model, "validation"].get("per_class", [])]
    if not counts or max(counts) < 2 * min(counts):
        return "accuracy", []
    return "balanced_accuracy", ["balanced accuracy out of fold, where classes are as found"]


def _rest(correct: Estimate, n: int = TESTED) -> Estimate:
    return Estimate(n - correct.value, n - correct.high, n - correct.low)


def _in_words(key: str) -> str:
    return key.replace("val_", "validation_").replace("_", " ")


def _parameters(name: str, millions: str, model: str | None, measured: Measured) -> dict[str, Any]:
    """Parameters as printed beside those of the trained network: a count has no error but its rounding."""
    place = ("backbones", name, "parameters, millions")
    printed = float(millions)
    if model is None:
        return _row(place, Estimate(printed), ABSENT, [NOT_RUN], False)
    own = measured.scores[model, "test"]["parameters"] / 1e6
    differs = abs(own - printed) >= 10.0 ** -len(millions.partition(".")[2])
    remark = "as printed there: not of the network that was trained" if differs else "as printed there"
    return {**_row(place, Estimate(printed), Estimate(own), [remark], False), "differs": differs}


def _boosters(table: pd.DataFrame, measured: Measured) -> Iterator[dict[str, Any]]:
    parts = {"train": ("train", 4 * VALIDATED), "val": ("validation", VALIDATED), "test": ("test", TESTED)}
    for row in table.to_dict("records"):
        name = paper.booster(row["attempt"])
        for key, (part, n) in parts.items():
            place, printed = ("xgboost", name, f"{part} accuracy"), share(row[f"{key}_accuracy"], n)
            if name not in measured.models:
                yield _row(place, printed, ABSENT, [NOT_RUN], False)
                continue
            metric, said = _validation_metric(name, measured) if part == "validation" else ("accuracy", [])
            other = _booster_settings(name, row, measured)
            remarks = other or said or ["one model there; the mean of the folds' here"]
            yield _row(place, printed, measured.single(name, part, metric), remarks, not other)
        runtime = ("xgboost", name, "run time, seconds")
        yield _row(runtime, Estimate(row["runtime_seconds"]), ABSENT, ["other hardware"], False)


def _booster_settings(name: str, row: Settings, measured: Measured) -> list[str]:
    ours = {
        **measured.boosting[name],
        **measured.seen(name),
        "test photos": measured.photos(name, "test"),
    }
    keys = ("n_estimators", "max_depth", "learning_rate")
    whole = {"early_stopping": None, "subsample": 1.0, "colsample_bynode": 1.0}
    theirs = {"network": "efficientnet_b0", "size": row["image_size"], **whole, **{key: row[key] for key in keys}}
    return _other_settings({**theirs, "test photos": TESTED}, ours)


def _recalls(matrices: Settings, boosters: pd.DataFrame, measured: Measured) -> Iterator[dict[str, Any]]:
    attempts = boosters.set_index("attempt")
    for key, matrix in matrices.items():
        if (found := re.match(r"xgboost_attempt_(\d+)", key)) is None:
            continue
        name = paper.booster(found[1])
        row = attempts.loc[int(found[1])]
        for label, counts in enumerate(matrix):
            place = ("confusions", name, f"recall of class {label}")
            printed = share(counts[label] / sum(counts), sum(counts))
            if name not in measured.models:
                yield _row(place, printed, ABSENT, [NOT_RUN], False)
                continue
            classes = {entry["label"]: entry for entry in measured.scores[name, "test"]["per_class"]}
            entry = classes.get(str(label))
            if entry is None:
                yield _row(place, printed, ABSENT, ["this study has no such class"], False)
                continue
            other, folds = _booster_settings(name, row, measured), len(measured.models[name]["folds"])
            if folds > 1 and not other:
                other = [f"not compared: the mean of {folds} models here, one there"]
            same = "the same test photos" if entry["n"] == sum(counts) else "other test photos"
            own = Estimate(entry["recall"], entry["recall_low"], entry["recall_high"])
            yield _row(place, printed, own, other or [same], not other)


def _hardware(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for row in table.to_dict("records"):
        value = pd.to_numeric(row["value"], errors="coerce")
        remarks = ["other hardware", *([f"{row['value']} {row['unit']} there"] if math.isnan(value) else [])]
        yield _row(
            ("hardware", row["setting"], f"{row['what']}, {row['unit']}"),
            Estimate(value),
            ABSENT,
            remarks,
            False,
        )
