"""The section that shows where the networks looked: Grad-CAMs of the photos that tell most of each."""

from collections.abc import Mapping, Sequence
from typing import Any

from manihot.core.classes import class_title
from manihot.report.results import Results

Model = Mapping[str, Any]
KINDS = {"right": "Most confident and right", "wrong": "Most confident and wrong", "least": "Least confident"}


def looked(
    results: Results, names: Sequence[str], models: Sequence[Model], badges: Mapping[str, str]
) -> dict[str, Any] | None:
    """The pictures of the models of these `names`, and why the other `models` have none; None where there are no names.

    `models` are as the plan describes them; `badges` are words for the chosen ones.
    """
    if not names:
        return None
    shown = [_model(results, model, badges) for model in models if model["name"] in names]
    # The chosen model first, or else the first one, is open.
    opened = next((entry for entry in shown if entry["badge"] == "chosen" and "groups" in entry), shown[0])
    return {
        "models": [{**entry, "open": entry is opened} for entry in shown],
        "left_out": _left_out([model for model in models if model["name"] not in names]),
    }


def _model(results: Results, model: Model, badges: Mapping[str, str]) -> dict[str, Any]:
    name = model["name"]
    about = {"name": name, "badge": badges.get(name)}
    drawn, record = results.json(f"predictions/{name}/grad_cam.json"), results.split_record(model["split"])
    if drawn is None or record is None:
        return {**about, "missing": f"where {name} looked"}
    if "none" in drawn:
        return {**about, "none": f"Not shown: {drawn['none']}."}
    titles = {entry["label"]: class_title(entry["label"], entry["name"]) for entry in record["classes"]}
    groups = []
    for kind, title in KINDS.items():
        photos = [_photo(photo, titles) for photo in drawn["photos"] if photo["kind"] == kind]
        groups += [{"title": title, "photos": photos}] if photos else []
    rows, columns = drawn["grid"]
    grid = f"The last maps of {drawn['network']} have {rows} × {columns} places here: the pictures tell nothing finer."
    return {**about, "grid": grid, "groups": groups}


def _photo(photo: Mapping[str, Any], titles: Mapping[str, str]) -> dict[str, Any]:
    answer, truth = titles[photo["predicted"]], titles[photo["label"]]
    said = [f"says {answer}, {photo['confidence']:.2f}", f"is {truth}"]
    said += ["nothing in its maps speaks for the answer"] if photo["silent"] else []
    return {
        "source": f"data:image/jpeg;base64,{photo['picture']}",
        "name": photo["image_id"],
        "captions": said,
        "tone": "right" if photo["predicted"] == photo["label"] else "wrong",
    }


def _left_out(models: Sequence[Model]) -> list[str]:
    """Why models are not shown, in words with their names."""
    reasons: dict[str, list[str]] = {}
    for model in models:
        if model["folds"] == [0]:
            why = "fitted on the whole pool, so that no photo is out of fold"
        elif model["kind"] == "boosting":
            why = "trees have no gradient"
        elif model["kind"] == "tta":
            why = "the same networks in other views"
        elif model["repeat_of"]:
            why = "the same settings with another seed"
        else:
            why = "a head on several networks side by side"
        reasons.setdefault(why, []).append(model["name"])
    return [f"{', '.join(names)} ({why})" for why, names in reasons.items()]
