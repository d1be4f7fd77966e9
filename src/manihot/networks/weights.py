"""The weights of a network: torchvision's or timm's own, a package's, a file's, or untrained; checked, kept as
safetensors."""

import json
import re
import tempfile
import zipfile
from os import PathLike
from pathlib import Path
from typing import Any

import torch
import torchvision
from safetensors.torch import load_file, save
from torch import Tensor

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.core.text import shorten
from manihot.networks import of_timm, packages
from manihot.networks.build import check_name, fingerprint, published_network
from manihot.networks.own import OWN


def fetch(network: str, source: str, target: str | PathLike[str], seed: int) -> None:
    """Write the weights of torchvision's or timm's `network` to `target` as safetensors, the same bytes every time.

    `source` is `imagenet` (torchvision's IMAGENET1K_V1, downloaded and checked against its hash, or timm's default
    ones from their hub), `package` (from a package of the Python index), `none` (initial weights drawn from `seed`) or
    the path of a state dict (.pth, .pt or .safetensors). The file says which, and their license where timm names it.

    Raises:
        StudyError: no network, a file that cannot be read safely, or one that is not of this network.
    """
    if network in OWN:
        raise StudyError(f"network {network} has no published weights: take one of torchvision's or timm's networks")
    said = {"source": source if source == "none" else "file"}
    if source == "none":
        state = _initial(network, seed)
    elif source == "imagenet" and of_timm.is_one(network):
        published = of_timm.published(network)
        said = {"source": published["name"], "license": published["license"]}
        state = _checked(_from_hub(network), network, f"timm's weights of {network}")
    elif source == "imagenet":
        check_name(network)
        said = {"source": f"torchvision/{network}.IMAGENET1K_V1"}
        state = _checked(_download(network), network, f"torchvision's weights of {network}")
    elif source == "package":
        package = packages.PACKAGES.get(network)
        said = {"source": f"{package.name}=={package.version}", "license": "apache-2.0"} if package else {}
        state = _checked(_from_package(network), network, f"the package of {network}")
    else:
        state = _checked(_read(Path(source)), network, source)
    content = {key: value.contiguous() for key, value in state.items()}
    # One text: of several the file's format does not keep the order.
    facts = json.dumps({"sha256": fingerprint(content), **said}, sort_keys=True)
    files.write_bytes(target, save(content, {"facts": facts}))


def _initial(network: str, seed: int) -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return published_network(network).state_dict()


def _from_hub(network: str) -> dict[str, Any]:
    name = of_timm.published(network)["name"]
    if not name:
        raise StudyError(f"timm has no weights of {network}: give a file as its `weights`, or set them to none")
    try:
        return of_timm.create(network, pretrained=True).state_dict()
    except StudyError:
        raise
    except Exception as error:  # the hub's client, and what timm makes of a damaged file, raise almost any kind
        other = ", set them to package" if network in packages.PACKAGES else ""
        raise StudyError(
            f"timm's weights {name} cannot be downloaded ({_line(error)}): download them elsewhere and give the file "
            f"as the `weights` of {network}{other}, or set them to none for an untrained network"
        ) from error


def _line(error: Exception) -> str:
    return shorten(" ".join(str(error).split()) or type(error).__name__, 200)


def _from_package(network: str) -> dict[str, Any]:
    """A package's state dict under the names of timm's network: the order of the tensors is the same."""
    with tempfile.TemporaryDirectory() as folder:
        tensors = list(_read(packages.fetch(network, Path(folder))).values())
    names = list(published_network(network).state_dict())
    return dict(zip(names, tensors, strict=True))


def _download(network: str) -> dict[str, Any]:
    known = torchvision.models.get_model_weights(network).__members__
    if "IMAGENET1K_V1" not in known:
        raise StudyError(f"torchvision has no IMAGENET1K_V1 weights of {network}: give a file as its `weights`")
    weights = known["IMAGENET1K_V1"]
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    try:
        return weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except OSError as error:
        raise StudyError(
            f"{weights.url} cannot be downloaded ({error}): download it elsewhere and give the file as the "
            f"`weights` of {network}, or set them to none for an untrained network"
        ) from error
    except Exception as error:  # a wrong hash, or an earlier download that was damaged since
        raise StudyError(f"{weights.url} arrived damaged: delete {cached} if it is there and run again") from error


def _read(path: Path) -> dict[str, Any]:
    """The content of a weights file, which nobody vouches for: no code in it is ever run."""
    if not path.is_file():
        raise StudyError(f"weights file {path} does not exist: correct the `weights` of this network")
    if path.suffix not in (".pth", ".pt", ".safetensors"):
        raise StudyError(f"weights file {path} is not a state dict: a .pth, .pt or .safetensors file is wanted")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # torch.save never compresses: what unpacks to more than its size is a bomb.
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as packed:
                if any(info.compress_type != zipfile.ZIP_STORED for info in packed.infolist()):
                    raise zipfile.BadZipFile("compressed")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # A damaged or hostile file provokes almost any error, and the user can only replace it.
        raise StudyError(
            f"weights file {path} is refused ({type(error).__name__}): it is damaged, or holds more than "
            "plain tensors; save model.state_dict() with torch.save or safetensors"
        ) from error
    return content if isinstance(content, dict) else {}


def _checked(state: dict[str, Any], network: str, source: str) -> dict[str, Tensor]:
    """`state` as the network's own state dict: every key, shape and value as it must be."""
    expected = published_network(network).state_dict()
    # DenseNet's published files have names from before torch 0.4; some lack the norms' step counts.
    found = {re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", str(key)): state[key] for key in state}
    found = {key: torch.tensor(0) for key in expected if key.endswith("num_batches_tracked")} | found
    problem = _mismatch(found, expected)
    if problem:
        whose = "timm" if of_timm.is_one(network) else "torchvision"
        name = network.removeprefix(packages.PREFIX)
        raise StudyError(f"{source} does not fit {network}: {problem}; give the weights of {whose}'s {name}")
    # Copied, since tensors of a file may share their memory, which safetensors refuses.
    return {key: found[key].to(expected[key].dtype, copy=True) for key in expected}


def _mismatch(found: dict[str, Any], expected: dict[str, Tensor]) -> str:
    """The first thing wrong with a state dict, in words; empty where there is none."""
    missing, extra = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or extra:
        parts = [f"{len(keys)} {what} (as {keys[0][:60]!r})" for what, keys in
                 (("tensors are missing", missing), ("are not its own", extra)) if keys]  # fmt: skip
        return " and ".join(parts)
    for key, wanted in expected.items():
        value = found[key]
        if (
            not isinstance(value, Tensor)
            or value.layout != torch.strided
            or value.is_meta
            or value.is_quantized
            or value.is_complex()
            or (value.is_floating_point() and value.itemsize < 2)
        ):
            return f"{key} is not a plain tensor of numbers"
        if value.shape != wanted.shape:
            return f"{key} has the shape {tuple(value.shape)}, not {tuple(wanted.shape)}"
        if not (value.isfinite() & value.to(wanted.dtype).isfinite()).all():
            return f"{key} holds values that are not finite"
    return ""
