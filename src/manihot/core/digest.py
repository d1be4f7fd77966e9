"""What a script's code is: a digest of its syntax tree and of every package module that it imports.

Comments, white space and docstrings do not count, so that only an edit that can change a result does.
"""

import ast
import hashlib
import re
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
# These tell a story or a time; they do not change a result.
LEFT_OUT = {"manihot.core.job", "manihot.core.progress"}
# What a module may read from its own folder.
BESIDE = re.compile(r"[\w-]+\.(html|css|js)")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_digest(script: Path, package: Path = PACKAGE) -> str:
    """SHA-256 (hexadecimal) over `script` and the modules of the package it imports, directly or not.

    A module that names a file beside it in a text of its own (the report's template, style, script) brings it along.
    """
    pending, seen = list(_imports(script)), {}
    while pending:
        name = pending.pop()
        path = _module_file(name, package)
        if name in seen or name in LEFT_OUT or path is None:
            continue
        seen[name] = _digest(path)
        pending += _imports(path)
    whole = [_digest(script), *(f"{name} {digest}" for name, digest in sorted(seen.items()))]
    return hashlib.sha256("\n".join(whole).encode()).hexdigest()


def _module_file(name: str, package: Path) -> Path | None:
    parts = name.split(".")[1:]
    for path in (package.joinpath(*parts).with_suffix(".py"), package.joinpath(*parts, "__init__.py")):
        if parts and path.is_file():
            return path
    return None


def _imports(path: Path) -> frozenset[str]:
    return _parse(path, path.stat().st_mtime_ns, path.stat().st_size)[0]


def _digest(path: Path) -> str:
    _, own, named = _parse(path, path.stat().st_mtime_ns, path.stat().st_size)
    beside = (path.parent / name for name in sorted(named))
    return own + "".join(hashlib.sha256(p.read_bytes()).hexdigest() for p in beside if p.is_file())


@cache
def _parse(path: Path, mtime: int, size: int) -> tuple[frozenset[str], str, frozenset[str]]:
    """The package modules that a file names in its imports, the digest of its syntax tree, and the files it names."""
    tree = ast.parse(path.read_bytes())
    imports: set[str] = set()
    named: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imports |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and BESIDE.fullmatch(node.value):
            named.add(node.value)
    ours = frozenset(name for name in imports if name.split(".")[0] == "manihot")
    return ours, hashlib.sha256(ast.dump(tree).encode()).hexdigest(), frozenset(named)
