#!/usr/bin/env python3
"""Answers photos with the exported model beside this file. Needs Python 3.10 or newer, onnxruntime, numpy and pillow:

    python predict.py PHOTOS [PHOTOS …] [-o predictions.csv]

PHOTOS are files, or folders with those below them. Without -o the table goes to the terminal. Its columns: image_id,
answer, probability, set (classes that may be right, joined by ;), unlike (percent of the model's own photos that lie
nearer to the others; not with --int8), review (why a person should look at the photo), p0, p1 … of all classes. Photos
that cannot be used are named on the terminal, and with -o in problems.csv beside the table. README.md says what all
this is worth.

In Python: Predictor(folder).answers([Path("a.jpg"), …]) gives a dictionary a photo.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

try:
    import numpy as np
    import onnxruntime
    from PIL import ExifTags, Image, UnidentifiedImageError
except ImportError as error:
    sys.exit(f"error: {error.name} is not installed: python -m pip install onnxruntime numpy pillow")

Array = np.ndarray[Any, Any]
SCHEMA_VERSION = 1
ENDINGS = {
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm",
    ".tif", ".tiff", ".webp",
}  # fmt: skip
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
FORMULA = re.compile(r"=|[+\-@].*[(|!]")
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
MAX_PIXELS, SMALLEST = 100_000_000, 8
LEAST = float(np.finfo(np.float64).eps)


class ExportError(Exception):
    """What is wrong with the folder of the model, or with what is asked, in a line."""


class UnusableError(Exception):
    """Why a photo cannot be used, in a few words."""


class Predictor:
    """The exported model in a folder: `about` is its record, `labels` its classes.

    `int8` takes model-int8.onnx, where the folder has it; `threads` are processor cores (None: all).
    """

    def __init__(self, folder: str | os.PathLike[str], int8: bool = False, threads: int | None = None):
        self.folder = Path(folder)
        self.about = read_about(self.folder)
        self.labels = [entry["label"] for entry in self.about["classes"]]
        name = "model-int8.onnx" if int8 else "model.onnx"
        if name not in self.about["files"]:
            raise ExportError(f"{self.folder} has no {name}: README.md and checks.json say why")
        content = self._whole(name)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or os.cpu_count() or 1
        try:
            self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise ExportError(f"{self.folder / name} cannot be run by onnxruntime ({reason})") from error
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.priors = np.array(self.about["calibration"]["priors"])
        equal = np.full(len(self.labels), 1 / len(self.labels))
        self.to_equal = np.stack([log_ratio(prior, equal) for prior in self.priors])
        self.sets = self.about["sets"]
        # The smaller file has no features that could be compared.
        self.unlike = self.about["unlike"] if "features" in self.outputs else None
        if self.unlike is not None:
            self._whole(self.unlike["file"])
            self.rows, self.own = np.load(self.folder / self.unlike["file"]), np.array(self.unlike["own"])

    def _whole(self, name: str) -> bytes:
        """The content of a file of the folder."""
        path = self.folder / name
        try:
            content = path.read_bytes()
        except OSError:
            raise ExportError(f"{path} is missing: copy the whole folder again") from None
        if hashlib.sha256(content).hexdigest() != self.about["files"][name]["sha256"]:
            raise ExportError(f"{path} is damaged, or of another export: copy the whole folder again")
        return content

    def run(self, pixels: Array) -> dict[str, Array]:
        """The outputs of the model by name, for photos uint8 [n, height, width, 3]."""
        return dict(zip(self.outputs, self.session.run(None, {self.about["input"]["name"]: pixels}), strict=True))

    def answers(
        self, photos: Iterable[Path], shares: str = "equal", coverage: float = 0.9, none_above: float = 99.0
    ) -> Iterator[dict[str, Any]]:
        """The answer to each photo: its columns, without image_id, or `problem` alone where it cannot be used."""
        for path in photos:
            try:
                pixels = open_photo(path, self.about["input"])
            except UnusableError as error:
                yield {"problem": str(error)}
                continue
            yield self.answer(pixels, shares, coverage, none_above)

    def answer(
        self, pixels: Array, shares: str = "equal", coverage: float = 0.9, none_above: float = 99.0
    ) -> dict[str, Any]:
        """The answer to a photo, uint8 [height, width, 3]."""
        found = self.run(pixels[None])
        values = self._probabilities(found, shares)
        best = int(values.argmax())
        told: dict[str, Any] = {"answer": self.labels[best], "probability": float(values[best])}
        reasons = []
        if self.unlike is not None:
            unlike = self._unlike(found["features"], self.unlike)
            if unlike > none_above:
                reasons.append("none of these")
        if self.sets is not None:
            held = self._plausible(found["corrected"][0].astype(np.float64), coverage)
            held[best] = True
            told["set"] = ";".join(label for label, inside in zip(self.labels, held, strict=True) if inside)
            if held.sum() > 1:
                reasons.append(f"{held.sum()} classes possible")
        if self.unlike is not None:
            told["unlike"] = unlike
        told["review"] = "; ".join(reasons)
        return told | {f"p{index}": float(value) for index, value in enumerate(values)}

    def _probabilities(self, found: dict[str, Array], shares: str) -> Array:
        if shares == "equal":
            return found["probabilities"][0].astype(np.float64)
        known = self.about["calibration"]
        target = np.array([known["shares"][label] for label in self.labels], np.float64)
        moved = np.stack([log_ratio(prior, target / target.sum()) for prior in self.priors])
        own = np.log(np.clip(found["corrected"][0].astype(np.float64), 1e-30, 1)) - self.to_equal
        own -= np.log(np.exp(own - own.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True)) + own.max(
            axis=1, keepdims=True
        )
        logs = np.maximum(own, np.log(LEAST)) / known["temperature"] + moved
        weights = np.exp(logs - logs.max(axis=1, keepdims=True))
        mean: Array = (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)
        return mean

    def _plausible(self, corrected: Array, coverage: float) -> Array:
        """Which classes a photo may have, bool [K], by the scores [members, K] of what each member says of it."""
        strange, known = 1 - corrected, self.sets["scores"]
        everything = [sorted(sum(parts, [])) for parts in zip(*known.values(), strict=True)]
        found = np.zeros(len(self.labels), bool)
        for place, own in enumerate(known.values()):
            parts = own if sum(map(len, own)) >= self.sets["least"] else everything
            below = sum(int(np.searchsorted(part, strange[fold, place])) for fold, part in enumerate(parts))
            found[place] = below < round(coverage * (1 + sum(map(len, parts))), 9)
        return found

    def _unlike(self, features: Array, known: dict[str, Any]) -> float:
        row = features[0].astype(np.float64)
        length = np.linalg.norm(row)
        row = (row / (length or 1)).astype(np.float32)
        squares = 2 - 2 * (self.rows @ row).astype(np.float64)
        nearest = np.partition(squares, known["neighbour"] - 1)[known["neighbour"] - 1]
        return float(100 * np.searchsorted(self.own, np.sqrt(max(nearest, 0.0))) / len(self.own))


def read_about(folder: Path) -> dict[str, Any]:
    """The record of the exported model."""
    path = folder / "about.json"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        version = about["schema_version"]
    except FileNotFoundError:
        raise ExportError(f"{path} is missing: name the folder of an exported model") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise ExportError(f"{path} is damaged: copy the whole folder again") from None
    if version != SCHEMA_VERSION:
        raise ExportError(f"{path} has the schema version {version}, this predict.py reads {SCHEMA_VERSION}")
    return dict(about)


def log_ratio(prior: Sequence[float] | Array, target: Array) -> Array:
    """log target - log prior of each class; 0 where the prior is 0."""
    known = np.asarray(prior, np.float64) > 0
    ratio = np.divide(target, prior, out=np.ones(len(known)), where=known)
    moved: Array = np.log(np.maximum(ratio, LEAST))
    return moved


def open_photo(path: Path, how: dict[str, Any]) -> Array:
    """A photo, upright, uint8 [height, width, 3]; what is transparent becomes white."""
    try:
        if not path.is_file():
            raise UnusableError("missing" if not path.exists() else "not a file")
        if not path.stat().st_size:
            raise UnusableError("empty file")
        Image.MAX_IMAGE_PIXELS = MAX_PIXELS
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                if min(image.size) < SMALLEST:
                    raise UnusableError(f"too small ({image.width}x{image.height} px)")
                turn = UPRIGHT.get(_orientation(image))
                if how["decode"] == "fast" and image.format == "JPEG" and image.mode in ("RGB", "L") and turn is None:
                    factor, size = 1, max(how["sizes"])
                    while factor < 8 and min(image.size) // (2 * factor) >= size:
                        factor *= 2
                    image.draft(None, (image.width // factor, image.height // factor))
                image.load()
                return np.asarray(_rgb(image.transpose(turn) if turn is not None else image))
    except UnusableError:
        raise
    except Exception as error:  # Pillow raises almost any kind of error for a damaged file
        raise UnusableError(_reason(error)) from error


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged metadata say nothing about the pixels
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        if image.mode == "F" or values.min() < 0 or values.max() > 65535:
            raise UnusableError("32-bit pixels")
        image = Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return f"larger than {MAX_PIXELS} pixels"
    known = {UnidentifiedImageError: "not an image", PermissionError: "not readable", MemoryError: "does not fit"}
    for kind, words in known.items():
        if isinstance(error, kind):
            return words
    return "truncated" if "truncated" in str(error).lower() else "cannot be decoded"


def find_photos(given: Sequence[str]) -> dict[str, Path]:
    """The photos at paths and in folders by the names that the table gives them, sorted."""
    found: dict[str, Path] = {}
    for name in given:
        path = Path(name)
        if not path.exists():
            raise ExportError(f"{name}: no such file or folder")
        inside = sorted(each for each in path.rglob("*") if _is_photo(each, path)) if path.is_dir() else [path]
        if not inside:
            raise ExportError(f"{name}: no photos in this folder or below it")
        for each in inside:
            named = each.relative_to(path).as_posix() if path.is_dir() and len(given) == 1 else each.as_posix()
            # A spreadsheet would run a name that begins like a formula.
            found[f"./{named}" if FORMULA.match(named) else named] = each
    return dict(sorted(found.items()))


def _is_photo(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in ENDINGS and not hidden and not path.is_dir()


def write(target: TextIO, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows of the same columns as CSV; numbers have 9 digits."""
    table: Any = None
    for row in rows:
        if table is None:
            table = csv.writer(target, lineterminator="\n")
            table.writerow(row)
        table.writerow([f"{value:.9g}" if isinstance(value, float) else value for value in row.values()])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0, or 1 after an error of one line."""
    parser = argparse.ArgumentParser(description="Answer photos with the exported model beside this file.")
    parser.add_argument("photos", nargs="+", help="files, or folders with those below them")
    parser.add_argument("-o", "--output", help="the table (CSV); else it goes to the terminal")
    parser.add_argument("--model", default=str(Path(__file__).parent), help="the folder of the exported model")
    parser.add_argument("--int8", action="store_true", help="take the smaller model-int8.onnx")
    parser.add_argument("--shares", choices=["equal", "as_found"], default="equal", help="class shares of the photos")
    parser.add_argument("--coverage", type=float, default=0.9, help="how often a set should hold the true class")
    parser.add_argument("--none-above", type=float, default=99.0, help="percent of unlike from which a photo is none")
    parser.add_argument("--threads", type=int, help="processor cores; else all")
    given = parser.parse_args(arguments)
    try:
        if not 0 < given.coverage < 1:
            raise ExportError(f"--coverage {given.coverage}: must lie between 0 and 1")
        photos = find_photos(given.photos)
        predictor = Predictor(given.model, given.int8, given.threads)
    except ExportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    rows: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    told = predictor.answers(photos.values(), given.shares, given.coverage, given.none_above)
    for name, answer in zip(photos, told, strict=True):
        (problems if "problem" in answer else rows).append({"image_id": name, **answer})
    if given.output is None:
        write(sys.stdout, rows)
    else:
        target = Path(given.output)
        target.parent.mkdir(parents=True, exist_ok=True)
        for path, table in ((target, rows), (target.with_name("problems.csv"), problems)):
            with path.open("w", encoding="utf-8", newline="") as handle:
                write(handle, table)
    for row in problems:
        print(f"{row['image_id']}: {row['problem']}", file=sys.stderr)
    print(f"{len(rows)} of {len(photos)} photos have an answer", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
