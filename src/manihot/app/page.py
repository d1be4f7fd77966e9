"""The page of an exported model: everything that it needs is in `app.html`; what a web server adds lies beside it."""

import base64
import gzip
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from manihot.app.runtime import VERSION, Runtime
from manihot.core import files
from manihot.core.errors import StudyError
from manihot.export import layout

HERE = Path(__file__).parent
PAGE, WORKER, MANIFEST, ICON = "app.html", "app-worker.js", "app.webmanifest", "app-icon.svg"
# A page that is larger than this is slow to send to a phone, and to open there.
LARGE = 30 * 10**6
LANGUAGES = ("en", "fr")


def build(folder: Path, runtime: Runtime, title: str, int8: bool = False) -> int:
    """Write the page and what lies beside it into the folder of an export; returns the bytes of the page.

    `title` is that of the study. `int8` takes the smaller file of the model, which is there where it passed its check.

    Raises:
        StudyError: the folder holds no whole export, or no int8 file.
    """
    about = read(folder)
    name = layout.INT8 if int8 else layout.ONNX
    if name not in about["files"]:
        raise StudyError(f"{folder} has no {name}: its checks.json says why; run make app without INT8")
    # The int8 file does not tell how unlike the study's photos a photo is.
    unlike = None if int8 else about["unlike"]
    known = {**{key: about[key] for key in ("name", "kind", "classes", "input", "sets")}, "unlike": unlike}
    references = _packed(_half(_whole(folder, about, unlike["file"]))) if unlike else Markup()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    page = environment.get_template("page.html").render(
        title=title,
        about=_data({**known, "model": about["files"][name]["sha256"], "title": title, "runtime": VERSION}),
        texts=_data(texts()),
        style=Markup((HERE / "style.css").read_text(encoding="utf-8")),
        script=Markup((HERE / "script.js").read_text(encoding="utf-8")),
        runtime=_packed(runtime.module),
        wasm=_packed(runtime.wasm),
        model=_packed(_whole(folder, about, name)),
        references=references,
        icon=Markup(base64.b64encode((HERE / "icon.svg").read_bytes()).decode()),
    )
    files.write_text(folder / ICON, (HERE / "icon.svg").read_text(encoding="utf-8"))
    short = {"name": title, "short_name": title[:12], "start_url": PAGE, "scope": "./", "display": "standalone"}
    look = {"background_color": "#ffffff", "theme_color": "#14532d"}
    icons = [{"src": ICON, "sizes": "any", "type": "image/svg+xml", "purpose": "any"}]
    files.write_json(folder / MANIFEST, {**short, **look, "icons": icons})
    version = hashlib.sha256(page.encode()).hexdigest()[:16]
    worker = (HERE / "worker.js").read_text(encoding="utf-8")
    files.write_text(folder / WORKER, worker.replace("VERSION", version))
    files.write_text(folder / PAGE, page)
    return (folder / PAGE).stat().st_size


def read(folder: Path) -> dict[str, Any]:
    """The record of the export in a folder.

    Raises:
        StudyError: there is none, or a later version wrote it.
    """
    path = folder / layout.ABOUT
    try:
        about = files.read_json(path)
        version = about["schema_version"]
    except (OSError, ValueError, KeyError, TypeError):
        raise StudyError(f"{path} is missing or damaged: run make export again") from None
    if version != layout.SCHEMA_VERSION:
        raise StudyError(
            f"{path} has the schema version {version}, and this version of Manihot reads {layout.SCHEMA_VERSION}: "
            "run make export again"
        )
    return dict(about)


def texts() -> dict[str, dict[str, str]]:
    """The page's texts in each language."""
    told: dict[str, dict[str, str]] = files.read_json(HERE / "texts.json")
    return told


def _whole(folder: Path, about: Mapping[str, Any], name: str) -> bytes:
    path = folder / name
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    if hashlib.sha256(content).hexdigest() != about["files"][name]["sha256"]:
        raise StudyError(f"{path} is missing or damaged: run make export again")
    return content


def _half(stored: bytes) -> bytes:
    """The reference photos' features (.npy) as float16, little-endian, row by row: half of the bytes, each number right
    to 0.1 %."""
    rows: bytes = np.load(io.BytesIO(stored)).astype("<f2").tobytes()
    return rows


def _packed(content: bytes) -> Markup:
    """Bytes as the page holds them: gzip in Base64; the same bytes for the same content."""
    return Markup(base64.b64encode(gzip.compress(content, 9, mtime=0)).decode())


def _data(content: Any) -> Markup:
    """JSON inside a script element, which no text of it can end."""
    return Markup(json.dumps(content, ensure_ascii=False, sort_keys=True).replace("<", "\\u003c"))
