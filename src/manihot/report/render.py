"""A page: its template and script, with what all pages share (macros, style, light and dark, tables that sort)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

HERE = Path(__file__).parent
# A digest follows names in plain strings: each file beside this one that is read here has its name here.
MACROS, STYLE, SCRIPTS = "macros.html", "style.css", ("shared.js", "tables.js")


def render(template: str, script: str | None, shown: Mapping[str, Any]) -> str:
    """The page as HTML that holds all it needs: the file `template` beside this module with what is `shown`, and the
    file `script`, if it has one. The caller names both in plain strings."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    own = {
        "style": _read(STYLE),
        "script": Markup("\n").join(_read(name) for name in (*SCRIPTS, *([script] if script else []))),
    }
    return environment.get_template(template).render({"macros": MACROS, **own, **shown})


def _read(name: str) -> Markup:
    return Markup((HERE / name).read_text(encoding="utf-8"))
