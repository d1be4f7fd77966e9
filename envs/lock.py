"""Write the locks from the `.in` files (`make lock`): every package of every platform, with its hashes.

All are resolved at once, for all platforms and Pythons from 3.11, from the ordinary package index; what is locked
already keeps its version. requirements.txt holds what the workflow runs with, but for PyTorch with its CUDA libraries,
which requirements-torch.txt holds; the others hold what Slurm, an export, and the tests, need beside these.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
COMPILE = [
    "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header", "--no-annotate",
    "--python-version", "3.11",
]  # fmt: skip
TORCH = re.compile(r"(torch|torchvision|triton|(nvidia|cuda)-[a-z0-9-]+)==")
TITLES = {
    "requirements": "What the workflow runs with, but for PyTorch (requirements-torch.txt).",
    "requirements-torch": "PyTorch, and the CUDA libraries that its Linux builds and XGBoost's ask for.",
    "requirements-slurm": "What running on Slurm needs beside requirements.txt (docs/cluster.md).",
    "requirements-export": "What `make export` needs beside requirements.txt.",
    "requirements-dev": "What the tests and `make lint` need beside all of these.",
    "uv": "The installer.",
}


def resolve(uv: str, inputs: list[str], locked: str) -> dict[str, str]:
    """The locked entries of some `.in` files by name: the pin, its marker and its hashes.

    A package keeps the version that the text `locked` has of it, unless an `.in` file asks for another.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "lock.txt"
        output.write_text(locked)
        command = [uv, *COMPILE, "--output-file", str(output), *(str(HERE / name) for name in inputs)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        entries = re.split(r"\n(?=[a-z0-9])", output.read_text().strip())
    names = [entry.split("==")[0] for entry in entries]
    if len(set(names)) < len(names):
        sys.exit("error: a package has two versions for two platforms, which the installer cannot tell apart")
    return dict(zip(names, entries, strict=True))


def main(uv: str) -> None:
    """Write all locks with the program `uv`."""
    inputs = ["requirements.in", "requirements-slurm.in", "requirements-export.in", "requirements-dev.in"]
    locked = "\n".join(path.read_text() for path in sorted(HERE.glob("requirements*.txt")))
    whole = resolve(uv, inputs, locked)
    run = resolve(uv, inputs[:1], locked)
    slurm, export = (resolve(uv, [inputs[0], beside], locked) for beside in inputs[1:3])
    if both := set(slurm) & set(export) - set(run):
        sys.exit(f"error: both Slurm and an export need {', '.join(sorted(both))}: name it in requirements.in")
    parts: dict[str, list[str]] = {name: [] for name in TITLES}
    for name, entry in whole.items():
        if TORCH.match(entry):
            parts["requirements-torch"].append(entry)
        elif name in run:
            parts["requirements"].append(entry)
        elif name in slurm:
            parts["requirements-slurm"].append(entry)
        else:
            parts["requirements-export" if name in export else "requirements-dev"].append(entry)
    parts["uv"] = list(resolve(uv, ["uv.in"], "").values())
    for name, entries in parts.items():
        text = f"# {TITLES[name]} Written by `make lock`.\n" + "\n".join(entries) + "\n"
        (HERE / f"{name}.txt").write_text(text)


if __name__ == "__main__":
    main(sys.argv[1])
