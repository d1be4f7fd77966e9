"""Install the locked packages into the Python that runs this (`make` calls it): uv does it, or pip where uv cannot.

    python envs/install.py [run|export|dev]

TORCH chooses PyTorch's build on Linux: `cuda` is the one of the ordinary index, with 4 GB of CUDA libraries; `cpu` is
PyTorch's own build without them, which the locks have no hashes of. Unset, it is `cpu` where there is no NVIDIA device.
Where PyTorch's index cannot be reached, the build of the ordinary index is installed instead.
"""

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
# The large ones among what jobs and Snakemake import.
IMPORTED = [
    "snakemake.cli", "pandas", "sklearn.linear_model", "torch", "safetensors.torch", "torchvision", "timm", "xgboost",
    "matplotlib.pyplot", "cv2", "PIL.Image",
]  # fmt: skip
EXPORT = ["requirements-export"]
DEV = ["requirements-slurm", *EXPORT, "requirements-dev"]
UV = Path(sysconfig.get_path("scripts")) / "uv"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
LOCKED = ["--no-deps", "--require-hashes"]
DEVICES = ("nvidia[0-9]*", "nvidiactl", "dxg")
BUILDS = {"cpu": "PyTorch without CUDA", "cuda": "PyTorch with CUDA (4 GB)", "ordinary": "PyTorch"}


def wanted_build(environ: Mapping[str, str], system: str, devices: Path = Path("/dev")) -> str:
    """Which build of PyTorch to install: `cpu`, `cuda`, or `ordinary` on a system that has but one.

    Raises:
        SystemExit: TORCH is neither `cpu` nor `cuda`.
    """
    said = environ.get("TORCH", "")
    if said not in {"", "cpu", "cuda"}:
        sys.exit(f"error: TORCH={said}: must be cpu or cuda")
    if system != "linux":
        return "ordinary"
    return said or ("cuda" if any(next(devices.glob(name), None) for name in DEVICES) else "cpu")


def torch_pins() -> list[str]:
    """The locked torch and torchvision, without hashes."""
    text = (HERE / "requirements-torch.txt").read_text()
    return re.findall(r"^(?:torch|torchvision)==[^\s;\\]+", text, re.MULTILINE)


def locks(*names: str) -> list[str]:
    """The arguments that name lock files."""
    return [argument for name in names for argument in ("-r", str(HERE / f"{name}.txt"))]


def tried(command: list[str], **environ: str) -> str:
    """Run a command; returns the last line of what went wrong, or nothing."""
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, env=os.environ | environ)
    if done.returncode == 0:
        return ""
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return said[-1].removeprefix("cause: ") if said else f"it ended with {done.returncode}"


def say(text: str) -> None:
    """A line for the user, at once."""
    print(text, flush=True)


def install_run() -> str:
    """Install what the workflow runs with; returns the build of PyTorch that was taken.

    Raises:
        SystemExit: neither uv nor pip could.
    """
    build = wanted_build(os.environ, sys.platform)
    say(f"Installing the packages, {BUILDS[build]}: a minute or two, once; longer on a slow line.")
    problem = tried([*PIP, *LOCKED, *locks("uv")])
    if not problem and build == "cpu":
        # A short try first: the real one waits and tries again.
        from_torch = [*uv(), "--no-deps", "--torch-backend=cpu", *torch_pins()]
        unreachable = tried([*from_torch, "--dry-run"], UV_HTTP_RETRIES="0", UV_HTTP_TIMEOUT="20")
        if unreachable:
            say(f"PyTorch's index of builds without CUDA cannot be reached ({unreachable}):")
            say("installing the build of the ordinary index, with 4 GB of CUDA libraries that are not used here.")
            build = "cuda"
        else:
            problem = tried([*uv(), *LOCKED, *locks("requirements")]) or tried(from_torch)
    if build == "cpu" and not problem:
        return build
    build = "ordinary" if build == "ordinary" else "cuda"
    install_locked(["requirements", "requirements-torch"], problem)
    return build


def install_locked(names: list[str], problem: str = "") -> None:
    """Install locks by uv, unless there is a `problem` with it already, or else by pip.

    Raises:
        SystemExit: neither could.
    """
    problem = problem or tried([*uv(), *LOCKED, *locks(*names)])
    if problem:
        say(f"uv cannot install here ({problem}): pip does it, in some minutes, on Linux with CUDA libraries.")
        problem = tried([*PIP, *LOCKED, *locks(*names)])
    if problem:
        sys.exit(
            f"error: the packages cannot be installed: {problem}; .venv needs up to 7 GB of room and the package index "
            "in reach; run the same command again after the mend"
        )


def compile_modules() -> None:
    """Let Python compile what jobs import, once; else the first jobs do it, several at the same time."""
    say("Compiling what jobs import.")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-c", f"import {', '.join(IMPORTED)}"], env=kept, check=False)


def uv() -> list[str]:
    """The command that installs by uv."""
    return [str(UV), "pip", "install", "--quiet", "--python", sys.executable]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["run"] | []:
            taken = install_run()
            compile_modules()
            say(f"Installed {BUILDS[taken]}.")
        case ["export"]:
            say("Installing what an export needs beside it.")
            install_locked(EXPORT)
        case ["dev"]:
            say("Installing what the tests need beside it.")
            install_locked(DEV)
        case _:
            sys.exit(__doc__)
