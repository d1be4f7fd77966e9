"""Which published weights a study of somebody's photos can start from: files that are there, or a package."""

import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from manihot.core.errors import StudyError
from manihot.networks import packages
from manihot.study.looking import study_path

ENDINGS = {".pth", ".pt", ".safetensors"}


@dataclass(frozen=True)
class Pretrained:
    """A network with published weights: its name in entries, how a study file names both, the layer that fine-tuning
    starts from, and the side of the photos that it was trained on, in pixels."""

    name: str
    network: str
    weights: str
    train_from: str
    size: int


# The best for its time first.
KNOWN = (
    Pretrained("lite0", "timm/tf_efficientnet_lite0", "package", "blocks.5", 224),
    Pretrained("lite1", "timm/tf_efficientnet_lite1", "package", "blocks.5", 240),
    Pretrained("lite2", "timm/tf_efficientnet_lite2", "package", "blocks.5", 260),
    Pretrained("mobilenet_v2", "mobilenet_v2", "imagenet", "features.14", 224),
    Pretrained("efficientnet_b0", "efficientnet_b0", "imagenet", "features.6", 224),
    Pretrained("resnet18", "resnet18", "imagenet", "layer4", 224),
)


def in_folder(folder: Path) -> Pretrained:
    """The first of KNOWN whose weights are in a folder: a file that begins with its name and fits it.

    Raises:
        StudyError: there is no such folder, or no such file in it.
    """
    if not folder.is_dir():
        raise StudyError(f"{folder}: no such folder: give the folder with the files of weights as WEIGHTS")
    refused: list[str] = []
    for known in KNOWN:
        begins = known.network.removeprefix(packages.PREFIX)
        for path in sorted(folder.iterdir()):
            if path.suffix in ENDINGS and re.match(rf"{begins}(?![a-zA-Z0-9])", path.stem):
                problem = _misfit(known.network, path)
                if not problem:
                    return replace(known, weights=study_path(path))
                refused.append(problem)
    wanted = ", ".join(f"{known.network.removeprefix(packages.PREFIX)}*" for known in KNOWN)
    raise StudyError(
        refused[0]
        if refused
        else f"{folder}: no file of weights is called {wanted} (.pth, .pt or .safetensors): put "
        "one there, or leave WEIGHTS out"
    )


def from_package() -> tuple[Pretrained | None, str]:
    """The network whose weights the user's package index has, and "", or None and why it cannot be had."""
    problem = packages.out_of_reach(KNOWN[0].network)
    return (None, problem) if problem else (KNOWN[0], "")


def _misfit(network: str, path: Path) -> str:
    """What is wrong with a file of weights, as a run would say it; "" where it fits."""
    from manihot.networks import weights

    with tempfile.TemporaryDirectory() as folder:
        try:
            weights.fetch(network, str(path), Path(folder) / "weights.safetensors", seed=0)
        except StudyError as error:
            return str(error)
    return ""
