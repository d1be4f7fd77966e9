"""The pins: requirement files that name every version, conda environments that repeat them and suffice."""

import ast
import re
import sys
from collections.abc import Iterable
from importlib.metadata import packages_distributions, requires, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as canonical

ROOT = Path(__file__).parents[2]
ENVS = sorted((ROOT / "envs").glob("*.yaml"))
RULE = re.compile(r'conda:\s*"[./]*(envs/\w+\.yaml)"(?:(?!\nrule ).)*?script:\s*"\.\./(scripts/\w+\.py)"', re.DOTALL)
# Snakemake puts its own folder on a script's path, whatever the environment.
GIVEN = {"snakemake"}


def lines(name: str) -> list[str]:
    text = (ROOT / "envs" / name).read_text()
    return [line for line in text.splitlines() if line and not line.startswith(("#", "-r "))]


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
        for wanted in map(Requirement, requires(name) or []):
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


def test_every_version_is_pinned_once() -> None:
    entries = [
        line for name in ("requirements.txt", "requirements-slurm.txt", "requirements-dev.txt") for line in lines(name)
    ]
    assert [entry for entry in entries if not re.match(r"[a-z0-9-]+==[0-9][a-z0-9.]*(; .*)?$", entry)] == []
    names = [canonical(Requirement(entry).name) for entry in entries]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("extra", [[], ["requirements-slurm.txt", "requirements-dev.txt"]])
def test_requirements_are_complete_and_installed(extra: list[str]) -> None:
    pinned = pins(lines("requirements.txt") + [line for name in extra for line in lines(name)])
    assert needed(pinned) - set(pinned) == set(), "brought along, but not pinned"
    assert {f"{name}=={version(name)}" for name in pinned} == {f"{name}{pin.specifier}" for name, pin in pinned.items()}


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.stem)
def test_an_environment_repeats_the_pins(path: Path) -> None:
    entries = environment(path)
    assert [entry for entry in entries if entry not in lines("requirements.txt")] == []
    assert needed(pins(entries)) - set(pins(entries)) == set(), "brought along, but not pinned"


def test_each_rule_names_an_environment_that_serves_it_and_none_within_that_one_does() -> None:
    rules = {
        script: ROOT / env
        for path in sorted((ROOT / "workflow" / "rules").glob("*.smk"))
        for env, script in RULE.findall(path.read_text())
    }
    assert rules, "no rule names an environment and a script"
    assert sorted(rules) == sorted(f"scripts/{path.name}" for path in (ROOT / "workflow" / "scripts").glob("*.py"))
    distributions = packages_distributions()
    held = {path: set(pins(environment(path))) for path in ENVS}
    for script, env in rules.items():
        modules = imported(ROOT / "workflow" / script, set()) - GIVEN
        wanted = {canonical(distributions[module][0]) for module in modules}
        assert wanted <= held[env], f"{script} imports {sorted(wanted - held[env])}, which {env.name} has not"
        smaller = [path.name for path in ENVS if wanted <= held[path] < held[env]]
        assert not smaller, f"{script} would be served by {smaller}, which {env.name} contains"
