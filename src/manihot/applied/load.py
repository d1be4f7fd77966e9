"""The door of the package: a fitted model from its folder. What it needs (torch, pandas) is imported when it is called:
every module of the package comes through this one."""

import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from manihot.applied.backbones import Backbone
    from manihot.applied.model import Model


def load_model(
    folder: str | PathLike[str],
    device: str = "auto",
    precision: str | None = None,
    batch_size: int = 32,
    workers: int | None = None,
    max_pixels: int = 100_000_000,
) -> "Model":
    """The model whose record is `folder`/model.json (`results/models/{model}` of a study), ready to answer photos.

    Its study file is not needed, nor anything else of the study but what its records name: its folds, those of its
    experiment where it is averaged over views, the weights of a frozen backbone, and the reference photos of its split.
    Photos are seen as in the study, pixel by pixel; on the study's own photos the answers are those of its calibrated
    tables, to the rounding of the precision. (A network that was trained from a cut answered there from activations
    that are kept in 16 bits.)

    Args:
        folder: that of the model, in the place that it has in the results of its study; `results/models/best` is that
            of the model that the study chose.
        device: `auto` (a GPU where there is one), `cpu` or `cuda`.
        precision: `float32`, `bfloat16`, `auto` (what is fast here), or None: what the model was fitted in.
        batch_size: photos that a network takes at a time.
        workers: threads that decode photos; None: one a processor core.
        max_pixels: a photo of more is not opened.

    Raises:
        StudyError: there is no such model, a file of it is missing or damaged, or a later version wrote it.
    """
    from manihot.applied import sets, unlike
    from manihot.applied.backbones import load_backbone
    from manihot.applied.home import Home, find_model
    from manihot.applied.members import load_member
    from manihot.applied.model import Model, Settings
    from manihot.core import files
    from manihot.core.errors import StudyError
    from manihot.core.names import RECORD, SETS
    from manihot.networks import bundle

    folder = find_model(Path(folder))
    record = bundle.read_whole(folder / RECORD)
    home = Home(folder, record["name"])
    loaded: dict[str, Backbone] = {}

    def backbone(asked: Mapping[str, Any]) -> "Backbone":
        # How many columns of joined features are its own is no part of what it is.
        key = files.content_key({name: value for name, value in asked.items() if name != "features"})
        if key not in loaded:
            loaded[key] = load_backbone(asked, home)
        return loaded[key]

    members = []
    for entry in record["members"]:
        fitted = bundle.read(home.find(entry["record"], f"a fold of the model {home.name}"))
        if fitted.record["weights"]["sha256"] != entry["sha256"]:
            raise StudyError(f"{fitted.path} is of another fit than {folder / RECORD}: take both from one study")
        members.append(load_member(fitted, record["views"], backbone))
    settings = Settings(device, precision, batch_size, workers or os.cpu_count() or 1, max_pixels)
    model = Model(home.name, record, members, settings)
    if (folder / SETS).is_file():
        model.sets = sets.read(folder / SETS, model.labels, [member.fold for member in members])
    if record["unlike"] is not None:
        reference, frozen = unlike.read(home.find(record["unlike"], f"what photos the model {home.name} knows"))
        model.reference = reference, backbone(frozen)
    return model
