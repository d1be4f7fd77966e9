"""Where the networks of a model looked: Grad-CAMs of a few telling photos, each by the fold that held it out.

Out of fold, and not on the tests: such pictures are made to be looked at and acted on, which a test would not outlive.
They are computed on the processor in float32, so that all machines draw the same.
"""

import base64
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load
from torch import nn

from manihot.applied.backbones import load_backbone
from manihot.applied.home import Home
from manihot.networks import build
from manihot.networks.batches import Batches, Photos
from manihot.networks.bundle import Bundle
from manihot.networks.grad_cam import grad_cam
from manihot.predictions.telling import ranked

# Photos of each kind that are shown, and the pixels a side of each of the two pictures of a photo.
SHOWN, SIDE, GAP, QUALITY = 4, 144, 2, 80
# What did not speak for the answer keeps this share of its brightness, below a veil: a blue that leaves seldom have.
DIM, VEIL = 0.4, (20, 24, 84)
NO_MAPS = "its network has no last maps that a Grad-CAM could take"
ONE_PLACE = "the last maps of its network have a single place, at so few pixels"
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class OneNetwork:
    """A fitted fold as one network from photos to logits, the layer of its last maps, and what it sees."""

    model: nn.Module
    layer: str
    seen: Mapping[str, Any]

    def look(self, pixels: Photos, classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """What speaks for `classes` int64 [n] in photos uint8 [n, size, size, 3]: float32 [n, h, w], 0 or more."""
        channels = self.seen["input"]["mean"], self.seen["input"]["std"]
        ((photos, _),) = Batches(pixels, torch.device("cpu"), channels)(np.arange(len(pixels)), len(pixels))
        return grad_cam(self.model, photos, torch.from_numpy(classes), self.layer, self.seen["cam_layout"])


def one_network(fitted: Bundle) -> OneNetwork | str:
    """A fitted fold, a network or a head on a single frozen one, as one network; or why it has no Grad-CAM, in words.

    Raises:
        StudyError: weights that are missing or damaged.
    """
    record = fitted.record
    (seen,) = [record] if record["kind"] == "network" else record["backbones"]
    if "cam_layer" not in seen:
        return NO_MAPS
    if record["kind"] == "network":
        return OneNetwork(build.load_network(fitted), seen["cam_layer"], seen)
    # Files in records are as seen from the folder of the run, where the model lies in results/models/.
    frozen = load_backbone(seen, Home(fitted.path.parent.parent, fitted.path.parent.parent.name))
    weights = load(fitted.weights())
    last = nn.Linear(weights["weight"].shape[1], weights["weight"].shape[0])
    last.load_state_dict(weights)
    return OneNetwork(nn.Sequential(frozen.model, last), f"0.network.{seen['cam_layer']}", seen)


def draw(
    predictions: pd.DataFrame, folds: Mapping[int, Bundle], gather: Callable[[pd.DataFrame, int], Photos]
) -> dict[str, Any]:
    """Where the folds of a model looked on the telling photos of its `predictions` out of fold.

    `none` (why there is nothing, in words), or `network`, `layer` and `grid` (rows and columns of its maps), and
    `photos`, each with its `kind` (right, wrong, least), `dataset`, `image_id`, `label`, `predicted` (the label whose
    Grad-CAM it is), `confidence`, `fold`, `silent` (nothing in the maps spoke for the answer) and `picture`: a JPEG in
    Base64, the photo as the network sees it on the left, and on the right lit where something speaks for the answer.

    Args:
        predictions: the table of the part `validation`; its column `fold` says whose answer each is.
        folds: the fitted folds by their numbers.
        gather: gives the pixels uint8 [n, size, size, 3] of rows of the table at a size.
    """
    labels = next(iter(folds.values())).labels
    kinds = ranked(predictions, labels, SHOWN)
    shown = pd.concat([rows.assign(kind=kind) for kind, rows in kinds.items()], ignore_index=True)
    found: dict[int, dict[str, Any]] = {}
    about: dict[str, Any] = {}
    for number, rows in shown.groupby("fold"):
        looking = one_network(folds[int(number)])
        if isinstance(looking, str):
            return {"none": looking}
        pixels = gather(rows, looking.seen["input"]["size"])[:]
        maps = looking.look(pixels, np.array([labels.index(label) for label in rows["predicted"]], np.int64))
        if maps[0].size == 1:
            return {"none": ONE_PLACE}
        about = {"network": looking.seen["network"], "layer": looking.seen["cam_layer"], "grid": list(maps.shape[1:])}
        for place, photo, told in zip(rows.index, pixels, maps, strict=True):
            found[place] = {"silent": not told.any(), "picture": base64.b64encode(pair(photo, told)).decode()}
    if not about:
        return {"none": "it has no photo out of fold"}
    columns = ["kind", "dataset", "image_id", "label", "predicted", "confidence", "fold"]
    listed = shown[columns].astype({"fold": int}).to_dict("records")
    return {**about, "photos": [{**row, **found[place]} for place, row in enumerate(listed)]}


def pair(photo: Bytes, told: NDArray[np.float32]) -> bytes:
    """A photo uint8 [size, size, 3] beside itself lit by `told` [h, w]: a JPEG. The strongest place of each photo has
    its own colours; what does not speak for the answer has none, and lies below a veil."""
    plain = Image.fromarray(photo).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    scaled = told / told.max() if told.any() else told
    light = Image.fromarray(scaled.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    share = np.clip(np.asarray(light), 0, 1)[:, :, None]
    veiled = DIM * np.asarray(plain.convert("L"), np.float32)[:, :, None] + np.array(VEIL, np.float32)
    lit = share * np.asarray(plain, np.float32) + (1 - share) * veiled
    sheet = Image.new("RGB", (2 * SIDE + GAP, SIDE), "white")
    sheet.paste(plain, (0, 0))
    sheet.paste(Image.fromarray(lit.round().astype(np.uint8)), (SIDE + GAP, 0))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
