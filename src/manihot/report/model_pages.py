"""What the report says of one model, of the overfit checks and of the new class."""

from collections.abc import Iterable, Mapping
from typing import Any

from manihot.core.classes import class_title, full_title
from manihot.core.names import PART_TITLES, PARTS
from manihot.figures import fitting, plots
from manihot.figures.answering import risk_coverage
from manihot.predictions.telling import ranked
from manihot.report.answer_sections import answers
from manihot.report.model_sections import KINDS, Model, Scores, matrix
from manihot.report.results import Results, chart
from manihot.report.tables import ABSENT, Cell, Table, columns, count, interval, metric, number
from manihot.report.thumbnails import Photos

PHOTOS_SHOWN = 6
# The keys of `augment` in words.
CHANGES = {
    "horizontal_flip": "flips left and right", "vertical_flip": "flips up and down", "right_angles": "quarter turns",
    "rotation": "small turns", "random_crop": "crops", "brightness": "brightness", "contrast": "contrast", "hue": "hue",
    "mixup": "mixup with another photo", "cutmix": "a box of another photo (CutMix)",
}  # fmt: skip


def page(
    results: Results,
    photos: Photos,
    scores: Scores,
    model: Model,
    badges: Mapping[str, str],
    experiments: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Scores, curves, confusion, classes and telling photos of a model; what is missing is named.

    Args:
        results: the study's.
        photos: of its data sets.
        scores: of every model.
        model: as the plan describes it.
        badges: a word for the models that are chosen.
        experiments: the study's section of that name.
    """
    name, record = model["name"], results.split_record(model["split"])
    curves = results.curves(model)
    confusion = results.confusion(name)
    missing = [] if scores.has(name) else ["its scores"]
    missing += ["its confusion matrices"] if confusion is None else []
    missing += ["its learning curves"] if curves is None and model["kind"] != "tta" else []
    changes = _changes(model, experiments)
    sheet = results.picture(f"training/augmented/{name}.jpg") if changes else None
    missing += ["its augmented photos"] if changes and sheet is None else []
    return {
        "name": name,
        "badge": badges.get(name),
        "kind": KINDS[model["kind"]],
        "model": model,
        "scores": _parts(results, scores, name),
        "figures": [entry for entry in (curves, confusion, *_sureness(results, name)) if entry],
        "classes": _classes(results, record, name),
        "answers": answers(results, name, model["split"]),
        "sites": _sites(results, name),
        "things": _things(results, name),
        # A repeat with another seed has no photos of its own: they would only make the page heavier.
        "sheet": None if sheet is None else {"source": sheet, "fold": model["folds"][0], "changes": changes},
        "photos": [] if model["repeat_of"] else _telling(results, photos, record, name),
        "missing": missing,
    }


def _changes(model: Model, experiments: Mapping[str, Mapping[str, Any]]) -> str:
    """What is done to the training photos of an experiment, in words; nothing where no contact sheet shows it."""
    entry = experiments.get(model["name"], {})
    if entry.get("train_from") or model["repeat_of"]:
        return ""
    return ", ".join(text for key, text in CHANGES.items() if entry.get("augment", {}).get(key))


def _parts(results: Results, scores: Scores, name: str) -> Table:
    titles = (
        "Photos of",
        "Photos",
        "Accuracy [95\u00a0%]",
        "Balanced accuracy [95\u00a0%]",
        "Macro F1 [95\u00a0%]",
        "Log loss [95\u00a0%]",
        "Brier score [95\u00a0%]",
    )
    shown = Table(f"scores-{name}", f"Scores of {name}, its own answers", columns(*titles, text=("Photos of",)))
    for part in (*PARTS[1:], PARTS[0]):
        score = results.score(name, part)
        if score is not None:
            measures = (
                metric(score["metrics"], measure)
                for measure in ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "brier")
            )
            shown.add(PART_TITLES[part].capitalize(), count(score["n"]), *measures)
    return shown


def _sureness(results: Results, name: str) -> list[dict[str, Any]]:
    """Whether the model is right as often as it says, and how right it is where it is surest, on the test."""
    score = results.score(name, "test")
    if score is None:
        return []
    return [
        chart(plots.calibration(score["calibration"], name)),
        chart(risk_coverage(score["answers"]["calibrated"]["answering"], f"{name}, calibrated")),
    ]


def mistakes(
    results: Results, models: Iterable[Model], costs: Mapping[str, Mapping[str, float]]
) -> dict[str, Any] | None:
    """What each model's calibrated answers cost on the tests, both ways; None where the study names no costs."""
    if not costs:
        return None
    ways = ("most probable [95\u00a0%]", "least cost [95\u00a0%]", "answered otherwise", "majority class")
    parts = {"test": "Test", "test_as_found": "As found"}
    titles = [f"{title}: {way}" for title in parts.values() for way in ways]
    shown = Table("mistakes", "Mean cost of a photo", columns("Model", *titles, text=("Model",)))
    names: dict[str, str] = {}
    for model in models:
        scores = {part: results.score(model["name"], part) for part in parts}
        if any(scores.values()):
            cells = [cell for score in scores.values() for cell in _paid(score)]
            shown.add(Cell(model["name"], link=f"model-{model['name']}"), *cells)
        record = results.split_record(model["split"])
        for entry in record["classes"] if record else ():
            names[entry["label"]] = class_title(entry["label"], entry["name"])
    said = [
        f"{names.get(true, true)} answered as {names.get(answer, answer)} costs {cost:g}"
        for true, answers in costs.items()
        for answer, cost in answers.items()
    ]
    return {"table": shown, "said": said} if shown.rows else None


def _paid(score: Mapping[str, Any] | None) -> list[Cell]:
    if score is None:
        return [Cell(ABSENT)] * 4
    paid, baseline = score["answers"]["calibrated"]["cost"], score["baseline"]
    changed = Cell(f"{100 * paid['least']['changed']:.0f}\u00a0%", paid["least"]["changed"])
    always = number(None if baseline is None else baseline["cost"])
    return [metric(paid, "answer"), metric(paid, "least"), changed, always]


def _classes(results: Results, record: Mapping[str, Any] | None, name: str) -> Table | None:
    """Precision and recall of each class on the tests."""
    if record is None:
        return None
    parts = {part: score for part in ("test", "test_as_found") if (score := results.score(name, part))}
    if not parts:
        return None
    measures = ("photos", "precision [95\u00a0%]", "recall [95\u00a0%]")
    titles = [f"{PART_TITLES[part].capitalize()}: {what}" for part in parts for what in measures]
    shown = Table(f"classes-{name}", f"Each class, {name}, its own answers", columns("Class", *titles, text=("Class",)))
    for index, entry in enumerate(record["classes"]):
        cells = []
        for score in parts.values():
            row = score["per_class"][index]
            cells += [
                count(row["n"]),
                interval(row["precision"], row["precision_low"], row["precision_high"]),
                interval(row["recall"], row["recall_low"], row["recall_high"]),
            ]
        shown.add(full_title(entry["label"], entry["name"]), *cells)
    return shown


def _sites(results: Results, name: str) -> dict[str, Any] | None:
    """The scores of each site, out of fold and on the tests, and the worst one in words."""
    titles = ("Photos of", "Site", "Photos", "Groups", "Accuracy [95\u00a0%]", "Balanced accuracy [95\u00a0%]")
    shown = Table(
        f"sites-{name}", f"Each site, {name}, calibrated answers", columns(*titles, text=("Photos of", "Site"))
    )
    said = []
    for part in PARTS[1:]:
        score = results.score(name, part)
        sites = score["answers"]["calibrated"]["sites"] if score else []
        for row in sites:
            cells = metric(row, "accuracy"), metric(row, "balanced_accuracy")
            shown.add(PART_TITLES[part].capitalize(), row["site"], count(row["n"]), count(row["groups"]), *cells)
        if len(sites) > 1:
            low, value, high = (100 * sites[0]["accuracy"][key] for key in ("low", "value", "high"))
            said.append(
                f"{PART_TITLES[part].capitalize()}, {sites[0]['site']} is the worst: right on {value:.0f} % "
                f"of {sites[0]['n']} photos ({low:.0f} to {high:.0f})."
            )
    text = f"{' '.join(said)} The worst of several sites is partly bad luck: look at its interval." if said else ""
    return {"table": shown, "text": text} if shown.rows else None


def _things(results: Results, name: str) -> dict[str, Any] | None:
    """Scores of one answer a group beside those of the same photos one by one."""
    titles = (
        "Photos of", "Groups", "Photos", "One answer a group: accuracy [95\u00a0%]",
        "One answer a group: balanced accuracy [95\u00a0%]", "Photo by photo: accuracy [95\u00a0%]",
        "Photo by photo: balanced accuracy [95\u00a0%]",
    )  # fmt: skip
    shown = Table(f"things-{name}", f"One answer a group, {name}", columns(*titles, text=("Photos of",)))
    left_out = 0
    for part in PARTS[1:]:
        score = results.score(name, part)
        things = score["one_answer"] if score else None
        if things is not None:
            cells = (
                metric(scored, key) for scored in (things, things["each"]) for key in ("accuracy", "balanced_accuracy")
            )
            shown.add(PART_TITLES[part].capitalize(), count(things["n"]), count(things["photos"]), *cells)
            left_out += things["left_out"]
    text = "The answer for several photos of one thing (a plant): the class with the largest mean of log p over them."
    text += f" {left_out} groups with several labels are left out." if left_out else ""
    return {"table": shown, "text": text} if shown.rows else None


def _telling(results: Results, photos: Photos, record: Mapping[str, Any] | None, name: str) -> list[dict[str, Any]]:
    """The most confident right and wrong photos of the whole test, and the least confident ones."""
    predictions = results.predictions(name, "test")
    if record is None or predictions is None or predictions.empty:
        return []
    titles = {entry["label"]: class_title(entry["label"], entry["name"]) for entry in record["classes"]}
    heads = {
        "right": "Most confident and right",
        "wrong": "Most confident and wrong",
        "least": "Least confident",
    }
    shown = []
    for key, rows in ranked(predictions, list(titles), PHOTOS_SHOWN).items():
        pictures = []
        for row in rows.itertuples():
            right = row.label == row.predicted
            said = f"says {titles[row.predicted]}, {row.confidence:.2f}"
            truth = f"is {titles[row.label]}"
            pictures.append(photos.show(row.dataset, row.image_id, said, truth, tone="right" if right else "wrong"))
        shown.append({"title": heads[key], "photos": pictures})
    return shown


def overfit(results: Results, checks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Whether each network learned a few balanced photos by heart."""
    titles = (
        "Check",
        "Network",
        "Photos",
        "Batch",
        "Learning rate",
        "Epochs",
        "Final training accuracy",
        "Reached 1.0 in epoch",
    )
    shown = Table("overfit", "Overfit checks", columns(*titles, text=("Check", "Network")))
    charts, missing = [], []
    for name, check in checks.items():
        history = results.table(f"training/overfit/{name}/history.csv")
        if history is None:
            missing.append(name)
            continue
        whole = history.loc[history["train_accuracy"] >= 1.0, "epoch"]
        shown.add(
            name,
            str(check.get("network", "")),
            count(check.get("photos")),
            count(check.get("batch_size")),
            Cell(f"{check.get('learning_rate', '')}", check.get("learning_rate")),
            count(len(history)),
            number(history["train_accuracy"].iloc[-1]),
            count(whole.iloc[0]) if len(whole) else Cell("not reached", 1e9),
        )
        charts.append(chart(fitting.curves({1: history}, f"overfit check {name}")))
    return {"table": shown, "figures": charts, "missing": missing}


def new_class(results: Results, models: Iterable[Model]) -> dict[str, Any] | None:
    """New and old classes apart, for every model whose split has a new class."""
    titles = (
        "Model", "New class: test photos", "New class: recall [95\u00a0%]", "New class: precision [95\u00a0%]",
        "Old classes: test photos",        "Old classes: accuracy [95\u00a0%]", "All: accuracy [95\u00a0%]",
    )  # fmt: skip
    shown = Table("new-class", "New class and old classes apart, test", columns(*titles, text=("Model",)))
    matrices, labels = [], []
    for model in models:
        record, score = results.split_record(model["split"]), results.score(model["name"], "test")
        if record is None or score is None or record["new_class"] is None:
            continue
        labels.append(record["new_class"])
        new, old = score["new_class"], score["old_classes"]
        shown.add(
            Cell(model["name"], link=f"model-{model['name']}"),
            count(new["n"]),
            interval(new["recall"], new["low"], new["high"]),
            interval(new["precision"], new["precision_low"], new["precision_high"]),
            count(old["n"]),
            metric(old, "accuracy"),
            metric(score["metrics"], "accuracy"),
        )
        matrices.append(matrix(results, record, model["name"], "test"))
    return {"table": shown, "matrices": matrices, "labels": sorted(set(labels))} if shown.rows else None
