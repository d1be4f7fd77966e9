"""The runtime of the page, onnxruntime-web: fetched by npm, a pinned version whose content is checked."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from manihot.core import files
from manihot.core.errors import StudyError

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
# As the registry has it (npm view onnxruntime-web@1.30.0 dist.integrity).
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
ARCHIVE = f"{PACKAGE}-{VERSION}.tgz"
# The build with WebAssembly alone, whose module holds all else that it needs.
MODULE, WASM = "package/dist/ort.wasm.bundle.min.mjs", "package/dist/ort-wasm-simd-threaded.wasm"
LONGEST = 600.0


@dataclass(frozen=True)
class Runtime:
    """The content of the runtime's module (JavaScript) and of its WebAssembly."""

    module: bytes
    wasm: bytes


def fetch(folder: Path) -> Runtime:
    """The runtime, from its archive in `folder`, into which npm loads it where it is not there.

    Raises:
        StudyError: npm is not there or fails, or what it loaded is not what is expected.
    """
    archive = folder / ARCHIVE
    if not archive.is_file():
        _load(archive)
    content = archive.read_bytes()
    if integrity(content) != INTEGRITY:
        raise StudyError(f"{archive} is damaged, or another file than npm has: remove it, and run make app again")
    with tarfile.open(archive) as packed:
        return Runtime(*(_member(packed, name) for name in (MODULE, WASM)))


def integrity(content: bytes) -> str:
    """How npm writes the SHA-512 of a package."""
    return f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"


def _member(packed: tarfile.TarFile, name: str) -> bytes:
    found = packed.extractfile(name)
    assert found is not None
    return found.read()


def _load(archive: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise StudyError(
            f"npm is not installed, by which make app fetches {PACKAGE}: install it (Debian: apt install npm), or put "
            f"{ARCHIVE} of another machine (npm pack {PACKAGE}@{VERSION}) into {archive.parent}"
        )
    with tempfile.TemporaryDirectory() as place:
        command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--pack-destination", place, "--ignore-scripts", "--silent"]
        try:
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=LONGEST, check=False)
            said = " ".join(done.stderr.split())[:200] or f"it ended with {done.returncode}"
        except subprocess.TimeoutExpired:
            said = f"no answer in {LONGEST:.0f} s"
        loaded = Path(place, ARCHIVE)
        if not loaded.is_file():
            raise StudyError(f"npm pack {PACKAGE}@{VERSION} fails ({said}): is there a network? Run make app again")
        files.write_bytes(archive, loaded.read_bytes())
