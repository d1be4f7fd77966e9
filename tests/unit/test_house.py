"""The house's rules that a program can check: who imports whom, and how long a file may be."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "manihot"
SCRIPTS = sorted((ROOT / "workflow").rglob("scripts/*.py"))
RULES = sorted((ROOT / "workflow").glob("*/*.smk"))
HEAVY = {"torch", "torchvision", "timm", "xgboost"}
# These jobs train, or run, networks and boosters; every other one does without the libraries for it.
COMPUTING = {
    "cache_pixels": {"torch"}, "fetch_weights": {"torch", "torchvision", "timm"},
    "train_fold": {"torch", "torchvision", "timm"}, "check_overfit": {"torch", "torchvision", "timm"},
    "show_augmentation": {"torch", "torchvision", "timm"}, "predict_fold": {"torch", "torchvision", "timm"}, "extract_features": {"torch", "torchvision", "timm"},
    "store_activations": {"torch", "torchvision", "timm"}, "draw_reference": {"torch", "torchvision", "timm"}, "fit_head": {"torch", "torchvision"}, "predict_head": {"torch"}, "probe_masked": {"torch"},
    "fit_fewer_photos": {"torch"}, "draw_grad_cams": {"torch", "torchvision", "timm"},
    "predict_new": {"torch", "torchvision", "timm", "xgboost"},
    "predict_external": {"torch", "torchvision", "timm", "xgboost"},
    "export_graph": {"torch", "torchvision", "timm", "xgboost"}, "quantise_graph": {"torch"},
    "check_export": {"torch", "torchvision", "timm", "xgboost"},
    "fit_booster": {"xgboost"}, "predict_booster": {"xgboost"},
}  # fmt: skip
# What the main process imports: it starts in about a second.
MAIN = {
    "core/command", "core/digest", "core/errors", "core/files", "core/gpus", "core/names", "core/text", "networks/packages",
    "photos/labels", "published/paper",
    *(f"study/{name}" for name in (
        "amounts", "checks", "cost_jobs", "estimate", "explain", "jobs", "load", "monitor", "paths", "plan", "protocols", "rates", "recipes", "schema",
        "settings", "sources", "tasks", "yaml_files")),
}  # fmt: skip
MOST_ARGUMENTS = 8
# The wings in their order: none imports a later one. `study` stands above all.
WINGS = (
    "core", "photos", "catalog", "pixels", "splits", "networks", "features", "training", "predictions", "applied", "scores",
    "published", "export", "app", "figures", "report", "study",
)  # fmt: skip


def imports(path: Path) -> set[str]:
    """Every module that a file imports, at its top or inside."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            # `from package import module` means the module.
            found |= members if all(map(module_file, members)) else members | {node.module}
    return found


def module_file(name: str) -> Path | None:
    parts = name.split(".")[1:] if name.startswith("manihot.") else []
    for path in (PACKAGE.joinpath(*parts).with_suffix(".py"), PACKAGE.joinpath(*parts, "__init__.py")):
        if parts and path.is_file():
            return path
    return None


def reached(path: Path) -> tuple[set[str], set[str]]:
    """The modules of the package and the libraries that a file imports, directly or not."""
    pending, own, libraries = [path], set(), set()
    while pending:
        for name in imports(pending.pop()):
            file = module_file(name) if name.startswith("manihot.") else None
            if file is not None and name not in own:
                own.add(name)
                pending.append(file)
            elif not name.startswith("manihot"):
                libraries.add(name.split(".")[0])
    return own, libraries


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_imports_only_what_it_needs(script):
    own, libraries = reached(script)
    assert libraries & HEAVY <= COMPUTING.get(script.stem, set())
    assert not {name for name in own if name.startswith("manihot.study.")}
    assert len(script.read_text().splitlines()) <= 45


def test_the_main_process_starts_light():
    for name in MAIN:
        _, libraries = reached(PACKAGE / f"{name}.py")
        assert not libraries & {*HEAVY, "numpy", "pandas", "scipy", "sklearn", "matplotlib", "PIL"}, name


def test_the_package_never_imports_the_engine():
    for path in PACKAGE.rglob("*.py"):
        assert not {name for name in imports(path) if name.split(".")[0] == "snakemake"}, path


def test_no_wing_imports_a_later_one():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(WINGS)
    assert [path.name for path in PACKAGE.glob("*.py")] == ["__init__.py"], "a module lies in a wing"
    for path in PACKAGE.rglob("*.py"):
        own = path.relative_to(PACKAGE).parts[0]
        for name in imports(path):
            other = name.split(".")[1] if name.startswith("manihot.") else own
            assert own not in WINGS or WINGS.index(other) <= WINGS.index(own), f"{path} imports {name}"


def test_imports_point_one_way():
    """No module reaches itself through its imports."""
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(["manihot", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
        assert name not in reached(path)[0], f"{name} imports itself in a circle"


def test_no_file_has_to_be_scrolled_for_long():
    for path in [*PACKAGE.rglob("*.py"), *(ROOT / "workflow").rglob("*.*")]:
        assert len(path.read_text().splitlines()) <= 400, path


def test_every_rule_has_a_log_threads_and_resources():
    for path in RULES:
        for rule in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            name = rule.partition(":")[0]
            for directive in ("log:", "threads:", "mem_mb=", "runtime=", "conda:", "script:"):
                assert directive in rule, f"{name} has no {directive}"


def test_profiles_name_rules_that_there_are():
    """The engine takes no notice of a rule that is not there: its resources or group would be lost in silence."""
    rules = set(re.findall(r"^rule (\w+):", "".join(p.read_text() for p in RULES), flags=re.MULTILINE))
    for path in ROOT.glob("profiles/*/config.yaml"):
        profile = yaml.safe_load(path.read_text())
        for key in ("set-resources", "set-threads", "groups"):
            assert set(profile.get(key, {})) <= rules, f"{path}: {key}"


def test_rules_files_hold_rules_only():
    for path in RULES:
        functions = re.findall(r"^def (\w+)", path.read_text(), flags=re.MULTILINE)
        assert not functions or path.name == "common.smk", f"{path.name}: {functions}"


def test_the_packages_themselves_hold_no_code():
    """A digest follows modules: what an `__init__` did would escape it where only the module is named."""
    for path in PACKAGE.glob("*/**/__init__.py"):
        (only,) = ast.parse(path.read_text()).body
        assert isinstance(only, ast.Expr) and isinstance(only.value, ast.Constant), path
        assert isinstance(only.value.value, str), path


def test_the_package_has_one_door_which_opens_in_no_time():
    """Every module is imported through it, and no digest follows it."""
    told, *code = ast.parse((PACKAGE / "__init__.py").read_text()).body
    assert [ast.unparse(node) for node in code] == [
        "from manihot.applied.load import load_model", "__all__ = ['load_model']",
    ]  # fmt: skip
    script = "import sys; from manihot import load_model; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    libraries = {name.split(".")[0] for name in done.stdout.split()}
    assert not libraries & {*HEAVY, "numpy", "pandas", "scipy", "PIL"}
    assert {name for name in done.stdout.split() if name.startswith("manihot")} == {
        "manihot", "manihot.applied", "manihot.applied.load",
    }  # fmt: skip


def arguments(path: Path) -> dict[str, int]:
    """How many arguments each public function and method of a file takes, self left out: dotted name -> number."""
    found = {}

    def look(body: list[ast.stmt], place: str, owner: bool) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                look(node.body, f"{place}.{node.name}", True)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if node.name.startswith("_") and node.name not in {"__init__", "__call__"}:
                    continue
                given = node.args
                static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
                named = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)
                found[f"{place}.{node.name}"] = named - (owner and not static)

    look(ast.parse(path.read_text()).body, ".".join(path.relative_to(PACKAGE).with_suffix("").parts), False)
    return found


def test_no_public_function_takes_more_than_eight_arguments():
    found = {name: count for path in PACKAGE.rglob("*.py") for name, count in arguments(path).items()}
    assert not {name: count for name, count in found.items() if count > MOST_ARGUMENTS}
