"""What a reader needs to make the report again: the commit of the sources, the versions of the packages."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "snakemake", "torch", "torchvision", "xgboost", "scikit-learn", "scipy", "numpy", "pandas", "pillow",
    "matplotlib", "safetensors", "pydantic", "jinja2",
)  # fmt: skip


def commit(folder: Path) -> str:
    """The commit of the sources in `folder`, and whether files differ from it."""
    try:
        head = _git(folder, "rev-parse", "--short=12", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return "without a commit"
    return f"{head}, with changes" if changed else head


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Versions of Python, the system and those packages that this environment has."""
    found = {"Python": platform.python_version(), "System": f"{platform.system()} {platform.machine()}"}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue  # a conda environment holds only what its rules need
    return found
