"""The raw content of study files: YAML without surprises, and one file laid over another.

Every mistake ends in one `StudyError` line that names the file, the key and the mend.
"""

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from manihot.core.errors import StudyError
from manihot.core.text import CONTROL, shorten
from manihot.study.sources import NUMBER

# Beyond these no study file makes sense, and reading one takes minutes.
MOST_BYTES, MOST_VALUES = 100_000, 50_000
MOST_LETTERS, MOST_DIGITS = 200, 40  # of a key, of a number


class _StrictLoader(yaml.SafeLoader):
    """A safe loader whose keys are text, each given once, and that refuses what grows beyond its file."""

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None and _values(node, {}) > MOST_VALUES:
            raise yaml.YAMLError("its aliases (*) stand for too many values: write out those that you mean")
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"):
            if key.value in seen:
                raise yaml.MarkedYAMLError(None, None, f"the key {key.value} is given twice", key.start_mark)
            seen.add(key.value)
            key.tag = "tag:yaml.org,2002:str"
        return super().construct_mapping(node, deep)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> str:
        value: str = super().construct_scalar(node)
        if len(value) > MOST_DIGITS and node.tag.endswith((":int", ":float")):
            raise yaml.MarkedYAMLError(None, None, f"a number of {len(value)} digits", node.start_mark)
        return value


def _values(node: yaml.Node, known: dict[int, float]) -> float:
    """How many values a node stands for when its aliases are written out; infinite where it holds itself."""
    if id(node) not in known:
        known[id(node)] = math.inf
        children = node.value if isinstance(node, yaml.CollectionNode) else ()
        flat = itertools.chain.from_iterable(children) if isinstance(node, yaml.MappingNode) else children
        known[id(node)] = 1 + sum(_values(child, known) for child in flat)
    return known[id(node)]


def _check_plain(value: Any, key: str, path: Path) -> None:
    """Refuse values that no study means and that messages, paths and libraries do not take."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if len(name) > MOST_LETTERS or CONTROL.search(name):
                place = f"{path}: {key}".removesuffix(": ")
                raise StudyError(f"{place}: {shorten(name)} is too long or holds a control character: rename it")
            _check_plain(inner, f"{key}.{name}" if key else name, path)
    elif isinstance(value, list):
        for inner in value:
            _check_plain(inner, key, path)
    elif isinstance(value, str):
        # Only these two are prose, which may be broken into lines.
        if CONTROL.search(" ".join(value.split()) if key in {"title", "description"} else value):
            raise StudyError(f"{path}: {key}: {shorten(value)} holds a control character: take it out")
        if NUMBER.fullmatch(value):
            _check_plain(float(value), key, path)
    elif isinstance(value, int | float):
        if not abs(value) < 2**31:
            raise StudyError(f"{path}: {key}: {value} is beyond every number that a study can use")
    elif value is not None:
        raise StudyError(f"{path}: {key}: should be text or a number, not a {type(value).__name__}: quote it")


def read_file(path: Path) -> dict[str, Any]:
    """The raw content of a study file, with the one it `extends` underneath.

    Raises:
        StudyError: the file is missing, is no YAML mapping, gives a key twice or extends itself.
    """
    return _read(path, ())


def _read(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    try:
        if not path.is_file():  # a pipe or a device would be read for ever
            raise FileNotFoundError
        if path.resolve() in above:
            raise StudyError(f"{path}: extends itself; take the key `extends` out of one of the files")
        if path.stat().st_size > MOST_BYTES:
            raise StudyError(f"{path}: larger than {MOST_BYTES} bytes; a study file is a page or two of YAML")
        raw = _StrictLoader(path.read_text(encoding="utf-8-sig")).get_single_data()
    except FileNotFoundError:
        raise StudyError(f"{path}: no such study file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: cannot be read: {error}") from None
    # PyYAML's own constructors raise the last three for a tag that its value does not fit, as `!!int ""`.
    except (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}:" if mark else ""
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise StudyError(f"{path}:{place} not valid YAML: {what[:200]}") from None
    if not isinstance(raw, dict):
        raise StudyError(f"{path}: is no study file: it must hold keys (title, data, splits, experiments …)")
    _check_plain(raw, "", path)
    parent = raw.pop("extends", None)
    if parent is None:
        return raw
    if not isinstance(parent, str):
        raise StudyError(f"{path}: extends: must be the path of a study file")
    return merge(_read(path.parent / parent, (*above, path.resolve())), raw)


def merge(below: Any, above: Any) -> Any:
    """`above` laid over `below`, mapping by mapping."""
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    merged = dict(below)
    for key, value in above.items():
        merged[key] = merge(merged[key], value) if key in merged else value
    return merged
