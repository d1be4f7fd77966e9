"""The page of an export holds everything, says the same in each language, and what is wrong is one line."""

import base64
import gzip
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from manihot.app import page, runtime
from manihot.core import files
from manihot.core.errors import StudyError
from manihot.export import layout
from manihot.study import app, export

RUNTIME = runtime.Runtime(b"export default 1", b"\0asm")
TITLE = "Leaves </script><script>alert(1)</script>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export whose model is a few bytes."""
    (tmp_path / layout.ONNX).write_bytes(b"a model")
    rows = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
    np.save(tmp_path / layout.REFERENCE, rows)
    unlike = {"file": layout.REFERENCE, "shape": [7, 5], "neighbour": 2, "own": [0.1], "none_above": 99.0}
    about: dict[str, Any] = {
        "schema_version": layout.SCHEMA_VERSION, "name": "net", "kind": "network", "sets": None, "unlike": unlike,
        "classes": [{"label": "0", "name": "</script>"}, {"label": "1", "name": "b"}], "input": {"name": "photos"},
    }  # fmt: skip
    made = {name: tmp_path / name for name in (layout.ONNX, layout.REFERENCE)}
    files.write_json(tmp_path / layout.ABOUT, layout.with_files(about, made))
    return tmp_path


def block(text: str, name: str) -> str:
    [found] = re.findall(rf'<script type="[a-z/]+" id="{name}">(.*?)</script>', text, re.DOTALL)
    return str(found)


def test_the_page_holds_what_it_needs_and_asks_for_nothing(folder: Path) -> None:
    size = page.build(folder, RUNTIME, TITLE)
    text = (folder / page.PAGE).read_text()
    assert size == (folder / page.PAGE).stat().st_size
    unpacked = {
        name: gzip.decompress(base64.b64decode(block(text, name)))
        for name in ("runtime", "wasm", "model", "references")
    }
    assert unpacked["runtime"] == RUNTIME.module and unpacked["wasm"] == RUNTIME.wasm
    assert unpacked["model"] == b"a model"
    half = np.frombuffer(unpacked["references"], "<f2").reshape(7, 5)
    np.testing.assert_allclose(half, np.load(folder / layout.REFERENCE), rtol=1e-3)
    assert json.loads(block(text, "about"))["title"] == TITLE
    assert "alert(1)</script>" not in text and text.count("</script>") == 7
    assert "connect-src" not in text and "default-src 'none'" in text, "the policy lets nothing be asked for"
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    manifest = files.read_json(folder / page.MANIFEST)
    assert manifest["start_url"] == page.PAGE and (folder / manifest["icons"][0]["src"]).is_file()
    worker = (folder / page.WORKER).read_text()
    assert "VERSION" not in worker and all(name in worker for name in (page.PAGE, page.MANIFEST, page.ICON))
    page.build(folder, RUNTIME, TITLE)
    assert (folder / page.PAGE).read_text() == text and (folder / page.WORKER).read_text() == worker
    page.build(folder, RUNTIME, "Other")
    assert (folder / page.WORKER).read_text() != worker, "another page is another version"


def test_each_language_says_everything_with_the_same_values() -> None:
    texts, here = page.texts(), page.HERE
    assert tuple(texts) == page.LANGUAGES
    values = {
        code: {key: set(re.findall(r"\{\w+\}", said)) for key, said in words.items()} for code, words in texts.items()
    }
    assert values["fr"] == values["en"]
    code = (here / "script.js").read_text() + (here / "page.html").read_text()
    unused = [key for key in texts["en"] if f'"{key}"' not in code and not key.startswith("column_")]
    assert not unused
    asked = re.findall(r'(?:\btext\(|say\(|refuse\(|data-text=)"(\w+)"', code)
    assert asked and set(asked) <= set(texts["en"])


def test_what_is_no_whole_export_is_refused_in_a_line(folder: Path) -> None:
    with pytest.raises(StudyError, match=r"has no model-int8\.onnx: its checks\.json says why"):
        page.build(folder, RUNTIME, TITLE, int8=True)
    (folder / layout.ONNX).write_bytes(b"another model")
    with pytest.raises(StudyError, match=r"model\.onnx is missing or damaged: run make export again"):
        page.build(folder, RUNTIME, TITLE)
    files.write_json(folder / layout.ABOUT, files.read_json(folder / layout.ABOUT) | {"schema_version": 99})
    with pytest.raises(StudyError, match="has the schema version 99, and this version of Manihot reads"):
        page.build(folder, RUNTIME, TITLE)
    (folder / layout.ABOUT).write_text("{")
    with pytest.raises(StudyError, match=r"about\.json is missing or damaged"):
        page.build(folder, RUNTIME, TITLE)


def test_the_runtime_is_what_its_pin_says_or_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / runtime.ARCHIVE
    for name, content in ((runtime.MODULE, RUNTIME.module), (runtime.WASM, RUNTIME.wasm)):
        (tmp_path / Path(name).name).write_bytes(content)
    with tarfile.open(archive, "w:gz") as packed:
        for name in (runtime.MODULE, runtime.WASM):
            packed.add(tmp_path / Path(name).name, name)
    with pytest.raises(StudyError, match=r"onnxruntime-web-1\.30\.0\.tgz is damaged, or another file than npm has"):
        runtime.fetch(tmp_path)
    monkeypatch.setattr(runtime, "INTEGRITY", runtime.integrity(archive.read_bytes()))
    assert runtime.fetch(tmp_path) == RUNTIME


def test_without_npm_a_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StudyError, match="npm is not installed, by which make app fetches onnxruntime-web: install it"):
        runtime.fetch(tmp_path / "exporting")
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\nexit 1\n")
    npm.chmod(0o755)
    with pytest.raises(StudyError, match=r"npm pack onnxruntime-web@1\.30\.0 fails \(npm error code ENOTFOUND\)"):
        runtime.fetch(tmp_path / "exporting")
    assert not (tmp_path / "exporting" / runtime.ARCHIVE).exists()


def test_the_command_makes_the_export_and_then_the_page(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    files.write_json(run / "results/models/net/model.json", {"name": "net"})
    files.write_json(run / "results/settings/build_report/all.json", {"settings": {"title": "Leaves"}})
    asked = []

    def make(arguments: list[str]) -> int:
        asked.append(arguments)
        for path in (layout.ABOUT, layout.ONNX, layout.REFERENCE):
            files.write_bytes(run / "results/export/net" / path, (folder / path).read_bytes())
        return 0

    monkeypatch.setattr(export, "main", make)
    monkeypatch.setattr(runtime, "fetch", lambda place: RUNTIME)
    monkeypatch.setattr(app, "check_model", lambda place: place)
    assert app.main(["net", "--dir", str(run), "--cores", "2"]) == 0
    assert asked == [["net", "--dir", str(run), "--cores", "2"]]
    made = run / "results/export/net" / page.PAGE
    assert f"The page: {made.resolve()} (0.0 MB)" in capsys.readouterr().out
    assert "<title>Leaves</title>" in made.read_text()
    assert app.main(["net", "--dir", str(run), "--int8"]) == 1
    assert capsys.readouterr().err.startswith("error: ") and made.is_file()
