"""Install the locked packages into the Python that runs this (`make` calls it): uv does it, or pip where uv cannot.

    python envs/install.py [run|dev]

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
FILES = {"run": ["requirements"], "dev": ["requirements", "requirements-slurm", "requirements-dev"]}
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


def install(what: str) -> str:
    """Install what `run` or `dev` needs; returns the build of PyTorch that was taken.

    Raises:
        SystemExit: neither uv nor pip could.
    """
    build, files = wanted_build(os.environ, sys.platform), FILES[what]
    problem = tried([*PIP, *LOCKED, *locks("uv")])
    uv = [str(UV), "pip", "install", "--quiet", "--python", sys.executable]
    if not problem and build == "cpu":
        # A short try first: the real one waits and tries again.
        from_torch = [*uv, "--no-deps", "--torch-backend=cpu", *torch_pins()]
        unreachable = tried([*from_torch, "--dry-run"], UV_HTTP_RETRIES="0", UV_HTTP_TIMEOUT="20")
        if unreachable:
            say(f"PyTorch's index of builds without CUDA cannot be reached ({unreachable}):")
            say("installing the build of the ordinary index, with 4 GB of CUDA libraries that are not used here.")
            build = "cuda"
        else:
            problem = tried([*uv, *LOCKED, *locks(*files)]) or tried(from_torch)
    if not problem and build != "cpu":
        problem = tried([*uv, *LOCKED, *locks(*files, "requirements-torch")])
    if problem:
        say(f"uv cannot install here ({problem}): pip does it, in some minutes.")
        build = "ordinary" if build == "ordinary" else "cuda"
        problem = tried([*PIP, *LOCKED, *locks(*files, "requirements-torch")])
    if problem:
        sys.exit(f"error: the packages cannot be installed: {problem}")
    return build


if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else "run"
    if asked not in FILES:
        sys.exit(__doc__)
    wanted = wanted_build(os.environ, sys.platform)
    say(f"Installing the packages, {BUILDS[wanted]}: a minute or two, once.")
    say(f"Installed {BUILDS[install(asked)]}.")
