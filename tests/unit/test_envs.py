"""The pins: locks of every version with hashes, conda environments that repeat and suffice, and how they are installed."""

import ast
import importlib
import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as canonical

ROOT = Path(__file__).parents[2]
ENVS = sorted((ROOT / "envs").glob("*.yaml"))
# What a script starts in a process of its own, whose imports it needs too. What else that process can time, it leaves out
# where a library is not there.
STARTS = {"measure_speeds": "src/manihot/study/network_speeds.py"}
RULE = re.compile(
    r'conda:\s*"[./]*(envs/\w+\.yaml)"(?:(?!\nrule ).)*?script:\s*"((?:\.\./)?scripts/\w+\.py)"', re.DOTALL
)
# Snakemake puts its own folder on a script's path, whatever the environment.
GIVEN = {"snakemake"}


LOCKS = (
    "requirements", "requirements-torch", "requirements-slurm", "requirements-export", "requirements-dev", "uv",
)  # fmt: skip
RUN, EXPORT, DEV = LOCKS[:2], (*LOCKS[:2], "requirements-export"), LOCKS[:5]
# What a build of PyTorch without CUDA leaves out.
CUDA = re.compile(r"(nvidia|cuda)-|triton$")
sys.path.append(str(ROOT / "envs"))
install = importlib.import_module("install")


def entries_of(name: str) -> list[str]:
    """The entries of a lock, each with its hashes."""
    text = (ROOT / "envs" / f"{name}.txt").read_text()
    return re.split(r"\n(?=[a-z0-9])", text.split("\n", 1)[1].strip())


def lines(*names: str) -> list[str]:
    """The pins of locks, without their hashes."""
    return [entry.split(" \\")[0] for name in names for entry in entries_of(name)]


def pins(entries: list[str]) -> dict[str, Requirement]:
    """What `entries` pin on this kind of machine, by name."""
    pinned = {canonical(entry.name): entry for entry in map(Requirement, entries)}
    return {name: entry for name, entry in pinned.items() if entry.marker is None or entry.marker.evaluate()}


def environment(path: Path) -> list[str]:
    [pip] = [entry for entry in yaml.safe_load(path.read_text())["dependencies"] if isinstance(entry, dict)]
    return pip["pip"]


def needed(names: Iterable[str]) -> set[str]:
    """The installed distributions that `names` bring along, here and now, themselves included."""
    found: set[tuple[str, str]] = set()
    pending = {(name, "") for name in names}
    while pending:
        name, extra = found_now = pending.pop()
        found.add(found_now)
        try:
            asked = requires(name) or []
        except PackageNotFoundError:
            assert CUDA.match(name) and "+cpu" in version("torch"), f"{name} is not installed"
            continue
        for wanted in map(Requirement, asked):
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                pending |= {(canonical(wanted.name), part) for part in ("", *wanted.extras)} - found
    return {name for name, _ in found}


def imported(path: Path, seen: set[Path]) -> set[str]:
    """Top-level modules from elsewhere that a file imports, itself or through the package."""
    if path in seen:
        return set()
    seen.add(path)
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    elsewhere = {name.split(".")[0] for name in names} - {"manihot"} - sys.stdlib_module_names
    for name in names:
        module = ROOT / "src" / Path(*name.split("."))
        for file in (module.with_suffix(".py"), module / "__init__.py"):
            if name.startswith("manihot.") and file.is_file():
                elsewhere |= imported(file, seen)
    return elsewhere


def test_every_version_is_locked_once_with_hashes() -> None:
    entries = [entry for name in LOCKS for entry in entries_of(name)]
    whole = re.compile(r"[a-z0-9-]+==[0-9][a-z0-9.]*( ; [^\\\n]*)?( \\\n    --hash=sha256:[0-9a-f]{64})+")
    assert [entry for entry in entries if not whole.fullmatch(entry)] == []
    names = [entry.split("==")[0] for entry in entries]
    assert sorted(names) == sorted(set(names)) and len(names) > 100


def test_what_is_named_is_locked_in_its_version() -> None:
    for file in sorted((ROOT / "envs").glob("*.in")):
        named = [line for line in file.read_text().splitlines() if not line.startswith("#")]
        assert named and set(named) <= set(lines(*LOCKS)), file.name


@pytest.mark.parametrize("names", [RUN, EXPORT, DEV], ids=["run", "export", "dev"])
def test_locks_are_complete_and_installed(names: tuple[str, ...]) -> None:
    pinned = pins(lines(*names))
    assert needed(pinned) - set(pinned) == set(), "brought along, but not pinned"
    here = {name: pin for name, pin in pinned.items() if not (CUDA.match(name) and "+cpu" in version("torch"))}
    installed = {f"{name}=={version(name).split('+')[0]}" for name in here}
    assert installed == {f"{name}{pin.specifier}" for name, pin in here.items()}


def test_no_cuda_library_stands_outside_its_lock() -> None:
    assert not [pin for pin in lines(*(name for name in DEV if name != "requirements-torch")) if CUDA.match(pin)]
    assert {pin.split("==")[0] for pin in install.torch_pins()} == {"torch", "torchvision"}
    assert set(install.torch_pins()) <= set(lines("requirements-torch"))


def test_the_build_of_pytorch_follows_the_machine_and_what_is_asked(tmp_path: Path) -> None:
    assert install.wanted_build({}, "linux", tmp_path) == "cpu"
    assert (
        install.wanted_build({}, "darwin", tmp_path) == install.wanted_build({"TORCH": "cpu"}, "darwin") == "ordinary"
    )
    for device in ("nvidia0", "dxg"):
        folder = tmp_path / device
        folder.mkdir()
        (folder / device).touch()
        assert install.wanted_build({}, "linux", folder) == "cuda"
        assert install.wanted_build({"TORCH": "cpu"}, "linux", folder) == "cpu"
    assert install.wanted_build({"TORCH": "cuda"}, "linux", tmp_path) == "cuda"
    with pytest.raises(SystemExit, match="TORCH=rocm: must be cpu or cuda"):
        install.wanted_build({"TORCH": "rocm"}, "linux", tmp_path)


# Stands in for pip and uv: it writes down what it is asked, and fails where the case says so.
ASKED = """#!/bin/sh
echo "$@" >> {log}
case "$*" in {fails}) echo "  cause: nobody there" >&2; exit 1;; esac
"""
CASES = {
    "cpu": (
        "cpu",
        "nothing",
        "cpu",
        ["pip -r uv", "uv --torch-backend=cpu --dry-run", "uv -r requirements", "uv --torch-backend=cpu"],
    ),
    "cpu, index out of reach": (
        "cpu",
        "*--dry-run*",
        "cuda",
        ["pip -r uv", "uv --torch-backend=cpu --dry-run", "uv -r requirements -r requirements-torch"],
    ),
    "cuda": ("cuda", "nothing", "cuda", ["pip -r uv", "uv -r requirements -r requirements-torch"]),
    "no uv": ("cpu", "*uv.txt*", "cuda", ["pip -r uv", "pip -r requirements -r requirements-torch"]),
    "uv fails": (
        "cuda",
        "*--python*",
        "cuda",
        ["pip -r uv", "uv -r requirements -r requirements-torch", "pip -r requirements -r requirements-torch"],
    ),
}


@pytest.mark.parametrize(("torch", "fails", "taken", "asked"), CASES.values(), ids=CASES)
def test_uv_installs_and_pip_where_it_cannot(torch, fails, taken, asked, tmp_path, monkeypatch, capsys) -> None:
    log = tmp_path / "log"
    for name in ("pip", "uv"):
        (tmp_path / name).write_text(ASKED.format(log=log, fails=fails).replace('"$@"', f'{name} "$@"'))
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(install, "PIP", [str(tmp_path / "pip")])
    monkeypatch.setattr(install, "UV", tmp_path / "uv")
    monkeypatch.setattr(install, "sys", SimpleNamespace(platform="linux", executable="python", exit=sys.exit))
    monkeypatch.setenv("TORCH", torch)
    assert install.install_run() == taken
    calls = log.read_text().splitlines()
    kept = re.compile(r"^(?:pip|uv)\b|-r(?= )|--torch-backend=cpu|--dry-run|[\w-]+(?=\.txt)")
    assert [" ".join(kept.findall(call)) for call in calls] == asked
    assert all("--require-hashes" in call for call in calls if "-r " in call)
    assert ("nobody there" in capsys.readouterr().out) == (fails != "nothing")


def test_what_cannot_be_installed_is_one_line(monkeypatch) -> None:
    monkeypatch.setattr(install, "PIP", ["sh", "-c", "echo 'no room on the disk' >&2; exit 1"])
    with pytest.raises(SystemExit, match="error: the packages cannot be installed: no room on the disk"):
        install.install_run()


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.stem)
def test_an_environment_repeats_the_pins(path: Path) -> None:
    entries = environment(path)
    known = lines(*(EXPORT if path.stem == "export" else RUN))
    assert [entry for entry in entries if entry not in known] == []
    assert needed(pins(entries)) - set(pins(entries)) == set(), "brought along, but not pinned"


def test_each_rule_names_an_environment_that_serves_it_and_none_within_that_one_does() -> None:
    rules = {
        (path.parent / script).resolve(): ROOT / env
        for path in sorted((ROOT / "workflow").glob("*/*.smk"))
        for env, script in RULE.findall(path.read_text())
    }
    assert rules, "no rule names an environment and a script"
    assert sorted(rules) == sorted((ROOT / "workflow").resolve().rglob("scripts/*.py"))
    distributions = packages_distributions()
    held = {path: set(pins(environment(path))) for path in ENVS}
    for script, env in rules.items():
        modules = imported(script, set()) - GIVEN
        if script.stem in STARTS:
            modules |= imported(ROOT / STARTS[script.stem], set()) - GIVEN
        wanted = {canonical(distributions[module][0]) for module in modules}
        assert wanted <= held[env], f"{script.name} imports {sorted(wanted - held[env])}, which {env.name} has not"
        smaller = [path.name for path in ENVS if wanted <= held[path] < held[env]]
        assert not smaller, f"{script.name} would be served by {smaller}, which {env.name} contains"
